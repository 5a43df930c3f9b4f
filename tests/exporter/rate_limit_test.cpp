#include "exporter/access/rate_limit.hpp"

#include <gtest/gtest.h>

namespace shmetrics::exporter {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RateBucketTest : public ::testing::Test {
 protected:
  /// How many are let through at this time, and how long the next one waits.
  std::pair<int, milliseconds> take_all(const RateLimit& limit, milliseconds at) {
    for (int taken = 0;; ++taken) {
      if (const auto wait = bucket_.wait_for(limit, start_ + at)) return {taken, *wait};
    }
  }
  const RateBucket::Clock::time_point start_ = RateBucket::Clock::now();
  RateBucket bucket_;
};

TEST_F(RateBucketTest, ItIsFullAtTheStartAndGetsOneBackEachInterval) {
  const RateLimit limit{.interval = seconds(2), .burst = 3};
  EXPECT_EQ(take_all(limit, milliseconds(0)), std::pair(3, milliseconds(2000)));
  EXPECT_EQ(take_all(limit, milliseconds(1500)), std::pair(0, milliseconds(500)));
  EXPECT_EQ(take_all(limit, milliseconds(2000)), std::pair(1, milliseconds(2000)));
  EXPECT_EQ(take_all(limit, milliseconds(7000)), std::pair(2, milliseconds(1000)));
  EXPECT_EQ(take_all(limit, seconds(3600)), std::pair(3, milliseconds(2000)));
}

TEST_F(RateBucketTest, WithoutAnIntervalThereIsNoLimit) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(bucket_.wait_for({}, start_), std::nullopt);
}

TEST_F(RateBucketTest, AReloadOfTheLimitCountsAtOnce) {
  EXPECT_EQ(take_all({.interval = seconds(3600), .burst = 100}, milliseconds(0)).first, 100);
  EXPECT_EQ(take_all({.interval = seconds(1), .burst = 2}, milliseconds(0)), std::pair(0, milliseconds(1000)));
  EXPECT_EQ(take_all({.interval = seconds(1), .burst = 2}, milliseconds(1000)).first, 1);
}

TEST_F(RateBucketTest, TheLargestValuesStillFit) {
  const RateLimit limit{.interval = std::chrono::hours(24), .burst = 1'000'000};
  EXPECT_EQ(take_all(limit, milliseconds(0)), std::pair(1'000'000, milliseconds(limit.interval)));
}

}  // namespace
}  // namespace shmetrics::exporter
