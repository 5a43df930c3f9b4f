// Users and passwords, asked of the program itself.
#include <crypt.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "tests/exporter/certificates.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string basic(const std::string& pair) {
  std::string encoded(pair.size() * 2 + 8, '\0');
  const auto* bytes = reinterpret_cast<const unsigned char*>(pair.data());
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), bytes, static_cast<int>(pair.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return "Host: localhost\r\nAuthorization: Basic " + encoded + "\r\n";
}

std::string hash_of(const std::string& password, const char* cost) {
  return crypt(password.c_str(), (std::string("$2b$") + cost + "$abcdefghijklmnopqrstuu").c_str());
}

/// How often the text is in what the process can write. Nothing where we may not look.
std::optional<std::size_t> copies_in_memory(pid_t pid, const std::string& text) {
  const std::string proc = "/proc/" + std::to_string(pid);
  std::ifstream maps(proc + "/maps"), memory(proc + "/mem", std::ios::binary);
  if (!memory.is_open()) return std::nullopt;
  std::size_t copies = 0;
  for (std::string line; std::getline(maps, line);) {
    std::size_t begin = 0, end = 0;
    char mode[8] = "";
    if (std::sscanf(line.c_str(), "%zx-%zx %7s", &begin, &end, mode) != 3 || mode[1] != 'w') continue;
    std::string bytes(end - begin, '\0');
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(begin));
    memory.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    for (std::size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1)) ++copies;
  }
  return copies;
}

std::string sha256(const std::string& text) {
  std::string digest(32, '\0');
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(), nullptr);
  return digest;
}

/// Whom the kernel lets read it; of a process that may not be dumped only root.
uid_t owner_of_memory(const ChildProcess& process) {
  struct stat memory {};
  return stat(("/proc/" + std::to_string(process.pid()) + "/mem").c_str(), &memory) == 0 ? memory.st_uid : uid_t(-1);
}

class BasicAuth : public ::testing::Test {
 protected:
  BasicAuth() { write("secret"); }
  void write(const std::string& password, const char* cost = "05") const {
    std::ofstream(directory_.file("new")) << "basic_auth_users:\n  prom: " << hash_of(password, cost) << "\n";
    std::filesystem::rename(directory_.file("new"), directory_.file("web.yml"));
  }
  ExporterSetup setup() const { return {.flags = {"--web.config.file=" + directory_.file("web.yml")}}; }

  TemporaryFolder directory_;
};

TEST_F(BasicAuth, TheRightPasswordIsLetInAndAnythingElseIsNotAlsoFromLocalhost) {
  const RunningExporter exporter(setup());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(exporter.get("/metrics", basic("prom:secret")).status, 200);
  for (const std::string& pair :
       {std::string("prom:wrong"), std::string("prom:"), std::string("nobody:secret"), std::string(":secret"),
        std::string("prom"), std::string("prom:secret\0x", 13), "prom:" + std::string(73, 's'), std::string()}) {
    EXPECT_EQ(exporter.get("/metrics", basic(pair)).status, 401) << pair;
  }
  EXPECT_EQ(exporter.get("/metrics", "Host: localhost\r\nAuthorization: Basic ====\r\n").status, 401);
  EXPECT_EQ(exporter.get("/metrics", "Host: localhost\r\nAuthorization: Basic !!!!\r\n").status, 401);
  EXPECT_EQ(exporter.get("/metrics").status, 401);  // users switch the bypass off
  EXPECT_EQ(exporter.get("/metrics?token=x", basic("prom:secret")).status, 401);
  EXPECT_EQ(exporter.get("/-/healthy", basic("prom:wrong")).status, 200);
}

TEST_F(BasicAuth, BearerAndBasicAreAlternativesAndBothAreOffered) {
  const RunningExporter exporter(setup());
  EXPECT_EQ(exporter.get("/metrics", std::string("Host: x\r\nAuthorization: Bearer ") + kToken + "\r\n").status, 200);
  const HttpResponse refused = exporter.get("/metrics", "Host: x\r\n");
  std::vector<std::string> offers;
  for (const auto& [name, value] : refused.headers) {
    if (name == "WWW-Authenticate") offers.push_back(value);
  }
  EXPECT_EQ(offers, (std::vector<std::string>{"Bearer realm=\"shmetrics\"", "Basic realm=\"shmetrics\""}));
  EXPECT_EQ(refused.body, exporter.get("/metrics", basic("prom:wrong")).body);
}

TEST_F(BasicAuth, ANewPasswordIsUsedAfterAReloadAndTheOldOneNoMore) {
  RunningExporter exporter(setup());
  EXPECT_EQ(exporter.get("/metrics", basic("prom:secret")).status, 200);
  write("fresh");
  exporter.child().send_signal(SIGHUP);
  EXPECT_TRUE(exporter.child().says("msg=\"configuration reloaded\""));
  EXPECT_EQ(exporter.get("/metrics", basic("prom:fresh")).status, 200);
  EXPECT_EQ(exporter.get("/metrics", basic("prom:secret")).status, 401);
}

