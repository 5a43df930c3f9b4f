#include "exporter/access/auth.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "exporter/access/peer_owner.hpp"
#include "tests/exporter/asked.hpp"

namespace shmetrics::exporter {
namespace {

constexpr const char* kToken = "correct-horse-battery+staple";
constexpr const char* kWithToken = "/metrics?token=correct-horse-battery+staple";

Peer tcp4(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, text, &address.sin_addr);
  return peer_of(reinterpret_cast<const sockaddr*>(&address));
}

Peer tcp6(const char* text) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  inet_pton(AF_INET6, text, &address.sin6_addr);
  return peer_of(reinterpret_cast<const sockaddr*>(&address));
}

AuthPolicy policy_with(const char* tokens) {
  return {.tokens = TokenSet::from_list(tokens)};
}

Verdict verdict_on(const Asked& asked, const AuthPolicy& policy = policy_with(kToken)) {
  return authenticate(policy, asked.request(), {.is_trusted = [&] { return asked.is_trusted; }}).verdict;
}

bool is_local(const Asked& asked) {
  return !foreign_sign_of(asked.head(), asked.peer);
}

Verdict verdict_on_header(std::string_view authorization) {
  Asked asked;
  asked.fields.push_back({"Authorization", authorization});
  return verdict_on(asked);
}

Verdict verdict_on_query(const std::string& query) {
  const std::string target = "/api/metrics?" + query;
  return verdict_on({.target = target});
}

TEST(Authenticate, AValidBearerTokenIsLetInFromAnywhere) {
  Asked asked{.peer = tcp4("203.0.113.9"),
              .fields = {{"Host", "example.org"}, {"Authorization", "Bearer correct-horse-battery+staple"}}};
  EXPECT_EQ(verdict_on(asked), Verdict::kBearer);
}

TEST(Authenticate, SchemeNamesAreCaseInsensitiveAndTokensAreNot) {
  EXPECT_EQ(verdict_on_header("bearer correct-horse-battery+staple"), Verdict::kBearer);
  EXPECT_EQ(verdict_on_header("BEARER  correct-horse-battery+staple"), Verdict::kBearer);
  EXPECT_EQ(verdict_on_header("Bearer Correct-horse-battery+staple"), Verdict::kInvalidCredential);
}

TEST(Authenticate, AnInvalidHeaderIsRefusedAlsoFromLocalhost) {
  for (const char* value :
       {"", "Bearer", "Bearer ", "Bearer x", "Bearer correct-horse-battery+stapl",
        "Bearer correct-horse-battery+staple extra", "correct-horse-battery+staple", "Basic dXNlcjpwYXNz",
        "Token correct-horse-battery+staple", "Bearercorrect-horse-battery+staple",
        "Bearer\tcorrect-horse-battery+staple", "Bearer correct-horse-battery%2Bstaple", "Digest a=b"}) {
    EXPECT_EQ(verdict_on_header(value), Verdict::kInvalidCredential) << value;
  }
}

TEST(Authenticate, TheQueryTokenIsDecodedOnce) {
  EXPECT_EQ(verdict_on_query("token=correct-horse-battery+staple"), Verdict::kQueryToken);
  EXPECT_EQ(verdict_on_query("token=correct-horse-battery%2Bstaple"), Verdict::kQueryToken);
  EXPECT_EQ(verdict_on_query("x=1&token=%63orrect-horse-battery%2bstaple&y"), Verdict::kQueryToken);
  EXPECT_EQ(verdict_on_query("token=correct-horse-battery%252Bstaple"), Verdict::kInvalidCredential);
}

TEST(Authenticate, AnInvalidQueryTokenIsRefusedAlsoFromLocalhost) {
  for (const char* query :
       {"token=", "token", "token=wrong", "token=%", "token=%4", "token=%zz", "%74oken=wrong",
        "token=correct-horse-battery%20staple", "token=correct-horse-battery+staple%00", "token%3D"}) {
    // The last one is a parameter called `token=`, which is nobody's credential.
    const Verdict expected = std::string_view(query) == "token%3D" ? Verdict::kLocal : Verdict::kInvalidCredential;
    EXPECT_EQ(verdict_on_query(query), expected) << query;
  }
}

TEST(Authenticate, OtherParametersAreNoCredential) {
  for (const char* query : {"", "a=b", "tokens=x", "Token=x", "xtoken=x", "&&", "=token"}) {
    EXPECT_EQ(verdict_on_query(query), Verdict::kLocal) << query;
  }
}

