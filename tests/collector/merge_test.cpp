#include "collector/merge.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

namespace shmetrics::collector {
namespace {

using shm::GaugeMode;

constexpr std::uint64_t kMost = UINT64_MAX;

std::uint64_t bits(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

TEST(Merge, CountersAddUpAndStopAtTheTopInsteadOfGoingBackToNothing) {
  EXPECT_EQ(accumulate(20, 3), 23u);
  EXPECT_EQ(accumulate(kMost - 1, 1), kMost);
  EXPECT_EQ(accumulate(kMost - 1, 5), kMost);
  EXPECT_EQ(accumulate(kMost, 0), kMost);
  EXPECT_EQ(accumulate(1, kMost), kMost);
}

TEST(Merge, FloatCountersAddUpAndSkipWhatNoWriterLeaves) {
  std::vector<std::uint64_t> totals{bits(0.25), bits(1), bits(1), bits(1)};
  const AddedDoubles added =
      add_doubles(totals, std::vector<std::uint64_t>{bits(0.5), bits(-1), bits(NAN), bits(-0.0)});
  EXPECT_EQ(added.refused, 2u);
  EXPECT_EQ(added.infinite, 0u);
  EXPECT_EQ(totals, (std::vector<std::uint64_t>{bits(0.75), bits(1), bits(1), bits(1)}));
}

TEST(Merge, FloatCountersStopAtTheLargestDoubleAndTellWhatIsBeyond) {
  const double most = std::numeric_limits<double>::max();
  std::vector<std::uint64_t> totals{bits(most), bits(most / 2), bits(1)};
  const AddedDoubles added = add_doubles(totals, std::vector<std::uint64_t>{bits(most), bits(1), bits(INFINITY)});
  EXPECT_EQ(added.refused, 0u);
  EXPECT_EQ(added.infinite, 1u);
  EXPECT_EQ(totals, (std::vector<std::uint64_t>{bits(most), bits(most / 2), bits(most)}));
}

TEST(Merge, ObservationsAddSumAndBucketsButNotTheSequence) {
  std::vector<std::uint64_t> totals{0, bits(1.5), 1, kMost};
  add_observations(totals, std::vector<std::uint64_t>{7, bits(2.5), 10, 1});
  EXPECT_EQ(totals, (std::vector<std::uint64_t>{0, bits(4.0), 11, kMost}));
}

TEST(Merge, AccumulatedBucketsNeverDecrease) {
  EXPECT_EQ(accumulate(1, 2), 3u);
  EXPECT_EQ(accumulate(kMost, 1), kMost);
  EXPECT_EQ(accumulate(2, kMost - 1), kMost);
}

struct Standings {
  WorkerStanding live{.is_settled = true, .is_live = true};
  WorkerStanding dead{.is_settled = true, .is_live = false};
  WorkerStanding moving{.is_settled = false, .is_live = false};
};

TEST(Merge, LiveModesTakeTheLivingAlone) {
  const Standings of;
  for (const auto mode : {GaugeMode::kLivesum, GaugeMode::kLivemin, GaugeMode::kLivemax, GaugeMode::kLiveall,
                          GaugeMode::kLivemostrecent}) {
    EXPECT_TRUE(takes(mode, of.live));
    EXPECT_FALSE(takes(mode, of.dead));
    EXPECT_FALSE(takes(mode, of.moving));
    EXPECT_FALSE(takes(mode, {.is_settled = false, .is_live = true}));
  }
}

TEST(Merge, AllTakesTheDeadButNotAnEntryThatChangesHands) {
  const Standings of;
  EXPECT_TRUE(takes(GaugeMode::kAll, of.live));
  EXPECT_TRUE(takes(GaugeMode::kAll, of.dead));
  EXPECT_FALSE(takes(GaugeMode::kAll, of.moving));
}

TEST(Merge, SumMinMaxAndMostRecentTakeEverybody) {
  const Standings of;
  for (const auto mode : {GaugeMode::kSum, GaugeMode::kMin, GaugeMode::kMax, GaugeMode::kMostrecent}) {
    EXPECT_TRUE(takes(mode, of.live));
    EXPECT_TRUE(takes(mode, of.dead));
    EXPECT_TRUE(takes(mode, of.moving));
  }
}

TEST(Merge, MinAndMaxTakeNothingOfAnEntryThatWasClaimedDuringTheCopy) {
  const WorkerStanding moved{.is_settled = false, .is_live = false, .has_moved = true};
  EXPECT_FALSE(takes(GaugeMode::kMin, moved));
  EXPECT_FALSE(takes(GaugeMode::kMax, moved));
  EXPECT_TRUE(takes(GaugeMode::kSum, moved));
  EXPECT_TRUE(takes(GaugeMode::kMostrecent, moved));
}

TEST(Merge, SharedTakesNoWorkersOwnValue) {
  const Standings of;
  for (const WorkerStanding& standing : {of.live, of.dead, of.moving}) {
    EXPECT_FALSE(takes(GaugeMode::kShared, standing));
  }
}

double merged(GaugeMode mode, std::initializer_list<std::pair<std::uint64_t, double>> values) {
  GaugeTotal total;
  for (const auto& [stamp, value] : values) add_gauge(total, mode, stamp, value);
  EXPECT_EQ(total.is_seen, values.size() > 0);
  return total.value;
}

TEST(Merge, EachModeChoosesItsValue) {
  const std::tuple<GaugeMode, GaugeMode, double> cases[] = {
      {GaugeMode::kLivesum, GaugeMode::kSum, 11.0},
      {GaugeMode::kLivemin, GaugeMode::kMin, -2.0},
      {GaugeMode::kLivemax, GaugeMode::kMax, 10.0},
      {GaugeMode::kLivemostrecent, GaugeMode::kMostrecent, 3.0},
  };
  for (const auto& [live, all, expected] : cases) {
    EXPECT_EQ(merged(live, {{5, -2.0}, {9, 3.0}, {7, 10.0}}), expected);
    EXPECT_EQ(merged(all, {{5, -2.0}, {9, 3.0}, {7, 10.0}}), expected);
  }
}

TEST(Merge, MinAndMaxPreferNumbersToNotANumber) {
  EXPECT_EQ(merged(GaugeMode::kMin, {{1, NAN}, {1, 4.0}}), 4.0);
  EXPECT_EQ(merged(GaugeMode::kMax, {{1, 4.0}, {1, NAN}}), 4.0);
  EXPECT_TRUE(std::isnan(merged(GaugeMode::kMax, {{1, NAN}})));
}

TEST(Merge, ValuesPerWorkerAreFoundByGaugeInTheOrderOfWorkers) {
  Totals totals;
  totals.per_worker = {{2, 1, 0.5}, {0, 3, 1.5}, {2, 0, 2.5}};
  totals.sort_per_worker();
  ASSERT_EQ(totals.workers_of(2).size(), 2u);
  EXPECT_EQ(totals.workers_of(2)[0].worker, 0u);
  EXPECT_EQ(totals.workers_of(2)[1].worker, 1u);
  EXPECT_EQ(totals.workers_of(0).size(), 1u);
  EXPECT_TRUE(totals.workers_of(1).empty());
}

}  // namespace
}  // namespace shmetrics::collector
