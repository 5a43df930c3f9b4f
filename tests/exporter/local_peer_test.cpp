// Who is local: real programs of several users, and real proxies on the same machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <shmetrics/shmetrics.hpp>

#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uid_t kOwner = 12001, kStranger = 12002;  // of the exporter, and of clients and proxies

class LocalPeer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can run programs as other users";
    chmod(directory_.file(".").c_str(), 0777);
  }

  static ExporterSetup setup(const std::string& listen_address = "127.0.0.1:0") {
    return {.listen_address = listen_address, .user = kOwner};
  }

  /// What curl says as this user: the status, 000 where there was no answer.
  static std::string curl(uid_t user, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}"});
    ChildProcess process({.argv = arguments, .user = user});
    process.exit_code();
    return process.out();
  }

  /// A proxy of the stranger's, which listens on `socket_`. False: it does not start.
  bool starts(ChildProcess& proxy) const {
    return eventually([&] { return access(socket_.c_str(), F_OK) == 0 || !proxy.runs(); }) && proxy.runs();
  }

  /// Nobody is let in through the proxy without a token, whatever Host the client says, and everybody with it.
  void expect_foreign() const {
    for (const char* host : {"localhost", "metrics.example.org", "127.0.0.1:5000"}) {
      const std::string head = "GET /metrics HTTP/1.1\r\nHost: " + std::string(host) + "\r\n";
      EXPECT_EQ(HttpClient::unix_socket(socket_).exchange(head + "\r\n").status, 401) << host;
      const std::string bearer = head + "Authorization: Bearer " + kToken + "\r\n\r\n";
      EXPECT_EQ(HttpClient::unix_socket(socket_).exchange(bearer).status, 200) << host;
    }
  }

  std::string nginx_configuration(const std::string& location) const {
    const std::string path = directory_.file("nginx.conf");
    std::ofstream file(path);
    file << "daemon off;\nmaster_process off;\nerror_log stderr;\npid " << directory_.file("nginx.pid")
         << ";\nevents {}\nhttp {\n  access_log off;\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      file << "  " << kind << "_temp_path " << directory_.file(kind) << ";\n";
    }
    file << "  server {\n    listen unix:" << socket_ << ";\n    location / {\n" << location << "\n    }\n  }\n}\n";
    return path;
  }

  TemporaryFolder directory_;
  std::string socket_ = directory_.file("proxy.sock");
};

TEST_F(LocalPeer, TheOwnUserAndRootNeedNoTokenAndAnotherUserDoes) {
  RunningExporter exporter(setup());
  const std::string url = "http://localhost:" + std::to_string(exporter.port());
  EXPECT_EQ(curl(kOwner, {url + "/api/metrics"}), "200");
  EXPECT_EQ(curl(0, {url + "/api/metrics"}), "200");
  EXPECT_EQ(curl(kStranger, {url + "/api/metrics"}), "401");
  EXPECT_TRUE(exporter.child().says("cause=peer_uid peer=127.0.0.1:")) << exporter.child().err();
  EXPECT_THAT(exporter.child().err(), HasSubstr(" uid=12002 "));
  EXPECT_EQ(curl(kStranger, {"-H", std::string("Authorization: Bearer ") + kToken, url + "/api/metrics"}), "200");
  // The health check of deploy/docker/Dockerfile, whoever runs it.
  EXPECT_EQ(curl(kStranger, {"-f", url + "/-/healthy"}), "200");
}

TEST_F(LocalPeer, ItIsTheSameForIpv6AndForBothFamiliesInOneSocket) {
  for (const auto& [address, host] : {std::pair{"[::1]:0", "[::1]"}, {"[::]:0", "[::1]"}, {"[::]:0", "127.0.0.1"}}) {
    const RunningExporter exporter(setup(address));
    const std::string url = std::string("http://") + host + ":" + std::to_string(exporter.port()) + "/metrics";
    EXPECT_EQ(curl(kOwner, {"-g", url}), "200") << address << " by " << host;
    EXPECT_EQ(curl(kStranger, {"-g", url}), "401") << address << " by " << host;
  }
}

TEST_F(LocalPeer, WhereAllUsersOutsideLookLikeOneNobodyIsOurselves) {
  const std::vector<std::string> launcher{"unshare", "--user", "--map-user=65534", "--map-group=65534"};
  if (run_command({"unshare", "--user", "--map-user=65534", "true"}).code != 0) GTEST_SKIP() << "no user namespaces";
  const std::string path = directory_.file("a.seg");
  // Root makes the segment and runs the exporter, which is 65534 there; so is everybody else.
  const pid_t worker = forked([&path]() -> int {
    shmetrics::Options options;
    options.path = path;
    shmetrics::Registry::open(options).counter("things_total", "Things").inc();
    return 0;
  });
  ASSERT_EQ(wait_for(worker), 0);
  RunningExporter exporter({.segment = path, .launcher = launcher});
  const std::string url = "http://localhost:" + std::to_string(exporter.port()) + "/metrics";
  for (const uid_t user : {uid_t{0}, kStranger}) EXPECT_EQ(curl(user, {url}), "401") << user;
  const std::string bearer = std::string("Authorization: Bearer ") + kToken + "\r\n";
  EXPECT_EQ(exporter.values(bearer)["shmetrics_segment_up"], 0);
  EXPECT_TRUE(exporter.child().says("pass --segment.owner=65534")) << exporter.child().err();
  const RunningExporter told({.flags = {"--segment.owner=65534"}, .segment = path, .launcher = launcher});
  EXPECT_EQ(told.values(bearer)["shmetrics_segment_up"], 1);
}

