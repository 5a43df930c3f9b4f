// Who is let in, asked of the program itself: what its flags, its variables and its sockets change. The rules, row by
// row, are auth_test's; what a refused request sees is handler_test's and the contract's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>

#include <fstream>
#include <iterator>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kBearer = std::string("Authorization: Bearer ") + kToken + "\r\n";
const std::string kQuery = std::string("?token=") + kToken;

/// An IPv4 address of this machine that is no loopback, or nothing.
std::string outer_address() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  std::string found;
  for (const ifaddrs* entry = list; entry != nullptr && found.empty(); entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, text, sizeof text);
    if (!std::string(text).starts_with("127.")) found = text;
  }
  freeifaddrs(list);
  return found;
}

TEST(Access, CredentialsDecideAlsoForLocalRequests) {
  const RunningExporter exporter;
  const std::string host = "Host: localhost\r\n";
  EXPECT_EQ(exporter.get("/api/metrics", host).status, 200);
  EXPECT_EQ(exporter.get("/api/metrics", host + kBearer).status, 200);
  EXPECT_EQ(exporter.get("/api/metrics" + kQuery).status, 200);
  EXPECT_EQ(exporter.get("/api/metrics?token=wrong").status, 401);
  EXPECT_EQ(exporter.get("/api/metrics", host + "Authorization: Bearer wrong\r\n").status, 401);
  EXPECT_EQ(exporter.get("/api/metrics", host + kBearer + kBearer).status, 401);
  EXPECT_EQ(exporter.get("/api/metrics" + kQuery, host + kBearer).status, 401);
}

TEST(Access, WithoutTheBypassALocalRequestNeedsAToken) {
  const RunningExporter exporter({.flags = {"--no-web.localhost-bypass"}});
  EXPECT_EQ(exporter.get("/api/metrics").status, 401);
  EXPECT_EQ(exporter.get("/api/metrics", "Host: localhost\r\n" + kBearer).status, 200);
}

TEST(Access, WithoutQueryTokensATokenInTheQueryIsAnInvalidCredential) {
  const RunningExporter exporter({.flags = {"--no-web.query-token"}});
  EXPECT_EQ(exporter.get("/api/metrics" + kQuery).status, 401);
  EXPECT_EQ(exporter.get("/api/metrics").status, 200);
}

TEST(Access, WithoutTokensOnlyLocalRequestsAreLetIn) {
  for (const char* token : {"", " , ,"}) {
    const RunningExporter exporter({.token = token});
    EXPECT_EQ(exporter.get("/api/metrics").status, 200);
    EXPECT_EQ(exporter.get("/api/metrics?token=").status, 401);
    EXPECT_EQ(exporter.get("/api/metrics", "Host: localhost\r\nAuthorization: Bearer \r\n").status, 401);
    EXPECT_EQ(exporter.get("/api/metrics", "Host: example.org\r\n").status, 401);
  }
}

TEST(Access, WhatLooksForwardedIsNotLocal) {
  const RunningExporter exporter;
  EXPECT_EQ(exporter.get("/metrics", "Host: [::1]:5000\r\nSec-Fetch-Site: none\r\n").status, 200);
  for (const char* fields : {"Host: example.org\r\n", "Host:\r\n", "Host: localhost\r\nx-forwarded-for: 1.2.3.4\r\n",
                             "Host: localhost\r\nOrigin: http://localhost\r\n"}) {
    EXPECT_EQ(exporter.get("/metrics", fields).status, 401) << fields;
    EXPECT_EQ(exporter.get("/metrics", fields + kBearer).status, 200) << fields;
  }
}

TEST(Access, Http10IsNotLocal) {
  const RunningExporter exporter;
  EXPECT_EQ(exporter.connect().exchange("GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").status, 401);
  EXPECT_EQ(exporter.connect().exchange("GET /metrics HTTP/1.0\r\n" + kBearer + "\r\n").status, 200);
}

TEST(Access, Ipv6LoopbackAndUnixSocketsAreLocal) {
  const RunningExporter ipv6({.listen_address = "[::1]:0"});
  EXPECT_EQ(HttpClient::tcp6(ipv6.port()).exchange("GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n").status, 200);
  const TemporaryFolder directory;
  const RunningExporter local({.listen_address = "unix:" + directory.file("a.sock")});
  auto client = HttpClient::unix_socket(directory.file("a.sock"));
  EXPECT_EQ(client.exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
  EXPECT_EQ(client.exchange("GET /metrics HTTP/1.1\r\nHost: example.org\r\n\r\n").status, 401);
}

TEST(Access, AnotherAddressOfThisMachineIsNotLocal) {
  const std::string address = outer_address();
  if (address.empty()) GTEST_SKIP() << "no address but loopback here";
  const RunningExporter exporter({.listen_address = "0.0.0.0:0"});
  const auto ask = [&](const std::string& fields) {
    return HttpClient::tcp4(exporter.port(), address.c_str())
        .exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
  };
  EXPECT_EQ(ask("").status, 401);
  EXPECT_EQ(ask(kBearer).status, 200);
}

TEST(Access, TheTokenIsNeitherInTheEnvironmentNorInTheLogNorInAResponse) {
  RunningExporter exporter({.flags = {"--log.level=debug"}});
  std::string seen;
  for (const std::string& target :
       {"/metrics" + kQuery, "/nothing" + kQuery, "/" + kQuery, "/metrics" + kQuery + kQuery}) {
    seen += exporter.get(target).body;
  }
  exporter.get("/metrics", "Host: localhost\r\n" + kBearer + kBearer);
  std::ifstream file("/proc/" + std::to_string(exporter.child().pid()) + "/environ");
  const std::string environment{std::istreambuf_iterator<char>(file), {}};
  if (file.is_open()) {  // not even this user's programs may, but for root
    EXPECT_THAT(environment, HasSubstr("PATH="));
  }
  EXPECT_THAT(environment, Not(HasSubstr("correct-horse")));
  EXPECT_THAT(exporter.child().err(), HasSubstr("msg=\"request\""));
  EXPECT_THAT(exporter.child().err(), Not(HasSubstr("correct-horse")));
  EXPECT_THAT(seen, Not(HasSubstr("correct-horse")));
}

TEST(Access, RequestsByQueryTokenAreCountedAndWarnedOfOnce) {
  RunningExporter exporter;
  for (int i = 0; i < 3; ++i) exporter.get("/metrics" + kQuery);
  const std::string log = exporter.child().err(), warning = "a token came in a query";
  EXPECT_NE(log.find(warning), std::string::npos);
  EXPECT_EQ(log.find(warning), log.rfind(warning));
  exporter.get("/metrics?token=wrong");
  const std::string text = exporter.get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("\nshmetrics_exporter_query_token_requests_total 3\n"));
  EXPECT_THAT(text, HasSubstr("\nshmetrics_exporter_requests_total{code=\"401\",handler=\"metrics\"} 1\n"));
}

}  // namespace
}  // namespace shmetrics::tests
