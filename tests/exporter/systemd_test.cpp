// What a service manager does to the exporter, done here by hand: sockets passed, states told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/exporter/slow_open.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kReady = "GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n";

/// A datagram socket as NOTIFY_SOCKET names it.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) : path_(path), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("bind");
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~NotifySocket() { close(fd_); }
  NotifySocket(const NotifySocket&) = delete;
  std::string environment() const { return "NOTIFY_SOCKET=" + path_; }
  std::string next() const {
    char message[500];
    const ssize_t size = recv(fd_, message, sizeof message, 0);
    return size < 0 ? "nothing in 20 s" : std::string(message, static_cast<std::size_t>(size));
  }

 private:
  std::string path_;
  int fd_;
};

TEST(Systemd, IsToldOfReadinessReloadAndEnd) {
  const TemporaryFolder directory;
  const NotifySocket systemd(directory.file("notify"));
  RunningExporter exporter({.environment = {systemd.environment()}});
  EXPECT_EQ(systemd.next(), "READY=1");
  EXPECT_TRUE(exporter.is_healthy());
  exporter.child().send_signal(SIGHUP);
  EXPECT_THAT(systemd.next(), ::testing::MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  EXPECT_EQ(systemd.next(), "READY=1");
  exporter.child().send_signal(SIGTERM);
  EXPECT_EQ(systemd.next(), "STOPPING=1");
  EXPECT_EQ(exporter.child().exit_code(), 0);
}

TEST(Systemd, IsToldOfReadinessAfterTheFirstLookOrFiveSeconds) {
  const TemporaryFolder directory;
  const std::string marker = directory.file("slow");
  const NotifySocket systemd(directory.file("notify"));
  std::ofstream(marker) << "x";
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::string> environment = slow_while(marker);
  environment.push_back(systemd.environment());
  RunningExporter exporter({.environment = environment});
  EXPECT_TRUE(exporter.is_healthy());
  EXPECT_EQ(systemd.next(), "READY=1");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

/// The exporter started by `systemd-socket-activate`, which listens and starts it at the first connection.
class Activated {
 public:
  explicit Activated(const std::vector<std::string>& activate_flags) : child_(command_of(activate_flags)) {}
  ChildProcess& child() { return child_; }

 private:
  static ChildProcess::Command command_of(const std::vector<std::string>& flags) {
    ChildProcess::Command command{.argv = {"systemd-socket-activate"}};
    command.argv.insert(command.argv.end(), flags.begin(), flags.end());
    for (const char* word : {SHMETRICS_EXPORTER_PROGRAM, "--segment=/tmp/none.seg", "--web.systemd-socket"}) {
      command.argv.emplace_back(word);
    }
    return command;
  }
  ChildProcess child_;
};

bool has_program(const char* path) {
  return access(path, X_OK) == 0;
}

TEST(Systemd, PassesSocketsOfEveryKindWithNamesOrWithout) {
  if (!has_program("/usr/bin/systemd-socket-activate")) GTEST_SKIP() << "no systemd-socket-activate here";
  const TemporaryFolder directory;
  const std::string path = directory.file("a.sock");
  for (const std::string names : {"", "--fdname=web:local"}) {
    std::vector<std::string> flags{"-l", "127.0.0.1:17391", "-l", path};
    if (!names.empty()) flags.push_back(names);
    Activated exporter(flags);
    ASSERT_TRUE(exporter.child().says("Listening on " + path)) << exporter.child().err();
    EXPECT_EQ(HttpClient::unix_socket(path).exchange(kReady).status, 200);
    EXPECT_EQ(HttpClient::tcp4(17391).exchange(kReady).status, 200);
    EXPECT_THAT(exporter.child().err(), HasSubstr("msg=\"listening\" address=127.0.0.1:17391"));
    EXPECT_THAT(exporter.child().err(), Not(HasSubstr(":5000")));
    exporter.child().send_signal(SIGTERM);
    EXPECT_EQ(exporter.child().exit_code(), 0);
    EXPECT_EQ(access(path.c_str(), F_OK), 0) << "the socket is systemd's, not ours to remove";
  }
}

TEST(Systemd, WithoutASocketTheStartFailsAndSaysWhatToDo) {
  ChildProcess child({.argv = {SHMETRICS_EXPORTER_PROGRAM, "--web.systemd-socket"}});
  EXPECT_EQ(child.exit_code(), 1);
  EXPECT_THAT(child.err(), HasSubstr("systemd passed no socket"));
}

TEST(Systemd, ASocketThatDoesNotListenIsRefused) {
  if (!has_program("/usr/bin/systemd-socket-activate")) GTEST_SKIP() << "no systemd-socket-activate here";
  const TemporaryFolder directory;
  const std::string path = directory.file("datagram.sock");
  ChildProcess child({.argv = {"systemd-socket-activate", "--datagram", "-l", path, SHMETRICS_EXPORTER_PROGRAM,
                               "--web.systemd-socket"}});
  ASSERT_TRUE(child.says("Listening on " + path)) << child.err();
  const int peer = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(sendto(peer, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address), 1);
  close(peer);
  EXPECT_EQ(child.exit_code(), 1);
  EXPECT_THAT(child.err(), HasSubstr("descriptor 3 is no TCP or unix socket that listens"));
}

}  // namespace
}  // namespace shmetrics::tests
