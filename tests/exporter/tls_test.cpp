// TLS of the program itself, with curl and openssl s_client on the other side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/exporter/certificates.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// An exporter behind TLS, with an authority that signed its certificate.
class TlsTest : public ::testing::Test {
 protected:
  TlsTest() { ca_.sign("own", "DNS:localhost,IP:127.0.0.1"); }
  void configure(const std::string& more = "") const {
    std::ofstream(ca_.file("new.yml")) << "tls_server_config:\n  cert_file: own.pem\n  key_file: own.key\n" << more;
    std::filesystem::rename(ca_.file("new.yml"), ca_.file("web.yml"));
  }
  void require_certificates(const std::string& more = "") const {
    configure("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n" + more);
  }
  ExporterSetup setup(const std::string& token = kToken) const {
    return {.flags = {"--web.config.file=" + ca_.file("web.yml")}, .token = token};
  }
  static std::string url(const RunningExporter& exporter, const std::string& path = "/metrics") {
    return "https://localhost:" + std::to_string(exporter.port()) + path;
  }
  Outcome curl(std::vector<std::string> arguments) const {
    const std::vector<std::string> first{"/usr/bin/curl", "-sS", "--max-time", "30", "--cacert", ca_.certificate("ca")};
    arguments.insert(arguments.begin(), first.begin(), first.end());
    return run_command(arguments);
  }
  /// The status that curl gets; 000 when there is no connection.
  std::string status(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"-o", "/dev/null", "-w", "%{http_code}"});
    return curl(arguments).out;
  }
  std::string status_with(const RunningExporter& exporter, const Authority& by, const std::string& name) const {
    return status({"--cert", by.certificate(name), "--key", by.key(name), url(exporter)});
  }
  /// What s_client prints of a handshake, after asking for /-/healthy.
  static std::string s_client(const RunningExporter& exporter, std::vector<std::string> arguments) {
    const std::string to = "127.0.0.1:" + std::to_string(exporter.port());
    const std::vector<std::string> first{"/usr/bin/openssl", "s_client", "-connect", to, "-ign_eof"};
    arguments.insert(arguments.begin(), first.begin(), first.end());
    const std::string request = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const Outcome outcome = run_command(arguments, request);
    return outcome.out + outcome.error;
  }

  Authority ca_;
};

TEST_F(TlsTest, ACurlThatTrustsTheAuthorityIsServedAndAnotherIsNot) {
  configure();
  RunningExporter exporter(setup());
  EXPECT_EQ(status({url(exporter)}), "200");
  EXPECT_EQ(status({"-H", "X-Forwarded-For: 1.2.3.4", url(exporter)}), "401");
  EXPECT_EQ(
      status({"-H", "X-Forwarded-For: 1.2.3.4", "-H", std::string("Authorization: Bearer ") + kToken, url(exporter)}),
      "200");
  const Authority other;
  EXPECT_EQ(run_command({"/usr/bin/curl", "-sS", "--cacert", other.certificate("ca"), url(exporter)}).code, 60);
  EXPECT_TRUE(exporter.child().says("msg=\"TLS handshake refused\""));
}

TEST_F(TlsTest, VersionsBelow12AreRefusedAndAlpnIsHttp11) {
  configure();
  const RunningExporter exporter(setup());
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const std::string seen = s_client(exporter, {version, "-alpn", "h2,http/1.1"});
    EXPECT_THAT(seen, HasSubstr("HTTP/1.1 200 OK"));
    EXPECT_THAT(seen, HasSubstr("ALPN protocol: http/1.1"));
    EXPECT_THAT(seen, HasSubstr("Compression: NONE"));
    EXPECT_THAT(seen, Not(HasSubstr("TLS session ticket:")));
  }
  const std::string old = s_client(exporter, {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"});
  EXPECT_THAT(old, Not(HasSubstr("HTTP/1.1 200 OK")));
  EXPECT_THAT(old, HasSubstr("alert protocol version"));
  EXPECT_THAT(s_client(exporter, {"-alpn", "h2"}), HasSubstr("no application protocol"));
}

TEST_F(TlsTest, VersionsAndCiphersAreThoseOfTheFile) {
  configure("  min_version: TLS13\n");
  const RunningExporter newest(setup());
  EXPECT_THAT(s_client(newest, {"-tls1_2"}), HasSubstr("alert protocol version"));
  configure(
      "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"
      "  curve_preferences: [CurveP256]\n");
  const RunningExporter exporter(setup());
  EXPECT_THAT(s_client(exporter, {}), HasSubstr("ECDHE-ECDSA-AES256-GCM-SHA384"));
  EXPECT_THAT(s_client(exporter, {"-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}), HasSubstr("handshake failure"));
  EXPECT_THAT(s_client(exporter, {"-curves", "X25519"}), HasSubstr("handshake failure"));
  EXPECT_THAT(s_client(exporter, {"-tls1_3"}), HasSubstr("alert protocol version"));
}

TEST_F(TlsTest, ARenegotiationIsRefused) {
  configure();
  const RunningExporter exporter(setup());
  const Outcome outcome = run_command(
      {"/usr/bin/openssl", "s_client", "-tls1_2", "-connect", "127.0.0.1:" + std::to_string(exporter.port())}, "R\n");
  EXPECT_THAT(outcome.out + outcome.error, HasSubstr("no renegotiation"));
}

TEST_F(TlsTest, PlainHttpAndRubbishOnATlsPortGetAClearEnd) {
  configure();
  RunningExporter exporter(setup());
  auto plain = exporter.connect();
  const HttpResponse response = plain.exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, "this port speaks HTTPS only\n");
  EXPECT_TRUE(plain.is_closed_by_peer());
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\xff\xff"), std::string(100000, 'x'), std::string(300, '\0'),
        std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10)}) {
    auto client = exporter.connect();
    client.send(bytes);
  }
  EXPECT_EQ(status({url(exporter, "/-/healthy")}), "200");
  EXPECT_TRUE(exporter.child().runs());
}

