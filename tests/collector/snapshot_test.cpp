// What a scrape makes of a segment's tables and cells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <bit>
#include <limits>
#include <sstream>

#include "collector/check.hpp"
#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "tests/collector/scraped_segment.hpp"

namespace shmetrics::collector {
namespace {

using shm::GaugeMode;
using shm::MetricType;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using tests::SegmentBuilder;

class Snapshot : public tests::ScrapedSegment {
 protected:
  std::string samples() { return samples_in(scrape()); }
};

TEST_F(Snapshot, AnEmptySegmentIsUpAndSaysNothing) {
  EXPECT_EQ(scrape(), "");
  EXPECT_EQ(status_.slots_free, segment_.geometry().thread_slots);
  EXPECT_EQ(status_.workers_unused, segment_.geometry().workers);
}

TEST_F(Snapshot, AFamilyWithoutLabelsIsShownAtZeroFromItsDeclaration) {
  segment_.family(tests::counter("a_total"));
  EXPECT_EQ(scrape(), "# HELP a_total Help.\n# TYPE a_total counter\na_total 0\n");
}

TEST_F(Snapshot, ALabelledFamilyIsShownFromItsFirstSeries) {
  const auto family = segment_.family(tests::counter("a_total", {"x"}));
  EXPECT_EQ(scrape(), "");
  segment_.series(family, {"1"});
  EXPECT_EQ(samples(), "a_total{x=\"1\"} 0\n");
}

TEST_F(Snapshot, CountersOfAllSlotsAndTheSpillAddUpWhoeverOwnsThem) {
  const auto family = segment_.family(tests::counter("a_total"));
  segment_.thread(0, family.cell).store_relaxed(1);
  segment_.thread(3, family.cell).store_relaxed(20);
  segment_.spill(family.cell).store_relaxed(300);
  EXPECT_EQ(samples(), "a_total 321\n");
}

TEST_F(Snapshot, FloatCountersAddUp) {
  const auto family = segment_.family(tests::counter("a_total", {}, shm::CellKind::kDouble));
  segment_.thread(0, family.cell).store_double_relaxed(0.5);
  segment_.spill(family.cell).store_double_relaxed(0.25);
  EXPECT_EQ(samples(), "a_total 0.75\n");
}

TEST_F(Snapshot, AFloatCounterThatNoWriterLeavesIsSkippedAndItsSlotCounted) {
  const auto family = segment_.family(tests::counter("a_total", {}, shm::CellKind::kDouble));
  segment_.thread(0, family.cell).store_double_relaxed(-1);
  segment_.thread(1, family.cell).store_double_relaxed(2);
  EXPECT_EQ(samples(), "a_total 2\n");
  EXPECT_EQ(status_.quarantined_slots, 1u);
}

TEST_F(Snapshot, AFloatCounterThatReachedInfinityIsTheLargestDoubleAndNoDamage) {
  const auto family = segment_.family(tests::counter("a_total", {}, shm::CellKind::kDouble));
  segment_.thread(0, family.cell).store_double_relaxed(std::numeric_limits<double>::infinity());
  segment_.thread(1, family.cell).store_double_relaxed(2);
  EXPECT_EQ(samples(), "a_total 1.7976931348623157e+308\n");
  EXPECT_EQ(status_.quarantined_slots, 0u);
  EXPECT_EQ(check_segment(segment_.path()).verdict, CheckReport::Verdict::kSound);
}

TEST_F(Snapshot, TheOverflowSeriesIsShownOnceItHasCounted) {
  const auto family = segment_.family(tests::counter("a_total", {"x"}));
  const auto times = segment_.family(tests::histogram("h", {1}, {"x"}));
  EXPECT_EQ(scrape(), "");
  segment_.spill(family.cell).store_relaxed(2);
  segment_.spill(family.tally).store_relaxed(1);
  segment_.spill(times.cell + shm::kHistogramBuckets + 1).store_relaxed(1);
  const std::string text = samples();
  EXPECT_THAT(text, HasSubstr("a_total{x=\"__overflow__\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("h_count{x=\"__overflow__\"} 1\n"));
  segment_.spill(times.tally + 3).store_relaxed(4);
  scrape();
  std::vector<std::string> overflow;
  for (const auto& [name, refused] : status_.series_overflow) {
    overflow.push_back(name + ' ' + std::string(refused.reason) + ' ' + std::to_string(refused.count));
  }
  EXPECT_THAT(overflow, ::testing::ElementsAre("a_total series_limit 1", "h invalid_value 4"));
}

TEST_F(Snapshot, HistogramsAreCumulativeAndCountIsTheLastBucket) {
  const auto family = segment_.family(tests::histogram("h", {0.5, 1}));
  for (const std::uint32_t slot : {0u, 1u}) {
    segment_.thread(slot, family.cell + shm::kHistogramSum).store_double_relaxed(1.5);
    for (std::uint32_t bucket = 0; bucket < 3; ++bucket) {
      segment_.thread(slot, family.cell + shm::kHistogramBuckets + bucket).store_relaxed(bucket + 1);
    }
  }
  EXPECT_EQ(samples(), "h_bucket{le=\"0.5\"} 2\nh_bucket{le=\"1\"} 6\nh_bucket{le=\"+Inf\"} 12\nh_sum 3\nh_count 12\n");
}

TEST_F(Snapshot, ASummaryIsASumAndACount) {
  const auto family = segment_.family(tests::plain(MetricType::kSummary, "s"));
  segment_.thread(2, family.cell + shm::kHistogramSum).store_double_relaxed(-2.5);
  segment_.thread(2, family.cell + shm::kHistogramBuckets).store_relaxed(4);
  EXPECT_EQ(samples(), "s_sum -2.5\ns_count 4\n");
}

TEST_F(Snapshot, AnOpenObservationIsCompletedFromItsRedoRecord) {
  const auto family = segment_.family(tests::histogram("h", {1}));
  const std::uint32_t bucket = family.cell + shm::kHistogramBuckets;
  segment_.thread(0, family.cell).store_relaxed(1);
  segment_.thread(0, bucket).store_relaxed(7);
  segment_.thread(0, 0).store_relaxed(family.cell | std::uint64_t{bucket} << 32);
  segment_.thread(0, 1).store_relaxed(8);
  segment_.thread(0, 2).store_double_relaxed(2.5);
  EXPECT_EQ(samples(), "h_bucket{le=\"1\"} 8\nh_bucket{le=\"+Inf\"} 8\nh_sum 2.5\nh_count 8\n");
  EXPECT_EQ(status_.torn_reads, 0u);
}

TEST_F(Snapshot, ARedoRecordOfAnotherHistogramOrOutOfBoundsIsIgnored) {
  const auto other = segment_.family(tests::histogram("a", {1}));
  const auto family = segment_.family(tests::histogram("h", {1}));
  segment_.thread(0, family.cell).store_relaxed(1);
  segment_.thread(0, 1).store_relaxed(1000);
  for (const std::uint64_t position :
       {other.cell | std::uint64_t{other.cell + 2} << 32, family.cell | std::uint64_t{family.cell + 4} << 32,
        family.cell | std::uint64_t{family.cell} << 32, family.cell | std::uint64_t{UINT32_MAX} << 32}) {
    segment_.thread(0, 0).store_relaxed(position);
    EXPECT_THAT(samples(), Not(HasSubstr("1000")));
  }
}

TEST_F(Snapshot, AFinishedObservationIgnoresTheRedoRecord) {
  const auto family = segment_.family(tests::histogram("h", {1}));
  const std::uint32_t bucket = family.cell + shm::kHistogramBuckets;
  segment_.thread(0, family.cell).store_relaxed(2);
  segment_.thread(0, bucket).store_relaxed(9);
  segment_.thread(0, 0).store_relaxed(family.cell | std::uint64_t{bucket} << 32);
  segment_.thread(0, 1).store_relaxed(8);
  EXPECT_THAT(samples(), HasSubstr("h_count 9\n"));
}

TEST_F(Snapshot, CellsBeyondWhatASlotHasAllocatedDoNotExist) {
  segment_.family(tests::counter("a_total"));
  segment_.append("damaged!damaged!damaged!");            // behind a defect cells may begin anywhere
  segment_.cells().thread_cells = shm::kGrowthCells - 1;  // the histogram straddles two steps of growth
  const auto family = segment_.family(tests::histogram("h", {1}));
  auto& entry = segment_.view().slot(0);
  entry.cells_allocated.store_relaxed(shm::kGrowthCells);
  segment_.view().thread_cells(0)[family.cell + shm::kHistogramBuckets].store_relaxed(5);
  EXPECT_THAT(samples(), HasSubstr("h_count 0\n"));
  entry.cells_allocated.store_relaxed(2 * shm::kGrowthCells);
  EXPECT_THAT(samples(), HasSubstr("h_count 5\n"));
}

TEST_F(Snapshot, ASlotWithAnImpossibleAllocationIsSkippedAndCounted) {
  const auto family = segment_.family(tests::counter("a_total"));
  segment_.thread(0, family.cell).store_relaxed(1);
  segment_.thread(1, family.cell).store_relaxed(2);
  for (const std::uint64_t allocated : {std::uint64_t{1}, std::uint64_t{1} << 40, UINT64_MAX}) {
    segment_.view().slot(1).cells_allocated.store_relaxed(allocated);
    EXPECT_EQ(samples(), "a_total 1\n");
    EXPECT_EQ(status_.quarantined_slots, 1u);
  }
}

TEST_F(Snapshot, GaugesFollowTheirMode) {
  std::vector<std::pair<GaugeMode, const char*>> modes{{GaugeMode::kLivesum, "a_livesum"},
                                                       {GaugeMode::kLivemin, "b_livemin"},
                                                       {GaugeMode::kLivemax, "c_livemax"},
                                                       {GaugeMode::kLiveall, "d_liveall"},
                                                       {GaugeMode::kLivemostrecent, "e_recent"},
                                                       {GaugeMode::kSum, "f_add"},
                                                       {GaugeMode::kMin, "g_min"},
                                                       {GaugeMode::kMax, "h_max"},
                                                       {GaugeMode::kMostrecent, "i_recent"},
                                                       {GaugeMode::kAll, "j_all"},
                                                       {GaugeMode::kShared, "k_shared"}};
  const shm::Descriptor first = segment_.live(0), second = segment_.live(2);
  segment_.dead(1);
  for (const auto& [mode, name] : modes) {
    const auto family = segment_.family(tests::gauge(name, mode));
    segment_.set_gauge(0, family.cell, 1, 10);
    segment_.set_gauge(1, family.cell, 100, 30);
    segment_.set_gauge(2, family.cell, 4, 20);
    if (mode == GaugeMode::kShared) segment_.gauge_spill(family.cell + shm::kGaugeValue).store_double_relaxed(7);
  }
  EXPECT_EQ(samples(),
            "a_livesum 5\nb_livemin 1\nc_livemax 4\nd_liveall{worker=\"0\"} 1\nd_liveall{worker=\"2\"} 4\ne_recent 4\n"
            "f_add 105\ng_min 1\nh_max 100\ni_recent 100\n"
            "j_all{worker=\"0\"} 1\nj_all{worker=\"1\"} 100\nj_all{worker=\"2\"} 4\nk_shared 7\n");
}

TEST_F(Snapshot, WithoutAContributionSumsShowZeroAndOthersNothing) {
  for (int mode = 0; mode <= static_cast<int>(GaugeMode::kShared); ++mode) {
    segment_.family(tests::gauge(std::string("g") + std::to_string(mode), static_cast<GaugeMode>(mode)));
  }
  EXPECT_EQ(samples(), "g0 0\ng5 0\n");
}

TEST_F(Snapshot, WhatTheDeadLeftInTheSpillCountsForMinAndMaxAlone) {
  const auto least = segment_.family(tests::gauge("a", GaugeMode::kMin));
  const auto greatest = segment_.family(tests::gauge("b", GaugeMode::kMax));
  const auto live = segment_.family(tests::gauge("c", GaugeMode::kLivesum));
  for (const auto& family : {least, greatest, live}) segment_.gauge_spill(family.cell + 1).store_double_relaxed(-0.0);
  segment_.dead(0);
  segment_.set_gauge(0, least.cell, 7);
  segment_.set_gauge(0, greatest.cell, -7);
  EXPECT_EQ(samples(), "a 0\nb 0\nc 0\n");
}

TEST_F(Snapshot, AnEntryThatIsBeingClaimedHasNoLiveGauge) {
  const auto family = segment_.family(tests::gauge("g", GaugeMode::kLivemax));
  const shm::Descriptor holder = segment_.live(0);
  segment_.set_gauge(0, family.cell, 5);
  EXPECT_EQ(samples(), "g 5\n");
  segment_.view().worker(0).epoch.store_relaxed(3);
  EXPECT_EQ(samples(), "");
}

TEST_F(Snapshot, AWorkerThatReleasedIsNotLiveThoughItHoldsItsLocks) {
  const auto family = segment_.family(tests::gauge("g", GaugeMode::kLivemax));
  const shm::Descriptor holder = segment_.live(0);
  segment_.set_gauge(0, family.cell, 5);
  segment_.view().worker(0).released.store_relaxed(1);
  EXPECT_EQ(samples(), "");
  EXPECT_EQ(status_.workers_released, 1u);
}

TEST_F(Snapshot, InfoIsShownWhileAWorkerOfItIsAlive) {
  const auto family = segment_.family(tests::plain(MetricType::kInfo, "a_info", {"version"}));
  const std::uint32_t cell = segment_.series(family, {"1.2"});
  segment_.set_gauge(0, cell, 42);
  segment_.dead(0);
  EXPECT_EQ(samples(), "");
  const shm::Descriptor holder = segment_.live(0);
  EXPECT_EQ(samples(), "a_info{version=\"1.2\"} 1\n");
}

TEST_F(Snapshot, WorkersAreListedWithTheSlotsOfTheirPresentOwner) {
  const shm::Descriptor holder = segment_.live(1);
  auto& entry = segment_.view().worker(1);
  entry.pid.store_relaxed(77);
  entry.deaths.store_relaxed(3);
  entry.program[0].store_relaxed(0x1b706170);  // "pap" and an escape
  segment_.view().slot(0).owner.store_relaxed(std::uint64_t{2} << shm::kOwnerEpochBits | 2);
  segment_.view().slot(1).owner.store_relaxed(std::uint64_t{2} << shm::kOwnerEpochBits | 4);      // not yet
  segment_.view().slot(2).owner.store_relaxed(std::uint64_t{60000} << shm::kOwnerEpochBits | 2);  // never
  scrape();
  const WorkerRow row = scraper_.workers().at(1);
  EXPECT_EQ(row.state, WorkerState::kLive);
  EXPECT_EQ(row.pid, 77u);
  EXPECT_EQ(row.slots, 1u);
  EXPECT_EQ(row.program, "pap?");
  EXPECT_EQ(status_.slots_used, 1u);
  EXPECT_EQ(status_.worker_deaths, 3u);
  EXPECT_EQ(status_.workers_live, 1u);
}

TEST_F(Snapshot, TalliesComeFromTheSpillByTheirReason) {
  for (std::uint32_t i = 0; i < shm::kUsedTallies; ++i) segment_.spill(8 + i).store_relaxed(i + 1);
  scrape();
  std::string all;
  for (const auto* counts :
       {&status_.updates_dropped, &status_.values_refused, &status_.declarations_refused, &status_.exemplars_dropped}) {
    for (const auto& [reason, count] : *counts) all += std::string(reason) + ' ' + std::to_string(count) + ' ';
  }
  EXPECT_EQ(all,
            "series_limit 1 no_entry 2 refused_family 3 no_memory 4 busy 5 nan 6 infinite 7 negative 8 rule 9 "
            "other_type 10 schemas 11 same_process 12 newer_release 13 directory 14 no_memory 15 busy 16 "
            "not_declared 17 invalid 18 too_long 19 no_slot 20 ");
}

TEST_F(Snapshot, AWorkerThatNeverUpdatedIsUnusedAndItsGaugesAreLiveAllTheSame) {
  const auto family = segment_.family(tests::gauge("g", GaugeMode::kLivemax));
  const shm::Descriptor holder = segment_.live(0);
  segment_.set_gauge(0, family.cell, 5);
  segment_.view().worker(0).counted.store_relaxed(0);
  EXPECT_EQ(samples(), "g 5\n");
  EXPECT_EQ(status_.workers_live, 0u);
  EXPECT_EQ(status_.workers_unused, segment_.geometry().workers);
}

TEST_F(Snapshot, FamiliesTellTheSameAsTheText) {
  const auto family = segment_.family(tests::histogram("h", {1}, {"x"}));
  const std::uint32_t cell = segment_.series(family, {"y"});
  segment_.thread(0, cell + shm::kHistogramBuckets).store_relaxed(3);
  scrape();
  const auto families = plain_families(scraper_.view());
  ASSERT_EQ(families.size(), 1u);
  ASSERT_EQ(families[0].series.size(), 1u);
  EXPECT_THAT(families[0].series[0].labels, ::testing::ElementsAre(Pair("x", "y")));
  EXPECT_EQ(std::get<Distribution>(families[0].series[0].value).count, 3u);
}

TEST_F(Snapshot, WantedFamiliesAloneAreTaken) {
  segment_.family(tests::counter("a_total"));
  segment_.family(tests::counter("b_total"));
  scrape();
  const auto families = plain_families(scraper_.view(), [](const auto& names) { return names.front() == "b_total"; });
  ASSERT_EQ(families.size(), 1u);
  EXPECT_EQ(families[0].name, "b_total");
}

/// A line of /proc/PID/maps: `bytes` of this file from `offset` on.
std::string mapping(const SegmentBuilder& segment, const char* access, std::uint64_t offset, std::uint64_t bytes,
                    int other_inode = 0) {
  struct stat file {};
  EXPECT_EQ(stat(segment.path().c_str(), &file), 0);
  std::ostringstream line;
  line << std::hex << 0x7f0000000000 << '-' << 0x7f0000000000 + bytes << ' ' << access << ' ' << offset << ' '
       << major(file.st_dev) << ':' << minor(file.st_dev) << std::dec << ' ' << file.st_ino + other_inode << " /a b\n";
  return line.str();
}

TEST_F(Snapshot, WhoHasASlotOfAnEntryMappedForWritingIsItsOwnerAndNobodyElse) {
  const shm::Descriptor alive = segment_.live(1);
  segment_.view().slot(2).owner.store_relaxed(std::uint64_t{2} << shm::kOwnerEpochBits | 2);
  scrape();
  const auto is_owner = [&](const std::string& maps, std::uint32_t worker = 1) {
    std::istringstream stream("00400000-00401000 r-xp 00000000 00:1 7 /bin/app\nrubbish\n\n" + maps);
    return scraper_.is_owner(worker, stream);
  };
  const shm::Geometry& geometry = segment_.geometry();
  const std::uint64_t own = geometry.process_slot(1), size = geometry.slot_bytes();
  EXPECT_TRUE(is_owner(mapping(segment_, "rw-s", own, size)));
  EXPECT_TRUE(is_owner(mapping(segment_, "rw-s", own - 4096, 4096 + size)));
  EXPECT_TRUE(is_owner(mapping(segment_, "rw-s", geometry.thread_slot(2), size)));

  EXPECT_FALSE(is_owner(""));
  EXPECT_FALSE(is_owner(mapping(segment_, "r--s", own, size)));
  EXPECT_FALSE(is_owner(mapping(segment_, "rw-p", own, size)));
  EXPECT_FALSE(is_owner(mapping(segment_, "rw-s", own + size, size)));
  EXPECT_FALSE(is_owner(mapping(segment_, "rw-s", own - 4096, 4096)));
  EXPECT_FALSE(is_owner(mapping(segment_, "rw-s", geometry.thread_slot(3), size)));
  EXPECT_FALSE(is_owner(mapping(segment_, "rw-s", own, size, 1)));
  EXPECT_FALSE(is_owner(mapping(segment_, "rw-s", own, size), 0));
  EXPECT_FALSE(is_owner(mapping(segment_, "rw-s", own, size), geometry.workers));
}

TEST_F(Snapshot, OfMappingsWithoutEndAMebibyteIsRead) {
  const shm::Descriptor alive = segment_.live(1);
  scrape();
  const std::string line = "00400000-00401000 r-xp 00000000 00:1 7 /bin/app\n";
  std::string many;
  while (many.size() < 2 << 20) many += line;
  std::istringstream maps(many + mapping(segment_, "rw-s", segment_.geometry().process_slot(1), 4096));
  EXPECT_FALSE(scraper_.is_owner(1, maps));
  EXPECT_LT(maps.tellg(), 1'100'000);
}

TEST_F(Snapshot, AHoleIsNeverTouched) {
  const auto family = segment_.family(tests::counter("a_total"));
  const auto gauge = segment_.family(tests::gauge("g", GaugeMode::kMax));
  segment_.thread(1, family.cell).store_relaxed(1);
  segment_.dead(2);
  segment_.set_gauge(2, gauge.cell, 1);
  struct stat before, after;
  ASSERT_EQ(stat(segment_.path().c_str(), &before), 0);
  EXPECT_EQ(samples(), "a_total 1\ng 1\n");
  EXPECT_EQ(check_segment(segment_.path()).verdict, CheckReport::Verdict::kSound);
  ASSERT_EQ(stat(segment_.path().c_str(), &after), 0);
  EXPECT_EQ(before.st_blocks, after.st_blocks);
}

}  // namespace
}  // namespace shmetrics::collector
