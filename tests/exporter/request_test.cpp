#include "exporter/request/request.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <vector>

namespace shmetrics::exporter {
namespace {

std::string_view defect_with(std::vector<Field> fields, std::string_view target = "/metrics", int version = 11) {
  return defect_of({.version = version, .method = "GET", .target = target, .fields = fields});
}

TEST(DefectOf, AnOrdinaryRequestHasNone) {
  EXPECT_EQ(defect_with({{"Host", "x"}}), "");
  EXPECT_EQ(defect_with({{"Host", "x"}, {"Content-Length", "0"}}), "");
  EXPECT_EQ(defect_with({{"Host", ""}}, "/a?b=%20&c"), "");
  EXPECT_EQ(defect_with({}, "/", 10), "");
}

TEST(DefectOf, BodiesAndTransferCodingsAreRefused) {
  for (const Field& extra : std::vector<Field>{{"Content-Length", "1"},
                                               {"content-length", "00010"},
                                               {"Content-Length", "x"},
                                               {"Transfer-Encoding", "chunked"},
                                               {"TRANSFER-ENCODING", "identity"},
                                               {"Transfer-Encoding", ""}}) {
    EXPECT_NE(defect_with({{"Host", "x"}, extra}), "") << extra.value;
  }
}

TEST(DefectOf, ExactlyOneHostIsRequired) {
  EXPECT_NE(defect_with({}), "");
  EXPECT_NE(defect_with({{"Host", "x"}, {"host", "x"}}), "");
  EXPECT_NE(defect_with({{"Host", "x"}, {"host", "x"}}, "/", 10), "");
}

TEST(DefectOf, OnlyVisibleAsciiInOriginFormIsATarget) {
  for (const char* target : {"", "*", "http://localhost/metrics", "metrics", "/m\x80", "/m\x7f", "/m\tx", "/m\x01"}) {
    EXPECT_NE(defect_with({{"Host", "x"}}, target), "") << target;
  }
}

TEST(DefectOf, AHundredFieldsAreTheLimit) {
  std::vector<Field> fields(kMaxFields, Field{"A", "b"});
  fields[0] = {"Host", "x"};
  EXPECT_EQ(defect_with(fields), "");
  fields.push_back({"A", "b"});
  EXPECT_NE(defect_with(fields), "");
}

TEST(Target, IsPartedAtTheFirstQuestionMark) {
  EXPECT_EQ(path_of("/a?b?c"), "/a");
  EXPECT_EQ(path_of("/a"), "/a");
  ASSERT_EQ(parameters_of("/a?b?c").size(), 1U);
  EXPECT_EQ(parameters_of("/a?b?c")[0].name, "b?c");
  EXPECT_TRUE(parameters_of("/a").empty());
  EXPECT_TRUE(parameters_of("").empty());
}

Peer peer_at(const char* text) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
  return peer_of(reinterpret_cast<const sockaddr*>(&v6));
}

TEST(Peer, ASiteIsAnIpv4AddressOrAnIpv6NetworkOf64Bits) {
  EXPECT_TRUE(peer_at("2001:db8::1").same_site(peer_at("2001:db8::ffff:ffff:ffff:ffff")));
  EXPECT_FALSE(peer_at("2001:db8::1").same_site(peer_at("2001:db8:0:1::1")));
  EXPECT_TRUE(peer_at("::ffff:10.0.0.1").same_site(peer_at("::ffff:10.0.0.1")));
  EXPECT_FALSE(peer_at("::ffff:10.0.0.1").same_site(peer_at("::ffff:10.0.0.2")));
  EXPECT_FALSE(peer_at("::1").same_site(peer_at("::ffff:127.0.0.1")));
  const Peer local{.kind = Peer::Kind::kUnix};
  EXPECT_TRUE(local.same_site(Peer{.kind = Peer::Kind::kUnix}));
  EXPECT_FALSE(local.same_site(peer_at("::")));
}

TEST(Peer, TextNamesAddressAndPort) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  v4.sin_addr.s_addr = htonl(0x0a000001);
  EXPECT_EQ(peer_of(reinterpret_cast<const sockaddr*>(&v4)).text(), "10.0.0.1:80");
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(443);
  v6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(peer_of(reinterpret_cast<const sockaddr*>(&v6)).text(), "[::1]:443");
  EXPECT_EQ(Peer{.kind = Peer::Kind::kUnix}.text(), "unix");
}

}  // namespace
}  // namespace shmetrics::exporter