TEST_F(TlsTest, AUnixSocketSpeaksTlsToo) {
  configure();
  const std::string path = ca_.file("a.sock");
  ExporterSetup on_unix = setup();
  on_unix.listen_address = "unix:" + path;
  const RunningExporter exporter(on_unix);
  EXPECT_EQ(status({"--unix-socket", path, "https://localhost/metrics"}), "200");
  EXPECT_EQ(status({"--unix-socket", path, "http://localhost/metrics"}), "400");
}

TEST_F(TlsTest, HeadersOfTheFileAreInEveryResponseAndReplaceOurs) {
  configure(
      "http_server_config:\n  headers: {Strict-Transport-Security: max-age=600, X-Frame-Options: deny,\n"
      "    Content-Security-Policy: default-src 'self'}\n");
  const RunningExporter exporter(setup());
  for (const char* path : {"/-/healthy", "/metrics", "/", "/metrics?token=wrong"}) {
    const std::string head = curl({"-D", "-", "-o", "/dev/null", url(exporter, path)}).out;
    EXPECT_THAT(head, HasSubstr("Strict-Transport-Security: max-age=600\r\n"));
    EXPECT_THAT(head, HasSubstr("X-Frame-Options: deny\r\n"));
    EXPECT_THAT(head, HasSubstr("Content-Security-Policy: default-src 'self'\r\n"));
    EXPECT_EQ(head.find("default-src 'none'"), std::string::npos);
  }
}

TEST_F(TlsTest, OnlyVerifiedClientsGetAConnection) {
  require_certificates();
  ca_.sign("client", "DNS:prometheus.example.org", "clientAuth");
  ca_.sign("expired", "DNS:prometheus.example.org", "clientAuth", 0);
  Authority other("other");
  other.sign("client", "DNS:prometheus.example.org", "clientAuth");
  RunningExporter exporter(setup(""));
  EXPECT_EQ(status_with(exporter, ca_, "client"), "200");  // nothing else is configured: the certificate is enough
  EXPECT_EQ(status_with(exporter, other, "client"), "000");
  EXPECT_EQ(status({url(exporter)}), "000");
  EXPECT_EQ(status({url(exporter, "/-/healthy")}), "000");
  EXPECT_EQ(status_with(exporter, ca_, "expired"), "000");
  EXPECT_EQ(status_with(exporter, ca_, "own"), "000");  // a server's
  EXPECT_THAT(exporter.child().err(), HasSubstr("cause=\"certificate verify failed"));
}

TEST_F(TlsTest, WithTokensACertificateIsNeededAndNotEnough) {
  require_certificates();
  ca_.sign("client", "DNS:prometheus.example.org", "clientAuth");
  const RunningExporter exporter(setup());
  EXPECT_EQ(status_with(exporter, ca_, "client"), "401");  // also on this machine: a policy switches the bypass off
  EXPECT_EQ(status({"--cert", ca_.certificate("client"), "--key", ca_.key("client"), "-H",
                    std::string("Authorization: Bearer ") + kToken, url(exporter)}),
            "200");
}

