// Start, failure to start, end: exit codes and what is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "tests/exporter/slow_open.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Ended {
  int code;
  std::string out, err;
  auto lines() const { return std::count(err.begin(), err.end(), '\n'); }
};

Ended run(const std::vector<std::string>& flags, const std::vector<std::string>& environment = {}) {
  ChildProcess::Command command{.argv = {SHMETRICS_EXPORTER_PROGRAM}, .environment = environment};
  command.argv.insert(command.argv.end(), flags.begin(), flags.end());
  ChildProcess child(command);
  const int code = child.exit_code().value_or(-1);
  return {code, child.out(), child.err()};
}

TEST(Lifecycle, HelpAndVersionAreAnsweredOnStdout) {
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_THAT(run({"--help"}).out, HasSubstr("--web.listen-address"));
  EXPECT_THAT(run({"--version"}).out, HasSubstr("shmetrics-exporter, version "));
  EXPECT_EQ(run({"--version"}).err, "");
}

TEST(Lifecycle, AWrongCommandLineIsExitCode2AndOneLine) {
  for (const char* flag :
       {"--unknown", "--web.listen-address=5000", "--log.level=loud", "--web.listen-addres=:1", "stray"}) {
    const Ended ended = run({flag});
    EXPECT_EQ(ended.code, 2) << flag;
    EXPECT_EQ(ended.lines(), 1) << ended.err;
    EXPECT_EQ(ended.out, "");
  }
}

TEST(Lifecycle, APortInUseIsExitCode1AndOneLineWithAddressAndFlag) {
  const RunningExporter exporter;
  const std::string address = "127.0.0.1:" + std::to_string(exporter.port());
  const Ended ended = run({"--web.listen-address", address}, {std::string("METRICS_TOKEN=") + kToken});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.lines(), 1) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr(address));
  EXPECT_THAT(ended.err, HasSubstr("--web.listen-address"));
}

TEST(Lifecycle, AnAddressThatIsNotOursIsExitCode1) {
  for (const char* address : {"203.0.113.1:0", "name.invalid:1", "unix:/nowhere/a.sock"}) {
    const Ended ended = run({"--web.listen-address", address});
    EXPECT_EQ(ended.code, 1) << address;
    EXPECT_EQ(ended.lines(), 1) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(address));
  }
}

TEST(Lifecycle, ATokenThatIsNoneIsExitCode1AndNotRepeated) {
  const Ended ended = run({}, {"METRICS_TOKEN=fine-token-of-length,hush hush"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.lines(), 1);
  EXPECT_THAT(ended.err, HasSubstr("METRICS_TOKEN"));
  EXPECT_THAT(ended.err, Not(HasSubstr("hush")));
}

TEST(Lifecycle, WeakSpotsAreWarnedOf) {
  RunningExporter exporter({.token = "short-one"});
  EXPECT_THAT(exporter.child().err(), HasSubstr("level=warn msg=\"a token is shorter than 16 characters"));
  EXPECT_THAT(exporter.child().err(), HasSubstr("--no-web.localhost-bypass"));
  RunningExporter sound({.flags = {"--no-web.localhost-bypass"}});
  EXPECT_THAT(sound.child().err(), Not(HasSubstr("shorter than 16")));
  EXPECT_THAT(sound.child().err(), Not(HasSubstr("--no-web.localhost-bypass")));
}

TEST(Lifecycle, BeingReachableFromElsewhereWithoutATokenOrTlsIsSaid) {
  const ExporterSetup open{.token = "", .listen_address = "0.0.0.0:0"};
  EXPECT_THAT(RunningExporter(open).child().err(), HasSubstr("level=warn msg=\"reachable from other machines without"));
  const ExporterSetup plain{.listen_address = "0.0.0.0:0"};
  EXPECT_THAT(RunningExporter(plain).child().err(),
              HasSubstr("level=info msg=\"reachable from other machines without"));
  EXPECT_THAT(RunningExporter().child().err(), Not(HasSubstr("reachable")));
}

TEST(Lifecycle, ThatNobodyIsLetInIsWarnedOf) {
  const ExporterSetup closed{.flags = {"--no-web.localhost-bypass"}, .token = ""};
  EXPECT_THAT(RunningExporter(closed).child().err(),
              HasSubstr("level=warn msg=\"no token and no localhost bypass: nobody"));
  const ExporterSetup local{.token = ""};
  EXPECT_THAT(RunningExporter(local).child().err(), HasSubstr("level=info msg=\"no token: only local requests"));
}

TEST(Lifecycle, RootIsWarnedAndAnotherUserIsNot) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  RunningExporter exporter;
  EXPECT_THAT(exporter.child().err(), HasSubstr("level=warn msg=\"running as root"));
  ChildProcess other({.argv = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               SHMETRICS_EXPORTER_PROGRAM, "--web.listen-address=127.0.0.1:0"}});
  EXPECT_TRUE(other.says("\"listening\"")) << other.err();
  EXPECT_THAT(other.err(), Not(HasSubstr("running as root")));
}

