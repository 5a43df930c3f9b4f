// Every limit of a connection: the one who goes past it, the one who does not, and the counter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <list>

#include "tests/exporter/large_segment.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

const std::string kScrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
const std::string kReady = "GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string counted(const std::string& reason, int times) {
  return "\nshmetrics_exporter_connections_closed_total{reason=\"" + reason + "\"} " + std::to_string(times) + "\n";
}

TEST(Limits, ConnectionsInAllAreBoundedAndCounted) {
  RunningExporter exporter({.flags = {"--web.max-connections=3"}});
  std::list<HttpClient> hoard;
  for (const char* from : {"127.0.0.2", "127.0.0.3", "127.0.0.4"}) {
    hoard.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", from));
    EXPECT_EQ(hoard.back().exchange(kScrape).status, 200);
  }
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(exporter.connect().is_closed_by_peer());
  EXPECT_THAT(hoard.front().exchange(kScrape).body, HasSubstr(counted("max_connections", 5)));
  EXPECT_TRUE(exporter.child().says("reason=max_connections "));
  EXPECT_THAT(exporter.child().err(), ::testing::Not(HasSubstr("reason=max_connections peer=127.0.0.2")));
}

TEST(Limits, ConnectionsOfAPeerAreBoundedAndCounted) {
  RunningExporter exporter({.flags = {"--web.max-connections-per-peer=2"}});
  auto first = exporter.connect();
  auto second = exporter.connect();
  EXPECT_EQ(first.exchange(kScrape).status, 200);
  EXPECT_EQ(second.exchange(kScrape).status, 200);
  EXPECT_TRUE(exporter.connect().is_closed_by_peer());
  auto other = HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.0.2");
  EXPECT_EQ(other.exchange(kReady).status, 200);
  EXPECT_THAT(first.exchange(kScrape).body, HasSubstr(counted("max_connections_per_peer", 1)));
}

TEST(Limits, AHeaderHasADeadlineFromTheConnectionAndAgainFromItsFirstByte) {
  RunningExporter exporter({.flags = {"--web.header-timeout=300ms"}});
  EXPECT_TRUE(exporter.connect().is_closed_by_peer());
  auto later = exporter.connect();
  EXPECT_EQ(later.exchange(kReady).status, 200);
  std::this_thread::sleep_for(500ms);  // idle is another matter
  EXPECT_EQ(later.exchange(kReady).status, 200);
  later.send("G");
  EXPECT_TRUE(later.is_closed_by_peer());
  EXPECT_THAT(exporter.get("/metrics").body, HasSubstr(counted("header_timeout", 2)));
  EXPECT_TRUE(exporter.child().says("reason=header_timeout"));
}

TEST(Limits, AConnectionMayBeIdleForAWhile) {
  RunningExporter exporter({.flags = {"--web.idle-timeout=300ms"}});
  auto client = exporter.connect();
  std::this_thread::sleep_for(500ms);  // before its first request it is not idle
  EXPECT_EQ(client.exchange(kReady).status, 200);
  EXPECT_TRUE(client.is_closed_by_peer());
  EXPECT_THAT(exporter.get("/metrics").body, HasSubstr(counted("idle_timeout", 1)));
}

TEST(Limits, AConnectionEndsInOrderAfterAThousandRequests) {
  RunningExporter exporter;
  auto client = exporter.connect();
  for (int i = 1; i < 1000; ++i) ASSERT_EQ(client.exchange(kReady).header("Connection"), "") << i;
  const HttpResponse last = client.exchange(kReady);
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_TRUE(client.is_closed_by_peer());
  EXPECT_THAT(exporter.get("/metrics").body, HasSubstr(counted("max_requests", 1)));
}

class LargeResponse : public ::testing::Test {
 protected:
  TemporaryFolder directory_;
  LargeSegment segment_{directory_.file("large.seg")};
  RunningExporter exporter_{{.flags = {"--web.write-timeout=1200ms"}, .segment = directory_.file("large.seg")}};
};

TEST_F(LargeResponse, IsTakenAwayFromWhoDoesNotReadIt) {
  auto stuck = HttpClient::tcp4(exporter_.port());
  stuck.send(kScrape);
  EXPECT_TRUE(exporter_.child().says("reason=write_timeout"));
  EXPECT_THAT(exporter_.get("/metrics").body, HasSubstr(counted("write_timeout", 1)));
  EXPECT_THROW(stuck.read_response(), std::runtime_error);
}

