// What a file may cost, and what it need not have.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "collector/check.hpp"
#include "collector/merge.hpp"
#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "tests/collector/segment_builder.hpp"

namespace shmetrics::collector {
namespace {

using ::testing::HasSubstr;
using tests::SegmentBuilder;

class FileTest : public ::testing::Test {
 protected:
  std::string scrape() {
    std::string text;
    status_ = scraper_.scrape(text);
    EXPECT_TRUE(status_.up) << status_.problem;
    return text;
  }

  SegmentBuilder segment_;
  Scraper scraper_{segment_.path()};
  SegmentStatus status_;
};

TEST_F(FileTest, AReadThatRunsOutOfTimeOrMemorySaysSoAndSucceedsWithMore) {
  segment_.family(tests::counter("a_total"));
  const SegmentStatus late = scraper_.read({.deadline = std::chrono::steady_clock::now()});
  EXPECT_FALSE(late.up);
  EXPECT_TRUE(late.ran_out);
  EXPECT_THAT(late.problem, HasSubstr(" was not read in the "));
  const SegmentStatus poor = scraper_.read({.held_bytes = 100});
  EXPECT_FALSE(poor.up);
  EXPECT_TRUE(poor.ran_out);
  EXPECT_THAT(poor.problem, HasSubstr(" MiB of memory that are left for it"));
  EXPECT_LT(scraper_.held_bytes(), 10'000u) << "what was parsed is given back";
  const std::atomic<bool> is_stopped = true;
  EXPECT_TRUE(scraper_.read({.is_stopped = &is_stopped}).ran_out);
  EXPECT_THAT(scrape(), HasSubstr("\na_total 0\n"));
}

TEST_F(FileTest, ValuesThatEachWorkerShowsTakeMemoryToo) {
  constexpr std::uint32_t kWorkers = 64, kSeries = 500;
  SegmentBuilder segment(
      {.workers = kWorkers, .thread_slots = 1, .cells = shm::kGrowthCells, .directory_bytes = 1 << 20});
  const auto family = segment.family(tests::gauge("g", shm::GaugeMode::kAll, {"x"}));
  for (std::uint32_t i = 0; i < kSeries; ++i) {
    const std::uint32_t cell = segment.series(family, {std::to_string(i)});
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker) segment.set_gauge(worker, cell, 1);
  }
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) segment.dead(worker);
  Scraper scraper(segment.path());
  ASSERT_TRUE(scraper.read().up);
  const std::uint64_t held = scraper.held_bytes();
  ASSERT_EQ(scraper.view().totals->per_worker.size(), kWorkers * kSeries);
  EXPECT_GT(held, kWorkers * kSeries * sizeof(WorkerValue));
  const SegmentStatus poor = scraper.read({.held_bytes = held / 2});
  EXPECT_TRUE(poor.ran_out);
  EXPECT_THAT(poor.problem, HasSubstr(" MiB of memory that are left for it"));
  EXPECT_LT(scraper.held_bytes(), 10'000u) << "all of it is given back";
  EXPECT_TRUE(scraper.read().up);
}

TEST_F(FileTest, FamiliesWhoseLabelSetsOverflowAreListedUpToALimitAndThenAddedUp) {
  constexpr std::uint32_t kFamilies = kMostOverflows + 10;
  SegmentBuilder segment({.workers = 1, .thread_slots = 1, .cells = 8 * shm::kGrowthCells, .directory_bytes = 1 << 20});
  for (std::uint32_t i = 0; i < kFamilies; ++i) {
    const auto family = segment.family(tests::counter("a" + std::to_string(1'000'000 + i) + "_total", {"x"}));
    segment.spill(family.tally + static_cast<std::uint32_t>(shm::Overflow::kCells)).store_relaxed(3);
  }
  const SegmentStatus status = Scraper(segment.path()).read();
  ASSERT_TRUE(status.up) << status.problem;
  ASSERT_EQ(status.series_overflow.size(), kMostOverflows + 1);
  EXPECT_EQ(status.series_overflow[kMostOverflows - 1].family, "a1000999_total");
  EXPECT_EQ(status.series_overflow[kMostOverflows - 1].refused.count, 3u);
  EXPECT_EQ(status.series_overflow.back().family, kOtherFamilies);
  EXPECT_EQ(status.series_overflow.back().refused.reason, "cells");
  EXPECT_EQ(status.series_overflow.back().refused.count, 30u);
}

TEST_F(FileTest, ReadLocksOfAProcessThatIsNoWorkerAreToldApartFromWorkers) {
  const shm::Descriptor worker = segment_.live(0), other = segment_.live(2);
  scrape();
  EXPECT_EQ(status_.foreign_locks, 0u);
  const shm::Descriptor reader(open(segment_.path().c_str(), O_RDONLY | O_CLOEXEC));
  for (const std::uint64_t byte : {shm::claim_byte(1), shm::live_byte(3)}) {
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(byte);
    lock.l_len = 1;
    ASSERT_EQ(fcntl(reader.get(), F_OFD_SETLK, &lock), 0);
  }
  const SegmentStatus status = Scraper(segment_.path()).read();
  EXPECT_EQ(status.foreign_locks, 2u);
  EXPECT_EQ(status.workers_live, 2u) << "they make nobody live";
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, CheckReport::Verdict::kSound);
  EXPECT_THAT(report.warnings, ::testing::Contains(HasSubstr("read locks on 2 ranges")));
}

TEST_F(FileTest, AFileThatIsNotAdmittedIsNotUpAndSaysWhy) {
  segment_.family(tests::counter("a_total"));
  Scraper refused(segment_.path(), {}, [](int) { return std::string("not this one"); });
  EXPECT_EQ(refused.read().problem, "not this one");
  EXPECT_TRUE(refused.view().families.empty());
  EXPECT_TRUE(Scraper(segment_.path(), {}, [](int) { return std::string(); }).read().up);
}

// A copy of a file may have holes where there were zeros, and within a series.
TEST_F(FileTest, AHoleReadsAsZerosAndCostsWhatIsInItAlone) {
  std::vector<double> bounds(60);
  for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = static_cast<double>(i);
  std::vector<SegmentBuilder::Family> families;
  for (char c = 'a'; c <= 'z'; ++c) {
    families.push_back(segment_.family(tests::histogram(std::string_view(&c, 1), bounds)));
    segment_.thread(0, families.back().cell + shm::kHistogramBuckets).store_relaxed(7);
    segment_.thread(0, families.back().cell + shm::kHistogramBuckets + 60).store_relaxed(5);
  }
  const std::uint32_t page_cells = shm::kPageBytes / 8;
  const std::uint32_t across = 7;
  ASSERT_LT(families[across].cell + shm::kHistogramBuckets, page_cells);
  ASSERT_GT(families[across].cell + shm::kHistogramBuckets + 60, page_cells);
  const shm::Descriptor file(open(segment_.path().c_str(), O_RDWR | O_CLOEXEC));
  const auto second_page = static_cast<off_t>(segment_.geometry().thread_slot(0) + shm::kPageBytes);
  ASSERT_EQ(fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, second_page, shm::kPageBytes), 0);
  scrape();
  std::vector<std::uint64_t> counts;
  for (const PlainFamily& family : plain_families(scraper_.view())) {
    counts.push_back(std::get<Distribution>(family.series.at(0).value).count);
  }
  for (std::uint32_t i = 0; i < families.size(); ++i) {
    const bool is_inside = families[i].cell >= page_cells && families[i].cell + 63 <= 2 * page_cells;
    const bool ends_inside = i == across;
    const bool begins_inside = families[i].cell < 2 * page_cells && families[i].cell + 63 > 2 * page_cells;
    EXPECT_EQ(counts[i], is_inside ? 0u : ends_inside ? 7u : begins_inside ? 5u : 12u) << i;
  }
}

}  // namespace
}  // namespace shmetrics::collector
