// The web configuration, with promtool as the judge: what we accept it accepts, what it refuses we refuse.
#include "exporter/access/web_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <iterator>

#include "exporter/access/settings.hpp"
#include "tests/exporter/certificates.hpp"

namespace shmetrics::exporter {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPromtool = "/usr/bin/promtool";
const std::string kHash = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

std::string tls(const std::string& more = "") {
  return "tls_server_config: {cert_file: own.pem, key_file: own.key" + (more.empty() ? "" : ", " + more) + "}";
}
std::string with_hash(const std::string& head, std::size_t from) {
  return "basic_auth_users: {a: " + head + kHash.substr(from) + "}";
}

const std::vector<std::string> kAccepted{
    "",
    "{}",
    "# nothing\n",
    "tls_server_config:",
    "tls_server_config: {}",
    "basic_auth_users: {}",
    tls(),
    tls("min_version: TLS13"),
    tls("max_version: TLS12, min_version: TLS12"),
    tls("min_version: "),
    tls("cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]"),
    tls("cipher_suites: []"),
    tls("cipher_suites: [TLS_CHACHA20_POLY1305_SHA256]"),
    tls("max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"),
    tls("prefer_server_cipher_suites: false"),
    tls("prefer_server_cipher_suites: yes"),
    tls("curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]"),
    tls("client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert"),
    tls("client_ca_file: ca.pem, client_auth_type: VerifyClientCertIfGiven"),
    tls("client_auth_type: NoClientCert"),
    tls("client_auth_type: RequestClientCert"),
    tls("client_auth_type: RequireAnyClientCert"),
    "http_server_config: {http2: true}",
    "http_server_config: {http2: false, headers: {}}",
    "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff, X-XSS-Protection: 7, "
    "Strict-Transport-Security: max-age=31536000, Content-Security-Policy: default-src 'none'}}",
    "http_server_config: {headers: {X-Frame-Options: sameorigin}}",
    with_hash("", 0),
    with_hash("$2a", 3),
    with_hash("$2b", 3),
    with_hash("$2y$04", 6),
    with_hash("$2y$15", 6),
    "basic_auth_users: {1: " + kHash + "}"};

struct Refusal {
  std::string text, says;  // what the message has
};
/// Refused by promtool too.
const std::vector<Refusal> kRefusedByBoth{
    {"foo: 1",
     "line 1: line 1: foo is no key here; allowed: basic_auth_users, http_server_config, rate_limit, "
     "tls_server_config"},
    {"tokens: [a]", "tokens is no key here"},
    {"- a", "give a map"},
    {"a: b: c", "no YAML"},
    {"tls_server_config: [a]", "tls_server_config: give a map"},
    {"\n\ntls_server_config: {foo: 1}", "line 3: tls_server_config: line 3: foo is no key here; allowed: cert, "},
    {"http_server_config: {foo: 1}", "foo is no key here; allowed: headers, http2"},
    {"http_server_config: {http2: 1}", "http2: give true or false"},
    {tls("prefer_server_cipher_suites: 'true'"), "give true or false"},
    {tls() + "\n" + tls(), "line 2: tls_server_config is given twice"},
    {"basic_auth_users: {a: " + kHash + ", a: " + kHash + "}", "a is given twice"},
    {"tls_server_config: {cert_file: own.pem}", "key_file is missing"},
    {"tls_server_config: {key_file: own.key}", "cert_file is missing"},
    {"tls_server_config: {client_ca_file: ca.pem}", "cert_file is missing"},
    {"tls_server_config: {cert_file: nope.pem, key_file: own.key}", "nope.pem: cannot read it"},
    {"tls_server_config: {cert_file: own.pem, key_file: ca.key}", "not the key of cert_file"},
    {"tls_server_config: {cert_file: own.key, key_file: own.key}", "no certificate in PEM"},
    {"tls_server_config: {cert_file: own.pem, key_file: own.pem}", "no private key"},
    {tls("min_version: SSL30"), "min_version: SSL30 is not known; allowed: TLS12, TLS13"},
    {tls("cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]"),
     "cipher_suites: TLS_RSA_WITH_RC4_128_SHA is not known; allowed: "},
    {tls("cipher_suites: TLS_AES_128_GCM_SHA256"), "cipher_suites: give a list"},
    {tls("curve_preferences: [X448]"), "X448 is not known; allowed: CurveP256, CurveP384, CurveP521, X25519"},
    {tls("client_auth_type: foo"), "allowed: NoClientCert, RequestClientCert, RequireAnyClientCert, Verify"},
    {tls("client_ca_file: ca.pem"), "client_ca_file without client_auth_type"},
    {tls("client_ca_file: ca.pem, client_auth_type: NoClientCert"), "client_ca_file without client_auth_type"},
    {tls("client_ca_file: nope, client_auth_type: RequireAndVerifyClientCert"), "nope: cannot read it"},
    {"http_server_config: {headers: [a]}", "headers: give a map"},
    {"http_server_config: {headers: {Foo: bar}}", "Foo is no key here; allowed: Content-Security-Policy, Strict"},
    {"http_server_config: {headers: {x-frame-options: deny}}", "x-frame-options is no key here"},
    {"http_server_config: {headers: {X-Frame-Options: DENY}}",
     "X-Frame-Options: DENY is not known; allowed: deny, same"},
    {"http_server_config: {headers: {X-Content-Type-Options: x}}", "allowed: nosniff"},
    {"basic_auth_users: [a]", "basic_auth_users: give a map"},
    {"basic_auth_users: {a: hunter2}", "basic_auth_users.a: give a bcrypt hash"},
    {with_hash("$2y$03", 6), "the bcrypt cost is 3; allowed: 4 to 15"},
    {with_hash("$2y$32", 6), "the bcrypt cost is 32"},
    {"tls_server_config: {\x01: 1}", "control character"},
    {"# \xff\n", "no UTF-8"}};
/// promtool lets these pass, and the toolkit does what was not meant.
const std::vector<Refusal> kRefusedByUsAlone{
    {tls("min_version: TLS10"), "TLS10 is not known; allowed: TLS12, TLS13"},
    {tls("min_version: TLS13, max_version: TLS12"), "min_version is above max_version"},
    {tls("max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]"),
     "cipher_suites has none for max_version TLS12"},
    {"tls_server_config: {min_version: TLS13}", "cert_file is missing"},
    {tls("client_auth_type: RequireAndVerifyClientCert"), "client_ca_file is missing"},
    {tls("client_ca_file: own.key, client_auth_type: RequireAndVerifyClientCert"), "no certificate in PEM"},
    {"http_server_config: {headers: {X-XSS-Protection: \"a\\r\\nSet-Cookie: b\"}}", "only visible ASCII"},
    {"basic_auth_users: {'a:b': " + kHash + "}", "no colon"},
    {with_hash("$2y$16", 6), "the bcrypt cost is 16; allowed: 4 to 15"},
    {"basic_auth_users: {a: " + kHash + "x}", "give a bcrypt hash"},
    {"basic_auth_users: {}\n---\nfoo: 1", "a second document"}};
/// Debian 12's promtool lets it pass, and Debian 13's does not.
const Refusal kRefusedByNewerToolkits{tls("cipher_suites: [TLS_RSA_WITH_AES_256_GCM_SHA384]"),
                                      "cipher_suites: TLS_RSA_WITH_AES_256_GCM_SHA384 is not known; allowed: "};
/// Keys of the toolkit's schema that Debian 12's promtool is too old for.
const std::vector<std::string> kAcceptedOfNewerSchema{
    tls("client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a.example.org]"),
    "rate_limit:",
    "rate_limit: {}",
    "rate_limit: {interval: 0, burst: 20}",
    "rate_limit: {interval: 0s}",
    "rate_limit: {interval: 0s, burst: 0}",
    "rate_limit: {interval: 1s, burst: 20}",
    "rate_limit: {interval: '1m30s', burst: 1000000}",
    "rate_limit: {interval: 1ms, burst: 1}"};

class WebConfigTest : public ::testing::Test {
 protected:
  WebConfigTest() { ca_.sign("own", "DNS:localhost"); }
  /// What we say of this file; empty when it is accepted.
  std::string our_complaint(const std::string& text) {
    std::ofstream(ca_.file("web.yml"), std::ios::binary) << text;
    try {
      FileStamps read;
      load_settings({.environment_tokens = {}, .web_config_file = ca_.file("web.yml")}, read);
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  }
  void expect_refusal(const Refusal& refusal) {
    const std::string complaint = our_complaint(refusal.text);
    EXPECT_THAT(complaint, HasSubstr(refusal.says)) << refusal.text;
    EXPECT_EQ(complaint.find('\n'), std::string::npos) << complaint;
    EXPECT_THAT(complaint, HasSubstr("--web.config.file")) << refusal.text;
    EXPECT_EQ(complaint.find("hunter2"), std::string::npos);
  }
  /// promtool's word on each, in order; it takes all files in one run.
  std::vector<bool> judged(const std::vector<std::string>& texts) {
    std::vector<std::string> command{kPromtool, "check", "web-config"};
    for (std::size_t i = 0; i < texts.size(); ++i) {
      command.push_back(ca_.file("case-" + std::to_string(i) + ".yml"));
      std::ofstream(command.back(), std::ios::binary) << texts[i];
    }
    const tests::Outcome outcome = tests::run_command(command);
    std::vector<bool> accepted;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string name = ca_.file("case-" + std::to_string(i) + ".yml");
      const bool is_good = outcome.error.find(name + " SUCCESS") != std::string::npos;
      EXPECT_TRUE(is_good || outcome.error.find(name + " FAILED") != std::string::npos) << outcome.error;
      accepted.push_back(is_good);
    }
    return accepted;
  }