TEST_F(LargeResponse, IsServedToWhoReadsSlowly) {
  auto slow = HttpClient::tcp4(exporter_.port());
  slow.send(kScrape);
  const auto start = std::chrono::steady_clock::now();
  slow.read_each(10ms);
  const HttpResponse response = slow.read_response();
  EXPECT_EQ(response.body.size(), std::stoul(response.header("Content-Length")));
  EXPECT_GT(std::chrono::steady_clock::now() - start, 2400ms) << "too fast to be called slow";
  EXPECT_THAT(exporter_.get("/metrics").body, HasSubstr(counted("write_timeout", 0)));
}

TEST_F(LargeResponse, IsFinishedBeforeTheEnd) {
  auto slow = HttpClient::tcp4(exporter_.port());
  slow.send(kScrape);
  EXPECT_TRUE(exporter_.is_healthy());  // answered after the scrape, of which the kernel holds back the larger part
  exporter_.child().send_signal(SIGTERM);
  EXPECT_TRUE(exporter_.child().says("msg=\"stopping\" connections=1"));
  const HttpResponse response = slow.read_response();
  EXPECT_EQ(response.body.size(), std::stoul(response.header("Content-Length")));
  // Without waiting for the rest of the 5 s in case the client asks for more.
  EXPECT_EQ(exporter_.child().exit_code(4s), 0);
}

/// `rate_limit` of a web configuration, which can be replaced.
class RateLimit : public ::testing::Test {
 protected:
  void write(const std::string& interval, int burst) const {
    std::ofstream(folder_.file("new")) << "rate_limit: {interval: " << interval << ", burst: " << burst << "}\n";
    std::filesystem::rename(folder_.file("new"), folder_.file("web.yml"));
  }
  ExporterSetup setup() const { return {.flags = {"--web.config.file=" + folder_.file("web.yml")}}; }

  TemporaryFolder folder_;
};

TEST_F(RateLimit, BeyondItAre429WithTheirTimeUntilAReloadAllowsMore) {
  write("1h", 3);
  RunningExporter exporter(setup());
  auto client = exporter.connect();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.exchange(kScrape).status, 200);
  const HttpResponse refused = client.exchange(kScrape);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.body, "too many requests\n");
  EXPECT_GT(std::stoi(refused.header("Retry-After")), 3500);
  EXPECT_LE(std::stoi(refused.header("Retry-After")), 3600);
  EXPECT_EQ(client.exchange(kReady).status, 200) << "the connection goes on";
  for (const char* path : {"/", "/ui/", "/api/v1/snapshot", "/nothing"}) EXPECT_EQ(exporter.get(path).status, 429);
  EXPECT_TRUE(exporter.child().says("status=429 cause=rate_limit"));
  write("0", 1);
  exporter.child().send_signal(SIGHUP);
  EXPECT_TRUE(exporter.child().says("msg=\"configuration reloaded\""));
  EXPECT_THAT(exporter.text(), HasSubstr("\nshmetrics_exporter_requests_total{code=\"429\",handler=\"metrics\"} 1\n"));
}

TEST_F(RateLimit, StrangersAndWhatIsOpenToAllTakeNothing) {
  write("1h", 2);
  const RunningExporter exporter(setup());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(exporter.get("/metrics", "Host: elsewhere\r\n").status, 401);
    EXPECT_TRUE(exporter.is_healthy());
    EXPECT_EQ(exporter.get("/ui/icon.svg").status, 200);
  }
  EXPECT_EQ(exporter.get("/metrics").status, 200);
  EXPECT_EQ(exporter.get("/metrics").status, 200);
  EXPECT_EQ(exporter.get("/metrics").status, 429);
  EXPECT_EQ(exporter.get("/metrics", "Host: elsewhere\r\n").status, 401);
  EXPECT_TRUE(exporter.is_healthy());
}

TEST_F(RateLimit, WhoWaitsIsServedAgain) {
  write("300ms", 1);
  const RunningExporter exporter(setup());
  EXPECT_EQ(exporter.get("/metrics").status, 200);
  EXPECT_TRUE(eventually([&] { return exporter.get("/metrics").status == 200; }));
}

}  // namespace
}  // namespace shmetrics::tests