TEST(Lifecycle, AMissingSegmentIsNoError) {
  const RunningExporter exporter;
  const HttpResponse response = exporter.get("/api/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(response.body, HasSubstr("\nshmetrics_segment_up 0\n"));
  EXPECT_THAT(response.body, HasSubstr("\nprocess_open_fds "));
}

TEST(Lifecycle, ASegmentOfRubbishIsNotUpAndSaidOnce) {
  const TemporaryFolder directory;
  std::ofstream(directory.file("a.seg")) << std::string(100000, 'x');
  RunningExporter exporter({.segment = directory.file("a.seg")});
  for (int i = 0; i < 5; ++i) EXPECT_THAT(exporter.get("/metrics").body, HasSubstr("\nshmetrics_segment_up 0\n"));
  const std::string log = exporter.child().err();
  const std::size_t first = log.find("the segment is not up");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("the segment is not up", first + 1), std::string::npos);
}

/// A glob may match any file, and its path alone is for the log and for clients.
TEST(Lifecycle, NothingOfAFileThatIsNoSegmentReachesTheLogOrAClient) {
  const TemporaryFolder directory;
  std::ofstream(directory.file("a.seg")) << "root:x:0:0:" << std::string(100000, 'x');
  RunningExporter exporter({.segment = directory.file("a.seg")});
  std::string said = exporter.get("/metrics").body + exporter.get("/api/v1/snapshot").body;
  said += exporter.child().err();
  EXPECT_THAT(said, HasSubstr("a.seg is not a segment"));
  EXPECT_THAT(said, Not(HasSubstr("root:x")));
  EXPECT_THAT(said, Not(HasSubstr("303a783a746f6f72")));  // as a number
}

TEST(Lifecycle, ExporterMetricsCanBeSwitchedOff) {
  const RunningExporter exporter({.flags = {"--web.disable-exporter-metrics"}});
  const std::string text = exporter.get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("shmetrics_segment_up 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("process_")));
  EXPECT_THAT(text, Not(HasSubstr("shmetrics_exporter_")));
}

TEST(Lifecycle, SignalsEndItWithExitCode0) {
  for (const int signal : {SIGTERM, SIGINT}) {
    RunningExporter exporter;
    auto idle = exporter.connect();
    EXPECT_EQ(idle.exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
    exporter.child().send_signal(signal);
    // The connection that is idle is hung up on at once: an end that waited for it would take the 5 s of draining.
    EXPECT_EQ(exporter.child().exit_code(std::chrono::seconds(3)), 0);
    EXPECT_TRUE(idle.is_closed_by_peer());
  }
}

TEST(Lifecycle, ARequestUnderWayIsAnsweredBeforeTheEnd) {
  RunningExporter exporter;
  auto client = exporter.connect();
  client.send("GET /metrics HTTP/1.1\r\nHost: local");
  EXPECT_TRUE(exporter.is_healthy());  // by then the first half has been read too
  exporter.child().send_signal(SIGTERM);
  EXPECT_TRUE(exporter.child().says("msg=\"stopping\""));
  EXPECT_THROW(exporter.connect(), std::runtime_error);
  client.send("host\r\n\r\n");
  const HttpResponse response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_EQ(exporter.child().exit_code(std::chrono::seconds(4)), 0);
}

TEST(Lifecycle, DrainingEndsAfterFiveSecondsWhateverPeersDo) {
  RunningExporter exporter;
  auto client = exporter.connect();
  client.send("GET /metrics HTTP/1.1\r\n");
  EXPECT_TRUE(exporter.is_healthy());
  exporter.child().send_signal(SIGTERM);
  EXPECT_EQ(exporter.child().exit_code(std::chrono::seconds(8)), 0);
}

TEST(Lifecycle, DrainingEndsAfterFiveSecondsAlsoWhileASegmentIsRead) {
  const TemporaryFolder directory;
  const std::string marker = directory.file("slow");
  RunningExporter exporter({.environment = slow_while(marker)});
  std::ofstream(marker) << "x";
  auto client = exporter.connect();
  client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(marker + ".asleep"); }));
  exporter.child().send_signal(SIGTERM);
  EXPECT_EQ(exporter.child().exit_code(std::chrono::seconds(8)), 0);
}

TEST(Lifecycle, ASignalDuringTheFirstLookEndsItAtOnce) {
  const TemporaryFolder directory;
  const std::string marker = directory.file("slow");
  std::ofstream(marker) << "x";
  RunningExporter exporter({.environment = slow_while(marker)});
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(marker + ".asleep"); }));
  exporter.child().send_signal(SIGTERM);
  EXPECT_EQ(exporter.child().exit_code(std::chrono::seconds(3)), 0);
}