  tests::Authority ca_;
};

TEST_F(WebConfigTest, WhatTheToolkitTakesIsTaken) {
  for (const std::string& text : kAccepted) EXPECT_EQ(our_complaint(text), "") << text;
  for (const std::string& text : kAcceptedOfNewerSchema) EXPECT_EQ(our_complaint(text), "") << text;
}

TEST_F(WebConfigTest, EachRefusalNamesFileLineAndKeyAndWhatIsAllowed) {
  for (const Refusal& refusal : kRefusedByBoth) expect_refusal(refusal);
  for (const Refusal& refusal : kRefusedByUsAlone) expect_refusal(refusal);
  expect_refusal(kRefusedByNewerToolkits);
}

TEST_F(WebConfigTest, PromtoolAcceptsWhatWeAcceptAndWeRefuseWhatItRefuses) {
  if (access(kPromtool, X_OK) != 0) GTEST_SKIP() << kPromtool << " is not installed";
  std::vector<std::string> texts = kAccepted;
  for (const Refusal& refusal : kRefusedByUsAlone) texts.push_back(refusal.text);
  const std::size_t accepted = texts.size();
  for (const Refusal& refusal : kRefusedByBoth) texts.push_back(refusal.text);
  const std::vector<bool> verdicts = judged(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(verdicts[i], i < accepted) << texts[i];
}

TEST_F(WebConfigTest, TheFileInDeployIsAcceptedByBoth) {
  std::ifstream file(SHMETRICS_SOURCE_FOLDER "/deploy/web-config.yml");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const auto& [from, to] : {std::pair{ca_.certificate("own"), "exporter.crt"},
                                 {ca_.key("own"), "exporter.key"},
                                 {ca_.certificate("ca"), "clients-ca.crt"}}) {
    std::filesystem::copy_file(from, ca_.file(to));
  }
  std::string mutual = text;  // with the lines for client certificates
  for (const std::string key : {"client_auth_type: ", "client_ca_file: "}) {
    const std::size_t at = mutual.find("# " + key);
    ASSERT_NE(at, mutual.npos) << key;
    mutual.erase(at, 2);
  }
  for (const std::string& form : {text, mutual}) EXPECT_EQ(our_complaint(form), "");
  if (access(kPromtool, X_OK) != 0) GTEST_SKIP() << kPromtool << " is not installed";
  EXPECT_EQ(judged({text, mutual}), (std::vector<bool>{true, true}));
}

TEST_F(WebConfigTest, PemMayBeWrittenIntoTheFileButNotBesideAFile) {
  const auto indented = [](const std::string& path) {
    std::ifstream file(path);
    std::string out;
    for (std::string line; std::getline(file, line);) out += "    " + line + "\n";
    return out;
  };
  const std::string text =
      "tls_server_config:\n  cert: |\n" + indented(ca_.certificate("own")) + "  key: |\n" + indented(ca_.key("own"));
  EXPECT_EQ(our_complaint(text), "");
  EXPECT_THAT(our_complaint(text + "  key_file: own.key\n"), HasSubstr("give key or key_file, not both"));
}

TEST_F(WebConfigTest, SanListsNeedAVerifiedCertificateAndAName) {
  expect_refusal({tls("client_allowed_sans: [a]"), "needs client_auth_type RequireAndVerifyClientCert"});
  expect_refusal({tls("client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: []"),
                  "client_allowed_sans: the list is empty"});
}

TEST_F(WebConfigTest, ARateLimitNeedsBothOfItsValues) {
  const std::vector<Refusal> refusals{
      {"rate_limit: 5", "rate_limit: give a map"},
      {"rate_limit: {rate: 5}", "rate_limit: line 1: rate is no key here; allowed: burst, interval"},
      {"rate_limit: {burst: 1}", "rate_limit: interval is missing"},
      {"rate_limit: {interval: 1s}", "rate_limit: burst is missing, or 0"},
      {"rate_limit: {interval: 1, burst: 1}", "rate_limit.interval: 1 is no duration from 1ms to 24h"},
      {"rate_limit: {interval: -1s, burst: 1}", "-1s is no duration"},
      {"rate_limit: {interval: 25h, burst: 1}", "25h is no duration"},
      {"rate_limit: {interval: 1s, burst: 0}", "rate_limit: burst is missing, or 0"},
      {"rate_limit: {interval: 1s, burst: -1}", "rate_limit.burst: give a number of requests from 1 to 1000000"},
      {"rate_limit: {interval: 1s, burst: 1.5}", "give a number of requests"},
      {"rate_limit: {interval: 1s, burst: '5'}", "give a number of requests"},
      {"rate_limit: {interval: 1s, burst: 010}", "give a number of requests"},
      {"rate_limit: {interval: 1s, burst: 1000001}", "give a number of requests"}};
  for (const Refusal& refusal : refusals) expect_refusal(refusal);
}

}  // namespace
}  // namespace shmetrics::exporter