TEST_F(LocalPeer, ItIsTheSameForUnixSockets) {
  const std::string path = directory_.file("exporter.sock");
  RunningExporter exporter(setup("unix:" + path));
  chmod(path.c_str(), 0666);
  EXPECT_EQ(curl(kOwner, {"--unix-socket", path, "http://localhost/metrics"}), "200");
  EXPECT_EQ(curl(0, {"--unix-socket", path, "http://localhost/metrics"}), "200");
  EXPECT_EQ(curl(kStranger, {"--unix-socket", path, "http://localhost/metrics"}), "401");
  EXPECT_TRUE(exporter.child().says("cause=peer_uid peer=unix uid=12002")) << exporter.child().err();
}

TEST_F(LocalPeer, AStrangerWhoGuessesTokensWaitsAndWhoIsRightDoesNot) {
  const RunningExporter exporter(setup());
  const std::string url = "http://localhost:" + std::to_string(exporter.port()) + "/metrics";
  const auto seconds_for = [&](const std::string& token) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(curl(kStranger, {"-H", "Authorization: Bearer " + token, url}), token == kToken ? "200" : "401");
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (int i = 0; i < 10; ++i) seconds_for("guess-" + std::to_string(i));
  EXPECT_GE(seconds_for("another-guess"), 2.0);
  EXPECT_LT(seconds_for(kToken), 1.9);
}

TEST_F(LocalPeer, EveryConditionThatFailsIsNamedInTheLog) {
  RunningExporter exporter(setup());
  EXPECT_EQ(exporter.get("/metrics", "Host: myhost:5000\r\n").status, 401);
  EXPECT_EQ(exporter.connect().exchange("GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").status, 401);
  EXPECT_EQ(exporter.get("/metrics", "Host: localhost\r\nx-forwarded-for: secret-value\r\n").status, 401);
  for (const char* line : {"cause=host peer=127.0.0.1:", "cause=version peer=127.0.0.1:", "cause=header peer="}) {
    EXPECT_TRUE(exporter.child().says(line)) << line << exporter.child().err();
  }
  EXPECT_THAT(exporter.child().err(), HasSubstr(" header=X-Forwarded* "));
  EXPECT_THAT(exporter.child().err(), Not(HasSubstr("secret-value")));
}

TEST_F(LocalPeer, NginxThatSpeaksHttp11IsAStranger) {
  if (access("/usr/sbin/nginx", X_OK) != 0) GTEST_SKIP() << "no nginx here";
  const std::string own_socket = directory_.file("exporter.sock");
  for (const std::string& listen : {std::string("127.0.0.1:0"), "unix:" + own_socket}) {
    for (const char* extra : {"", "proxy_set_header Host $host;"}) {
      const RunningExporter exporter(setup(listen));
      if (exporter.port() == 0) chmod(own_socket.c_str(), 0666);
      const std::string upstream =
          exporter.port() == 0 ? "unix:" + own_socket : "127.0.0.1:" + std::to_string(exporter.port());
      const std::string configuration =
          nginx_configuration("proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass http://" +
                              upstream + (exporter.port() == 0 ? ":;" : ";") + extra);
      ChildProcess nginx({.argv = {"/usr/sbin/nginx", "-e", "stderr", "-c", configuration}, .user = kStranger});
      ASSERT_TRUE(starts(nginx)) << nginx.err();
      expect_foreign();
      unlink(socket_.c_str());
    }
  }
}

TEST_F(LocalPeer, HaproxyWithoutForwardforIsAStranger) {
  if (access("/usr/sbin/haproxy", X_OK) != 0) GTEST_SKIP() << "no haproxy here";
  RunningExporter exporter(setup());
  std::ofstream(directory_.file("haproxy.cfg"))
      << "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\nlisten all\n  bind "
      << socket_ << " mode 666\n  server exporter 127.0.0.1:" << exporter.port() << "\n";
  ChildProcess haproxy({.argv = {"/usr/sbin/haproxy", "-db", "-f", directory_.file("haproxy.cfg")}, .user = kStranger});
  ASSERT_TRUE(starts(haproxy)) << haproxy.err();
  expect_foreign();
  EXPECT_TRUE(exporter.child().says("cause=peer_uid")) << exporter.child().err();
}

TEST_F(LocalPeer, SocatIsAStranger) {
  if (access("/usr/bin/socat", X_OK) != 0) GTEST_SKIP() << "no socat here";
  RunningExporter exporter(setup());
  const std::string target = "TCP:127.0.0.1:" + std::to_string(exporter.port());
  ChildProcess socat({.argv = {"/usr/bin/socat", "UNIX-LISTEN:" + socket_ + ",fork", target}, .user = kStranger});
  ASSERT_TRUE(starts(socat)) << socat.err();
  expect_foreign();
  EXPECT_TRUE(exporter.child().says("cause=peer_uid")) << exporter.child().err();
}

}  // namespace
}  // namespace shmetrics::tests