TEST_F(TlsTest, OnlyNamesOnTheListGetAConnection) {
  require_certificates("  client_allowed_sans: [a.example.org, 192.0.2.7, ops@example.org, 'spiffe://cluster/prom']\n");
  const RunningExporter exporter(setup(""));
  for (const char* san :
       {"DNS:x.example.org,DNS:a.example.org", "IP:192.0.2.7", "email:ops@example.org", "URI:spiffe://cluster/prom"}) {
    ca_.sign("client", san, "clientAuth");
    EXPECT_EQ(status_with(exporter, ca_, "client"), "200") << san;
  }
  for (const char* san : {"DNS:b.example.org", "DNS:A.example.org", "DNS:*.example.org", "IP:192.0.2.8",
                          "email:a.example.org@example.org", "URI:spiffe://cluster/prom/x"}) {
    ca_.sign("client", san, "clientAuth");
    EXPECT_EQ(status_with(exporter, ca_, "client"), "000") << san;
  }
}

TEST_F(TlsTest, PoliciesThatDoNotVerifyLetNobodyInByCertificate) {
  Authority other("other");
  other.sign("client", "DNS:prometheus.example.org", "clientAuth");
  configure("  client_auth_type: RequireAnyClientCert\n");
  const RunningExporter any(setup(""));
  EXPECT_EQ(status_with(any, other, "client"), "401");
  EXPECT_EQ(status({url(any)}), "000");
  configure("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n");
  const RunningExporter if_given(setup(""));
  EXPECT_EQ(status({url(if_given)}), "200");  // local
  EXPECT_EQ(status({"-H", "Via: x", url(if_given)}), "401");
  EXPECT_EQ(status_with(if_given, other, "client"), "000");
}

TEST_F(TlsTest, ExpiryOfTheCertificateIsAMetric) {
  configure();
  const RunningExporter exporter(setup());
  const std::string text = curl({url(exporter)}).out;
  const std::string name = "\nshmetrics_exporter_tls_certificate_expiry_timestamp_seconds ";
  ASSERT_NE(text.find(name), std::string::npos);
  const double expiry = std::stod(text.substr(text.find(name) + name.size()));
  EXPECT_NEAR(expiry, static_cast<double>(time(nullptr)) + 30 * 86400, 3600);
}

TEST_F(TlsTest, AConfigurationThatCannotBeUsedIsExitCode1AndOneLine) {
  configure("  min_version: TLS10\n");
  ChildProcess child({.argv = {SHMETRICS_EXPORTER_PROGRAM, "--web.listen-address=127.0.0.1:0",
                               "--web.config.file=" + ca_.file("web.yml")}});
  EXPECT_EQ(child.exit_code(), 1);
  EXPECT_THAT(child.err(), HasSubstr("web.yml line 4: tls_server_config.min_version: TLS10"));
  EXPECT_EQ(child.err().find('\n'), child.err().size() - 1);
}

TEST_F(TlsTest, UnderFiftyScrapesASecondNewCertificatesFailNobodyAndABadOneStaysOut) {
  configure();
  RunningExporter exporter(setup());
  std::atomic<bool> stops = false;
  std::atomic<int> good = 0, bad = 0;
  std::vector<std::thread> scrapers;
  for (int i = 0; i < 4; ++i) {
    scrapers.emplace_back([&] {
      while (!stops) {
        ++(status({url(exporter)}) == "200" ? good : bad);
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
      }
    });
  }
  const auto expect_log = [&](const std::string& text) {
    const auto occurrences = [text, &exporter] {
      int count = 0;
      const std::string log = exporter.child().err();
      for (auto at = log.find(text); at != log.npos; at = log.find(text, at + 1)) ++count;
      return count;
    };
    const int before = occurrences();
    return [=] { return eventually([=] { return occurrences() > before; }); };
  };
  for (int i = 0; i < 3; ++i) {
    const auto reloaded = expect_log("\"configuration reloaded\"");
    ca_.sign("next", "DNS:localhost,IP:127.0.0.1");
    std::filesystem::rename(ca_.key("next"), ca_.key("own"));  // for a moment the key is not the certificate's
    std::filesystem::rename(ca_.certificate("next"), ca_.certificate("own"));
    EXPECT_TRUE(reloaded());
  }
  const auto refused = expect_log("\"configuration not reloaded, the old one stays\"");
  ca_.sign("next", "DNS:localhost");
  std::filesystem::rename(ca_.key("next"), ca_.key("own"));
  EXPECT_TRUE(refused());
  EXPECT_THAT(exporter.child().err(), HasSubstr("not the key of cert_file"));
  const int before = good;
  EXPECT_TRUE(eventually([&] { return good > before + 5; }));
  stops = true;
  for (std::thread& scraper : scrapers) scraper.join();
  EXPECT_EQ(bad, 0);
  EXPECT_GE(good, 20);
}

