// Peers that hoard: connections, descriptors, time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kScrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";
const std::string kBearer = std::string("Authorization: Bearer ") + kToken + "\r\n";

TEST(Overload, APeerHas64ConnectionsAndOthersAreServedMeanwhile) {
  RunningExporter exporter;
  std::list<HttpClient> hoard;
  for (int i = 0; i < 64; ++i) {
    hoard.push_back(exporter.connect());
    EXPECT_EQ(hoard.back().exchange(kScrape + "\r\n").status, 200);
  }
  EXPECT_TRUE(exporter.connect().is_closed_by_peer());
  auto other = HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.0.2");
  EXPECT_EQ(other.exchange("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
  EXPECT_TRUE(exporter.child().says("reason=max_connections_per_peer"));
  hoard.pop_front();
  EXPECT_TRUE(eventually([&] {
    try {
      return exporter.is_healthy();
    } catch (const std::runtime_error&) {
      return false;
    }
  }));
}

TEST(Overload, WhoWasNeverLetInMakesRoomForTheSamePeersNextConnection) {
  RunningExporter exporter;
  std::list<HttpClient> hoard;
  hoard.push_back(exporter.connect());
  EXPECT_EQ(hoard.back().exchange(kScrape + "\r\n").status, 200);
  for (int i = 0; i < 64; ++i) hoard.push_back(exporter.connect());
  EXPECT_EQ(exporter.get("/metrics", "Host: x\r\n" + kBearer).status, 200);
  EXPECT_EQ(hoard.front().exchange(kScrape + "\r\n").status, 200) << "who was let in keeps the connection";
  EXPECT_TRUE(std::next(hoard.begin())->is_closed_by_peer()) << "the oldest of the others goes";
}

TEST(Overload, EightAddressesOfStrangersKeepNeitherAScraperNorAProbeOut) {
  const RunningExporter exporter({.flags = {"--no-web.localhost-bypass"}});
  std::list<HttpClient> hoard;
  for (int i = 0; i < 512; ++i) {
    const std::string from = "127.0.1." + std::to_string(1 + i / 64);
    hoard.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", from.c_str()));
    hoard.back().send(kScrape);  // without its end
  }
  for (int i = 0; i < 12; ++i) {
    const std::string from = "127.0.2." + std::to_string(1 + i);
    auto scraper = HttpClient::tcp4(exporter.port(), "127.0.0.1", from.c_str());
    EXPECT_EQ(scraper.exchange(kScrape + kBearer + "\r\n").status, 200);
    auto probe = HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.3.1");
    EXPECT_EQ(probe.exchange("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    hoard.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.1.9"));
  }
}

TEST(Overload, WhenAllWereLetInTheLastPlacesAreForOneAnswerEach) {
  const RunningExporter exporter({.flags = {"--web.max-connections=32", "--web.max-connections-per-peer=32"}});
  std::list<HttpClient> hoard;
  for (int i = 0; i < 30; ++i) {
    hoard.push_back(exporter.connect());
    const HttpResponse answer = hoard.back().exchange(kScrape + "\r\n");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Connection"), "");
  }
  const HttpResponse last = HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.0.2").exchange(kScrape + "\r\n");
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_TRUE(exporter.is_healthy());
}

TEST(Overload, ARefusedConnectionEndsWithItsAnswer) {
  const RunningExporter exporter({.flags = {"--no-web.localhost-bypass"}});
  auto client = exporter.connect();
  EXPECT_EQ(client.exchange(kScrape + "\r\n").status, 401);
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST(Overload, FiveHundredHalfOpenConnectionsDoNotKeepAScraperOut) {
  const RunningExporter exporter;
  std::list<HttpClient> hoard;
  for (int i = 0; i < 500; ++i) {
    const std::string from = "127.0.1." + std::to_string(1 + i / 60);
    hoard.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", from.c_str()));
    hoard.back().send("GET /metrics HTTP/1.1\r\nHost: loc");
  }
  EXPECT_EQ(exporter.get("/metrics").status, 200);
}

TEST(Overload, WithoutDescriptorsItWaitsAndServesAgain) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's vptr check needs a pipe of its own, and cries wolf when it gets none";
#endif
  RunningExporter exporter({.max_fds = 32});
  {
    std::list<HttpClient> hoard;
    for (int i = 0; i < 60; ++i) hoard.push_back(exporter.connect());
    EXPECT_TRUE(exporter.child().says("cannot accept"));
    // With the token: whose socket it is cannot be asked without a descriptor.
    const HttpResponse response = hoard.front().exchange(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + std::string(kToken) + "\r\n\r\n");
    EXPECT_THAT(response.body, HasSubstr("\nshmetrics_exporter_accept_failures_total "));
    EXPECT_THAT(response.body, Not(HasSubstr("\nshmetrics_exporter_accept_failures_total 0\n")));
  }
  EXPECT_TRUE(exporter.is_healthy());
}

TEST(Overload, AByteTricklerIsCutAtTheDeadline) {
  const RunningExporter exporter;
  auto silent = exporter.connect();
  auto trickler = exporter.connect();
  const auto start = std::chrono::steady_clock::now();
  trickler.send("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 12; ++i) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    trickler.send("A");
  }
  EXPECT_TRUE(trickler.is_closed_by_peer());
  EXPECT_TRUE(silent.is_closed_by_peer());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(14));
  EXPECT_TRUE(exporter.is_healthy());
}

TEST(Overload, RefusalsDoNotFillTheLog) {
  RunningExporter exporter;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(exporter.get("/metrics?token=wrong").status, 401);
    exporter.connect().exchange("nonsense\r\n\r\n");
  }
  const std::string log = exporter.child().err();
  EXPECT_THAT(log, HasSubstr("cause=invalid_credential"));
  EXPECT_THAT(log, HasSubstr("cause=malformed"));
  EXPECT_LT(log.size(), 3000U);
}

}  // namespace
}  // namespace shmetrics::tests