TEST(Lifecycle, ASecondSignalEndsItAtOnce) {
  RunningExporter exporter;
  auto client = exporter.connect();
  client.send("GET /metrics HTTP/1.1\r\n");
  EXPECT_TRUE(exporter.is_healthy());
  exporter.child().send_signal(SIGTERM);
  EXPECT_TRUE(exporter.child().says("msg=\"stopping\""));
  exporter.child().send_signal(SIGTERM);
  EXPECT_EQ(exporter.child().exit_code(std::chrono::seconds(3)), 0);
}

TEST(Lifecycle, TheUnixSocketHasMode0660AndIsRemoved) {
  const TemporaryFolder directory;
  const std::string path = directory.file("a.sock");
  RunningExporter exporter({.listen_address = "unix:" + path});
  struct stat file {};
  ASSERT_EQ(stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0660U);
  EXPECT_EQ(run({"--web.listen-address=unix:" + path}).code, 1);
  exporter.child().send_signal(SIGTERM);
  EXPECT_EQ(exporter.child().exit_code(), 0);
  EXPECT_NE(stat(path.c_str(), &file), 0);
}

TEST(Lifecycle, ASocketLeftByAKilledExporterIsReplacedAndAnotherFileIsNot) {
  const TemporaryFolder directory;
  const std::string path = directory.file("a.sock");
  {
    RunningExporter killed({.listen_address = "unix:" + path});
    killed.child().send_signal(SIGKILL);
    killed.child().exit_code();
  }
  struct stat file {};
  ASSERT_EQ(stat(path.c_str(), &file), 0);
  const RunningExporter exporter({.listen_address = "unix:" + path});
  EXPECT_EQ(HttpClient::unix_socket(path).exchange("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
  std::ofstream(directory.file("precious")) << "data";
  EXPECT_EQ(run({"--web.listen-address=unix:" + directory.file("precious")}).code, 1);
  EXPECT_EQ(std::filesystem::file_size(directory.file("precious")), 4U);
}

TEST(Lifecycle, SeveralAddressesAreServedAtOnce) {
  const TemporaryFolder directory;
  const RunningExporter exporter({.flags = {"--web.listen-address=unix:" + directory.file("a.sock")}});
  EXPECT_TRUE(exporter.is_healthy());
  EXPECT_EQ(
      HttpClient::unix_socket(directory.file("a.sock")).exchange("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n").status,
      200);
}

TEST(Lifecycle, EveryInterfaceIsOneSocketForBothFamiliesAndOneAddressIsNot) {
  const std::string probe = "GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const char* address : {":0", "[::]:0"}) {
    const RunningExporter exporter({.listen_address = address});
    EXPECT_EQ(HttpClient::tcp4(exporter.port()).exchange(probe).status, 200) << address;
    EXPECT_EQ(HttpClient::tcp6(exporter.port()).exchange(probe).status, 200) << address;
    EXPECT_EQ(exporter.get("/metrics").status, 200) << "IPv4 in a socket of IPv6 is as local as ever";
  }
  for (const char* address : {"127.0.0.1:0", "0.0.0.0:0"}) {
    const RunningExporter exporter({.listen_address = address});
    EXPECT_THROW(HttpClient::tcp6(exporter.port()), std::runtime_error) << address;
  }
  const RunningExporter exporter({.listen_address = "[::1]:0"});
  EXPECT_EQ(HttpClient::tcp6(exporter.port()).exchange(probe).status, 200);
  EXPECT_THROW(exporter.connect(), std::runtime_error);
}

TEST(Lifecycle, AnAddressThatAnotherFlagHasTakenIsRefusedByTheNameOfBoth) {
  const std::string port = std::to_string(RunningExporter({.listen_address = "127.0.0.1:0"}).port());
  for (const std::string& first : {"0.0.0.0:" + port, "127.0.0.1:" + port}) {
    const Ended ended = run({"--web.listen-address=" + first, "--web.listen-address=[::]:" + port});
    EXPECT_EQ(ended.code, 1);
    EXPECT_THAT(ended.err, HasSubstr("cannot listen on [::]:" + port + ": --web.listen-address=" + first));
  }
}

TEST(Lifecycle, JsonLinesAreObjects) {
  const Ended ended = run({"--log.format=json", "--web.listen-address=203.0.113.1:0"});
  EXPECT_TRUE(ended.err.starts_with("{\"ts\":\"")) << ended.err;
  EXPECT_TRUE(ended.err.ends_with("\"}\n")) << ended.err;
}

}  // namespace
}  // namespace shmetrics::tests
