// Peers that hoard: connections, descriptors, time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Overload, APeerHas64ConnectionsAndOthersAreServedMeanwhile) {
  RunningExporter exporter;
  std::list<HttpClient> hoard;
  for (int i = 0; i < 64; ++i) hoard.push_back(exporter.connect());
  EXPECT_EQ(hoard.back().exchange("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
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

#ifndef __SANITIZE_ADDRESS__  // whose vptr check needs a pipe of its own, and cries wolf when it gets none
TEST(Overload, WithoutDescriptorsItWaitsAndServesAgain) {
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
#endif

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
