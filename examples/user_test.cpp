// How to test that your program counts: a segment for each test, and the value that a scrape would show.
#include <gtest/gtest.h>
#include <shmetrics/testing.hpp>

TEST(Login, CountsTheFailedOnes) {
  const shmetrics::testing::TemporarySegment segment;
  const auto logins = segment.registry().counter("app_logins_total", "Logins", {"result"});
  logins.with("failed").inc();
  EXPECT_EQ(segment.value("app_logins_total", {{"result", "failed"}}), 1);
  EXPECT_EQ(segment.value("app_logins_total", {{"result", "ok"}}), std::nullopt);
}