TEST_F(BasicAuth, WhatTheOldSettingsFoundRightTheNewOnesDoNotLetIn) {
  write("secret", "13");  // long enough for a reload to come in between
  RunningExporter exporter(setup());
  const std::string request = "GET /metrics HTTP/1.1\r\n" + basic("prom:secret") + "\r\n";
  HttpClient leaked = exporter.connect();
  leaked.send(request);
  EXPECT_TRUE(eventually([&] { return exporter.get("/-/healthy").status == 200; }));
  std::ofstream(directory_.file("web.yml")) << "basic_auth_users: {other: " << hash_of("other", "04") << "}\n";
  exporter.child().send_signal(SIGHUP);
  ASSERT_TRUE(exporter.child().says("msg=\"configuration reloaded\""));
  EXPECT_EQ(leaked.read_response().status, 401);
  EXPECT_EQ(exporter.get("/metrics", basic("other:other")).status, 200);
}

TEST_F(BasicAuth, NothingGoesOutInPlainOnceTlsIsSwitchedOnNotEvenForAPasswordUnderWay) {
  Authority ca;
  ca.sign("own", "DNS:localhost");
  write("secret", "13");
  RunningExporter exporter(setup());
  HttpClient pending = exporter.connect();
  std::ofstream(directory_.file("web.yml"), std::ios::app)
      << "tls_server_config: {cert_file: " << ca.certificate("own") << ", key_file: " << ca.key("own") << "}\n";
  pending.send("GET /metrics HTTP/1.1\r\n" + basic("prom:secret") + "\r\n");
  EXPECT_EQ(exporter.get("/-/healthy").status, 200);  // by now it has read the request, too
  exporter.child().send_signal(SIGHUP);
  ASSERT_TRUE(exporter.child().says("msg=\"configuration reloaded\""));
  EXPECT_TRUE(pending.is_closed_by_peer());
}

TEST_F(BasicAuth, GuessingHoldsUpNobodyElseAndIsTurnedAwayWhenTooManyWait) {
  write("secret", "12");
  RunningExporter exporter(setup());
  EXPECT_EQ(exporter.get("/metrics", basic("prom:secret")).status, 200);
  std::vector<HttpClient> guessers;
  for (int i = 0; i < 40; ++i) {
    guessers.push_back(exporter.connect());
    guessers.back().send("GET /metrics HTTP/1.1\r\n" + basic("prom:guess" + std::to_string(i)) + "\r\n");
  }
  // All guesses take some eight seconds of hashing; the holder of a password that is known waits for none of it.
  const std::string turned_away = "shmetrics_exporter_requests_total{code=\"503\",handler=\"metrics\"} ";
  const std::string alone = "shmetrics_exporter_requests_in_flight 1\n";
  std::string text;
  do {
    text = exporter.get("/metrics", basic("prom:secret")).body;
  } while (text.find(turned_away + "0\n") != std::string::npos && text.find(alone) == std::string::npos);
  EXPECT_THAT(text, HasSubstr(turned_away));
  EXPECT_THAT(text, Not(HasSubstr(turned_away + "0\n")));
  EXPECT_THAT(text, Not(HasSubstr(alone))) << "no guess waits any more";
  EXPECT_TRUE(exporter.is_healthy());
  exporter.child().send_signal(SIGTERM);
  EXPECT_EQ(exporter.child().exit_code(std::chrono::seconds(30)), 0);
}

TEST_F(BasicAuth, TwentyGuessersKeepNoRightLoginOutThatWasNeverSeen) {
  write("secret", "10");
  RunningExporter exporter(setup());
  std::vector<HttpClient> guessers;
  int right = 0;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 20; ++i) {
      guessers.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.0.7"));
      guessers.back().send("GET /metrics HTTP/1.1\r\n" + basic("prom:guess" + std::to_string(round * 20 + i)) + "\r\n");
    }
    write("secret-" + std::to_string(round), "10");  // so that nothing remembered helps
    exporter.child().send_signal(SIGHUP);
    const std::string request = "GET /metrics HTTP/1.1\r\n" + basic("prom:secret-" + std::to_string(round)) + "\r\n";
    EXPECT_TRUE(eventually([&] {  // the reload takes a moment
      const int status = HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.0.8").exchange(request).status;
      EXPECT_NE(status, 503);
      return status == 200;
    }));
    ++right;
  }
  EXPECT_EQ(right, 12);
}