/// One TLS connection that asks when it is told to, and outlives its answers: openssl s_client, fed by a FIFO.
class OpenConnection {
 public:
  OpenConnection(const RunningExporter& exporter, std::vector<std::string> arguments, const std::string& fifo)
      : is_made_(mkfifo(fifo.c_str(), 0600) == 0),
        child_(command_of(exporter, std::move(arguments), fifo)),
        fifo_(fifo) {}
  ~OpenConnection() { unlink(fifo_.c_str()); }
  void ask() {
    signal(SIGPIPE, SIG_IGN);  // it may have ended
    input_ << "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" << std::flush;
  }
  int answers() const {
    int count = 0;
    const std::string out = child_.out();
    for (auto at = out.find("HTTP/1.1 200"); at != out.npos; at = out.find("HTTP/1.1 200", at + 1)) ++count;
    return count;
  }
  bool ends() { return child_.exit_code().has_value(); }

 private:
  static ChildProcess::Command command_of(const RunningExporter& exporter, std::vector<std::string> arguments,
                                          const std::string& fifo) {
    std::vector<std::string> argv{"/bin/sh", "-c", "exec openssl s_client -quiet -connect \"$@\" < " + fifo, "sh",
                                  "127.0.0.1:" + std::to_string(exporter.port())};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return {.argv = argv};
  }
  bool is_made_;
  ChildProcess child_;
  std::string fifo_;
  std::ofstream input_{fifo_};
};

TEST_F(TlsTest, AReloadThatNoLongerAllowsACertificateReachesTheOpenConnection) {
  ca_.sign("client", "DNS:good.example", "clientAuth");
  require_certificates("  client_allowed_sans: [good.example]\n");
  RunningExporter exporter(setup(""));
  OpenConnection client(exporter, {"-cert", ca_.certificate("client"), "-key", ca_.key("client")}, ca_.file("fifo"));
  client.ask();
  ASSERT_TRUE(eventually([&] { return client.answers() == 1; }));
  require_certificates("  client_allowed_sans: [other.example]\n");
  exporter.child().send_signal(SIGHUP);
  ASSERT_TRUE(exporter.child().says("\"configuration reloaded\""));
  client.ask();
  EXPECT_TRUE(client.ends());
  EXPECT_EQ(client.answers(), 1);
}

TEST_F(TlsTest, APlainConnectionEndsWhenTlsIsSwitchedOn) {
  std::ofstream(ca_.file("web.yml")) << "{}\n";
  RunningExporter exporter(setup());
  auto client = exporter.connect();
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  EXPECT_EQ(client.exchange(request).status, 200);
  configure();
  exporter.child().send_signal(SIGHUP);
  ASSERT_TRUE(exporter.child().says("\"configuration reloaded\""));
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST_F(TlsTest, AnEmptyOrTruncatedFileSwitchesNothingOff) {
  ca_.sign("good", "DNS:good.example", "clientAuth");
  ca_.sign("other", "DNS:other.example", "clientAuth");
  require_certificates("  client_allowed_sans: [good.example]\n");
  std::ifstream file(ca_.file("web.yml"));
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  RunningExporter exporter(setup(""));
  const std::string refusal = "\"configuration not reloaded, the old one stays\"";
  for (std::size_t size = 0, logged = 0; size + 1 < whole.size(); ++size) {
    std::ofstream(ca_.file("web.yml")) << whole.substr(0, size);
    exporter.child().send_signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return exporter.child().err().find(refusal, logged) != std::string::npos; })) << size;
    logged = exporter.child().err().size();
    if (size > 0 && whole[size - 1] != '\n') continue;
    EXPECT_EQ(status_with(exporter, ca_, "good"), "200") << size;
    EXPECT_NE(status_with(exporter, ca_, "other"), "200") << size;
    EXPECT_NE(status({url(exporter)}), "200") << size;
    EXPECT_NE(status({"http://localhost:" + std::to_string(exporter.port()) + "/metrics"}), "200") << size;
  }
  const Outcome scrape = curl({"--cert", ca_.certificate("good"), "--key", ca_.key("good"), url(exporter)});
  EXPECT_THAT(scrape.out, HasSubstr("shmetrics_exporter_config_last_reload_successful 0\n"));
  for (const char* part :
       {"tls_server_config", "client_auth_type that requires a certificate", "client_allowed_sans"}) {
    EXPECT_THAT(exporter.child().err(), HasSubstr(std::string("error=\"") + part + " is gone from the configuration"));
  }
}

TEST_F(TlsTest, AnExpiredCertificateIsWarnedOfAtStart) {
  ca_.sign("own", "DNS:localhost", "serverAuth", 0);
  configure();
  EXPECT_THAT(RunningExporter(setup()).child().err(), HasSubstr("has expired; renew it"));
}

}  // namespace
}  // namespace shmetrics::tests