TEST(Authenticate, TwoCredentialsAreRefusedEvenIfBothAreValid) {
  const Field valid{"Authorization", "Bearer correct-horse-battery+staple"};
  EXPECT_EQ(verdict_on({.fields = {{"Host", "localhost"}, valid, valid}}), Verdict::kAmbiguousCredential);
  EXPECT_EQ(verdict_on({.fields = {{"Host", "localhost"}, valid, {"authorization", "x"}}}),
            Verdict::kAmbiguousCredential);
  EXPECT_EQ(verdict_on({.target = kWithToken, .fields = {{"Host", "localhost"}, valid}}),
            Verdict::kAmbiguousCredential);
  EXPECT_EQ(verdict_on_query(std::string("token=") + kToken + "&token=" + kToken), Verdict::kAmbiguousCredential);
  EXPECT_EQ(verdict_on_query(std::string("token=") + kToken + "&%74oken=x"), Verdict::kAmbiguousCredential);
}

TEST(LocalRule, LoopbackAndUnixPeersAreLocalAndOthersAreNot) {
  for (const Peer& peer : {tcp4("127.0.0.1"), tcp4("127.255.1.2"), tcp6("::1"), tcp6("::ffff:127.0.0.1"), kUnixPeer}) {
    EXPECT_TRUE(is_local(Asked{.peer = peer})) << peer.text();
  }
  for (const Peer& peer : {tcp4("128.0.0.1"), tcp4("10.0.0.1"), tcp4("0.0.0.0"), tcp6("::"), tcp6("::2"),
                           tcp6("::127.0.0.1"), tcp6("::ffff:10.0.0.1"), tcp6("fe80::1"), tcp6("7f00::1")}) {
    EXPECT_FALSE(is_local(Asked{.peer = peer})) << peer.text();
  }
}

TEST(LocalRule, APeerOfAStrangersIsNotLocalAndNobodyElseIsAskedFor) {
  EXPECT_EQ(verdict_on({.is_trusted = false}), Verdict::kNoCredential);
  int asked_for = 0;
  const Caller caller{.is_trusted = [&asked_for] { return ++asked_for > 0; }};
  const AuthPolicy policy = policy_with(kToken);
  EXPECT_EQ(authenticate(policy, Asked{.version = 10, .fields = {}}.request(), caller).verdict, Verdict::kNoCredential);
  EXPECT_EQ(authenticate(policy, Asked{.target = kWithToken}.request(), caller).verdict, Verdict::kQueryToken);
  EXPECT_EQ(asked_for, 0);
  EXPECT_EQ(authenticate(policy, Asked{}.request(), caller).verdict, Verdict::kLocal);
  EXPECT_EQ(asked_for, 1);
}

TEST(LocalRule, WhatFailedIsNamed) {
  using Kind = ForeignSign::Kind;
  const auto kind_of = [](const Asked& asked) {
    const Caller caller{.is_trusted = [&asked] { return asked.is_trusted; }};
    return authenticate(policy_with(kToken), asked.request(), caller).foreign_sign.value().kind;
  };
  EXPECT_EQ(kind_of({.peer = tcp4("10.0.0.1")}), Kind::kPeer);
  EXPECT_EQ(kind_of({.version = 10}), Kind::kVersion);
  EXPECT_EQ(kind_of({.fields = {{"Host", "example.org"}}}), Kind::kHost);
  EXPECT_EQ(kind_of({.fields = {{"Host", "localhost"}, {"Via", "x"}}}), Kind::kHeader);
  EXPECT_EQ(kind_of({.is_trusted = false}), Kind::kPeerUid);
}

TEST(TrustedUsers, AreOurselvesAndRootButNobodyWhoStandsForOthers) {
  const TrustedUsers whole(1000, std::nullopt);
  EXPECT_TRUE(whole.includes(1000) && whole.includes(0));
  EXPECT_FALSE(whole.includes(33) || whole.includes(65534));
  EXPECT_TRUE(TrustedUsers(65534, std::nullopt).includes(65534));
  const TrustedUsers part(65534, 65534);
  EXPECT_TRUE(part.includes(0));
  EXPECT_FALSE(part.includes(65534) || part.includes(1000));
}