TEST_F(BasicAuth, AReloadForgetsNoLogin) {
  write("secret", "12");
  RunningExporter exporter(setup());
  EXPECT_EQ(exporter.get("/metrics", basic("prom:secret")).status, 200);
  exporter.child().send_signal(SIGHUP);
  ASSERT_TRUE(exporter.child().says("msg=\"configuration reloaded\""));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(exporter.get("/metrics", basic("prom:secret")).status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(150)) << "it was computed again";
}

TEST_F(BasicAuth, UsersAreNotSwitchedOffByAReload) {
  RunningExporter exporter(setup());
  std::ofstream(directory_.file("web.yml")) << "";
  exporter.child().send_signal(SIGHUP);
  EXPECT_TRUE(exporter.child().says("error=\"basic_auth_users is gone from the configuration"));
  EXPECT_EQ(exporter.get("/metrics").status, 401);
  EXPECT_EQ(exporter.get("/metrics", basic("prom:secret")).status, 200);
}

TEST_F(BasicAuth, UnequalCostsAreWarnedOf) {
  std::ofstream(directory_.file("web.yml"))
      << "basic_auth_users: {a: " << hash_of("x", "04") << ", b: " << hash_of("y", "05") << "}\n";
  RunningExporter exporter(setup());
  EXPECT_THAT(exporter.child().err(), HasSubstr("the bcrypt costs of basic_auth_users differ"));
}

TEST_F(BasicAuth, NoPasswordIsLogged) {
  ExporterSetup verbose = setup();
  verbose.flags.emplace_back("--log.level=debug");
  RunningExporter exporter(verbose);
  exporter.get("/metrics", basic("prom:secret"));
  exporter.get("/metrics", basic("prom:hunter2"));
  EXPECT_TRUE(exporter.child().says("cause=invalid_credential"));
  for (const char* word : {"secret", "hunter2", "$2b$"}) {
    EXPECT_EQ(exporter.child().err().find(word), std::string::npos) << word;
  }
}

TEST_F(BasicAuth, NoCredentialThatWasShownStaysInMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a sanitizer keeps what was freed";
#endif
  write("password-shown");
  RunningExporter exporter(setup());
  const pid_t pid = exporter.child().pid();
  if (!copies_in_memory(pid, "")) GTEST_SKIP() << "may not look into another process";
  auto idle = exporter.connect();  // answered, and then open for as long as it likes
  EXPECT_EQ(idle.exchange("GET /metrics HTTP/1.1\r\n" + basic("prom:password-shown") + "\r\n").status, 200);
  EXPECT_EQ(idle.exchange("GET /-/healthy HTTP/1.1\r\nHost: x\r\nX: " + std::string(300, 'x') + "\r\n\r\n").status,
            200);
  const std::string bearer = "Host: localhost\r\nAuthorization: Bearer ";
  EXPECT_EQ(exporter.get("/metrics", bearer + kToken + "\r\n").status, 200);
  EXPECT_EQ(exporter.get("/metrics", bearer + "a-wrong-bearer-token\r\n").status, 401);
  EXPECT_EQ(exporter.get("/metrics?token=a-wrong-query-token").status, 401);
  EXPECT_EQ(exporter.get("/metrics?token=a-wr%6fng-coded-token").status, 401);
  EXPECT_EQ(exporter.get("/metrics", basic("prom:another-password-that-is-wrong")).status, 401);
  for (const std::string& secret :
       {std::string("password-shown"), std::string(kToken), std::string("a-wrong-bearer"), std::string("a-wrong-query"),
        std::string("a-wrong-coded"), std::string("a-wr%6fng"), std::string("another-password-that")}) {
    EXPECT_TRUE(eventually([&] { return copies_in_memory(pid, secret) == 0U; }))
        << secret << ": " << *copies_in_memory(pid, secret);
  }
  EXPECT_GT(*copies_in_memory(pid, "prom"), 0U) << "what is kept is found";
  // A digest that anybody can compute would make guessing cheap again for who has a core.
  const std::string hash = hash_of("password-shown", "05");
  EXPECT_EQ(copies_in_memory(pid, sha256("4:prom60:" + hash + "14:password-shown")), 0U);
  EXPECT_GT(*copies_in_memory(pid, sha256(kToken)), 0U) << "what is kept of a token is found";
}

TEST_F(BasicAuth, TheMemoryThatHoldsSecretsIsClosedToItsOwnUserAndLeavesNoCore) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a sanitizer looks for leaks as a debugger";
#endif
  if (geteuid() != 0) GTEST_SKIP() << "only root can run a program as another user";
  constexpr uid_t kOwner = 12001;
  ChildProcess open_to_its_user({.argv = {"sleep", "60"}, .user = kOwner});
  RunningExporter closed({.user = kOwner});
  EXPECT_TRUE(eventually([&] { return owner_of_memory(open_to_its_user) == kOwner; })) << "what is closed is told";
  EXPECT_EQ(owner_of_memory(closed.child()), 0U);
}

}  // namespace
}  // namespace shmetrics::tests
