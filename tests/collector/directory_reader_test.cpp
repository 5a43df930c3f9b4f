// Stepping over the entries of a directory: what is new, up to where, and whether it is still the same log.
#include "collector/directory_reader.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collector/scraper.hpp"
#include "tests/collector/segment_builder.hpp"

namespace shmetrics::collector {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Outcome = DirectoryReader::Outcome;

class DirectoryReaderTest : public ::testing::Test {
 protected:
  Outcome follow(
      DirectoryReader& reader, const DirectoryReader::GoesOn& goes_on = [] { return true; }) {
    mapped_.forget_extents();
    const SigbusGuard guard = mapped_.guard();
    return reader.follow(mapped_, guard, goes_on);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const CatalogFamily* family : reader_.catalog().families()) names.push_back(family->name);
    return names;
  }
  void punch_hole(std::uint64_t directory_offset) {
    const shm::Descriptor file(open(segment_.path().c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        static_cast<off_t>(segment_.geometry().directory() + directory_offset), shm::kPageBytes),
              0);
  }

  tests::SegmentBuilder segment_;
  MappedSegment mapped_{segment_.path()};
  DirectoryReader reader_{segment_.geometry(), {}};
};

TEST_F(DirectoryReaderTest, WhatIsNewIsTakenInAndNothingTwice) {
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  EXPECT_THAT(names(), IsEmpty());
  segment_.family(tests::counter("b_total"));
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  segment_.family(tests::counter("a_total"));
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  EXPECT_THAT(names(), ElementsAre("a_total", "b_total"));
  EXPECT_EQ(reader_.catalog().entries(), 2u);
}

TEST_F(DirectoryReaderTest, BehindTheFirstEmptyEntryNothingIsRead) {
  segment_.family(tests::counter("a_total"));
  segment_.view().index(2).store_relaxed(segment_.view().index(0).load_relaxed());
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  EXPECT_EQ(reader_.catalog().entries(), 1u);
  EXPECT_EQ(reader_.catalog().quarantined_families(), 0u);
}

TEST_F(DirectoryReaderTest, ABadEntryCostsItselfAlone) {
  segment_.family(tests::counter("a_total"));
  segment_.family(tests::counter("b_total"));
  const auto labelled = segment_.family(tests::counter("c_total", {"x"}));
  segment_.series(labelled, {"1"});
  segment_.view().index(1).store_relaxed(77);
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  EXPECT_THAT(names(), ElementsAre("a_total", "c_total"));
  EXPECT_EQ(reader_.catalog().series_count(), 2u);
  EXPECT_THAT(reader_.catalog().problems(), ElementsAre("directory entry 1: names no place in the heap"));
}

TEST_F(DirectoryReaderTest, AHoleInTheIndexIsTheEndOfTheLog) {
  segment_.family(tests::counter("a_total"));
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  punch_hole(0);
  EXPECT_EQ(follow(reader_), Outcome::kReplaced);
  DirectoryReader fresh(segment_.geometry(), {});
  EXPECT_EQ(follow(fresh), Outcome::kRead);
  EXPECT_EQ(fresh.catalog().entries(), 0u);
}

TEST_F(DirectoryReaderTest, ARecordInAHoleIsSkippedAndTheRestIsServed) {
  segment_.family(tests::counter("a_total"));
  segment_.view().directory().space.store_relaxed(segment_.geometry().heap() + shm::kPageBytes);
  segment_.family(tests::counter("b_total"));
  punch_hole(segment_.geometry().heap());
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  EXPECT_THAT(names(), ElementsAre("b_total"));
  EXPECT_THAT(reader_.catalog().problems(), ElementsAre("directory entry 0: its record lies in a hole"));
}

TEST_F(DirectoryReaderTest, AnotherWordAsTheLastKnownEntryIsAnotherLog) {
  segment_.family(tests::counter("a_total"));
  segment_.family(tests::counter("b_total"));
  EXPECT_EQ(follow(reader_), Outcome::kRead);
  auto& last = segment_.view().index(1);
  const std::uint64_t before = last.load_relaxed();
  for (const std::uint64_t word : {std::uint64_t{0}, before + 8}) {
    last.store_relaxed(word);
    EXPECT_EQ(follow(reader_), Outcome::kReplaced);
  }
  last.store_relaxed(before);
  EXPECT_EQ(follow(reader_), Outcome::kRead);
}

TEST_F(DirectoryReaderTest, ADirectoryThatTakesLongIsReadInSeveralGoes) {
  tests::SegmentBuilder large(
      {.workers = 1, .thread_slots = 1, .cells = 8 * shm::kGrowthCells, .directory_bytes = 2 << 20});
  const auto family = large.family(tests::counter("a_total", {"x"}));
  for (int i = 0; i < 10'000; ++i) large.series(family, {std::to_string(i)});
  const MappedSegment mapped(large.path());
  const SigbusGuard guard = mapped.guard();
  DirectoryReader reader(large.geometry(), {});
  int asked = 0, goes = 1;
  while (reader.follow(mapped, guard, [&] { return ++asked % 4 != 0; }) == Outcome::kStopped) ASSERT_LT(++goes, 100);
  EXPECT_GT(goes, 2);
  EXPECT_EQ(reader.catalog().series_count(), 10'000u);
  EXPECT_THAT(reader.catalog().problems(), IsEmpty());
}

TEST_F(DirectoryReaderTest, TheStatusTellsEntriesAndWhatTheHeapGaveOut) {
  segment_.family(tests::counter("a_total"));
  Scraper scraper(segment_.path());
  auto& space = segment_.view().directory().space;
  EXPECT_EQ(scraper.read().directory_used_bytes, 8 + segment_.record(0).size());
  EXPECT_EQ(scraper.read().directory_limit_bytes, segment_.geometry().directory_bytes);
  space.store_relaxed(0);
  EXPECT_EQ(scraper.read().directory_used_bytes, 8u);
  space.store_relaxed(UINT64_MAX);
  EXPECT_EQ(scraper.read().directory_used_bytes, 8 + segment_.geometry().heap_bytes());
}

}  // namespace
}  // namespace shmetrics::collector