TEST(LocalRule, TheHostMustBeALoopbackName) {
  for (const char* host :
       {"localhost", "LocalHost:1", "localhost:", "127.0.0.1", "127.1.2.3:65535", "[::1]", "[::1]:5000"}) {
    EXPECT_TRUE(is_local(Asked{.fields = {{"Host", host}}})) << host;
  }
  for (const char* host : {"",
                           ":5000",
                           "example.org",
                           "localhost.example.org",
                           "xlocalhost",
                           "localhost.",
                           "localhost:x",
                           "localhost:1:2",
                           "localhost:123456",
                           "127.0.0.1.example.org",
                           "127.1",
                           "127.0.0.01",
                           "127.0.0.256",
                           "127.0.0.1.",
                           "128.0.0.1",
                           "::1",
                           "[::1",
                           "[::1]x",
                           "[::1]x:1",
                           "[::2]",
                           "[0:0:0:0:0:0:0:1]",
                           "[::ffff:127.0.0.1]",
                           "localhost, localhost",
                           "user@localhost",
                           "2130706433"}) {
    EXPECT_FALSE(is_local(Asked{.fields = {{"Host", host}}})) << host;
  }
  EXPECT_FALSE(is_local(Asked{.fields = {}}));
  EXPECT_FALSE(is_local(Asked{.fields = {{"Host", "localhost"}, {"host", "localhost"}}}));
}

TEST(LocalRule, WhatAProxyOrAForeignPageAddsMakesItForeign) {
  for (const Field& extra : std::vector<Field>{{"Forwarded", "for=1.2.3.4"},
                                               {"X-Forwarded-For", "127.0.0.1"},
                                               {"x-forwarded-proto", "https"},
                                               {"X-FORWARDED-ANYTHING", ""},
                                               {"X-Real-IP", "127.0.0.1"},
                                               {"Via", "1.1 x"},
                                               {"X-Forwarded", "x"},
                                               {"Forwarded-For", "x"},
                                               {"X-Client-IP", "x"},
                                               {"Client-IP", "x"},
                                               {"True-Client-IP", "x"},
                                               {"CF-Connecting-IP", "x"},
                                               {"Cf-Ray", "x"},
                                               {"CDN-Loop", "x"},
                                               {"X-Cluster-Client-IP", "x"},
                                               {"X-ProxyUser-Ip", "x"},
                                               {"WL-Proxy-Client-IP", "x"},
                                               {"Fastly-Client-IP", "x"},
                                               {"Fly-Client-IP", "x"},
                                               {"X-Azure-ClientIP", "x"},
                                               {"X-Envoy-External-Address", "x"},
                                               {"X-Envoy-Original-Path", "x"},
                                               {"X-Amzn-Trace-Id", "x"},
                                               {"X-Original-Host", "x"},
                                               {"X-Original-Forwarded-For", "x"},
                                               {"X-Original-URI", "x"},
                                               {"X-Host", "x"},
                                               {"X-Request-Id", "x"},
                                               {"Tailscale-User-Login", "x"},
                                               {"Proxy-Connection", "close"},
                                               {"Max-Forwards", "9"},
                                               {"X-Varnish", "1"},
                                               {"X-NginX-Proxy", "true"},
                                               {"X-Proxy-Id", "1"},
                                               {"Origin", "null"},
                                               {"Sec-Fetch-Site", "cross-site"},
                                               {"sec-fetch-site", "same-site"},
                                               {"Sec-Fetch-Site", ""},
                                               {"Sec-Fetch-Site", "none, cross-site"}}) {
    EXPECT_FALSE(is_local(Asked{.fields = {{"Host", "localhost"}, extra}})) << extra.name << extra.value;
  }
  for (const Field& extra : std::vector<Field>{{"Sec-Fetch-Site", "none"},
                                               {"Sec-Fetch-Site", "same-origin"},
                                               {"X-Scrape-Timeout", "x"},
                                               {"Viability", "x"},
                                               {"Accept", "*/*"},
                                               {"Cookie", "a=b"}}) {
    EXPECT_TRUE(is_local(Asked{.fields = {{"Host", "localhost"}, extra}})) << extra.name << extra.value;
  }
  EXPECT_FALSE(
      is_local(Asked{.fields = {{"Host", "localhost"}, {"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Site", "cross-site"}}}));
}

}  // namespace
}  // namespace shmetrics::exporter
