#include "collector/check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/collector/segment_builder.hpp"

namespace shmetrics::collector {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using tests::SegmentBuilder;
using Verdict = CheckReport::Verdict;

class Check : public ::testing::Test {
 protected:
  void expect_finding(const std::string& what) {
    const CheckReport report = check_segment(segment_.path());
    EXPECT_EQ(report.verdict, Verdict::kDamaged);
    EXPECT_THAT(report.findings, ElementsAre(HasSubstr(what)));
  }
  SegmentBuilder segment_;
};

TEST_F(Check, AFreshSegmentIsSound) {
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, Verdict::kSound);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_THAT(report.warnings, IsEmpty());
}

TEST_F(Check, ASegmentInUseIsSound) {
  const auto family = segment_.family(tests::histogram("h", {1, 2}));
  const std::uint32_t bucket = family.cell + shm::kHistogramBuckets;
  const shm::Descriptor alive = segment_.live(0);
  for (const std::uint32_t slot : {0u, 1u}) {  // two threads of one process
    segment_.view().slot(slot).owner.store_relaxed(std::uint64_t{1} << shm::kOwnerEpochBits | 2);
    segment_.thread(slot, family.cell).store_relaxed(1);
    segment_.thread(slot, 0).store_relaxed(family.cell | std::uint64_t{bucket} << 32);
  }
  EXPECT_THAT(check_segment(segment_.path()).findings, IsEmpty());
}

TEST_F(Check, ACopiedFileIsSoundWithAndWithoutHoles) {
  segment_.thread(0, segment_.family(tests::counter("a_total")).cell).store_relaxed(1);
  const std::string copy = segment_.path() + ".copy";
  std::ofstream(copy, std::ios::binary)
      .write(reinterpret_cast<const char*>(segment_.base()),
             static_cast<std::streamsize>(segment_.geometry().file_bytes()));
  EXPECT_EQ(check_segment(copy).verdict, Verdict::kSound);
  unlink(copy.c_str());
}

TEST_F(Check, WhatIsNotASegmentGetsNoAnswer) {
  const std::string path = segment_.path() + ".not";
  EXPECT_EQ(check_segment(path).verdict, Verdict::kNoAnswer);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{5}, std::size_t{100'000}}) {
    std::ofstream(path) << std::string(bytes, 'x');
    const CheckReport report = check_segment(path);
    EXPECT_EQ(report.verdict, Verdict::kNoAnswer) << bytes;
    EXPECT_EQ(report.findings.size(), 1u);
  }
  EXPECT_EQ(check_segment("/dev/shm").verdict, Verdict::kNoAnswer);
  EXPECT_EQ(check_segment("/dev/null").verdict, Verdict::kNoAnswer);
  unlink(path.c_str());
}

TEST_F(Check, AFlippedMagicVersionOrGeometryIsNamedAndGetsNoAnswer) {
  const std::pair<std::size_t, const char*> cases[] = {{0, "first bytes"}, {8, "version"},   {16, "fingerprint"},
                                                       {32, "geometry"},   {40, "geometry"}, {48, "geometry"},
                                                       {52, "geometry"},   {56, "geometry"}};
  for (const auto& [at, name] : cases) {
    segment_.base()[at] ^= std::byte{1};
    const CheckReport report = check_segment(segment_.path());
    EXPECT_EQ(report.verdict, Verdict::kNoAnswer) << at;
    EXPECT_THAT(report.findings, ElementsAre(HasSubstr(name)));
    segment_.base()[at] ^= std::byte{1};
  }
}

TEST_F(Check, AFlippedChecksumOrWhatItCoversIsDamage) {
  for (const std::size_t at : {24u, 64u, 72u, 88u, 104u, 4095u}) {
    segment_.base()[at] ^= std::byte{1};
    expect_finding("checksum");
    segment_.base()[at] ^= std::byte{1};
  }
  segment_.base()[12] ^= std::byte{1};
  expect_finding("reserved word");
}

TEST_F(Check, ATruncatedSegmentIsDamaged) {
  ASSERT_EQ(truncate(segment_.path().c_str(), 100'000), 0);
  expect_finding("truncated");
  ASSERT_EQ(truncate(segment_.path().c_str(), 64), 0);
  expect_finding("64 bytes");
}

TEST_F(Check, EveryByteOfARecordIsCovered) {
  const auto family = segment_.family(tests::counter("a_total", {"x"}));
  segment_.series(family, {"1"});
  for (std::uint32_t entry = 0; entry < segment_.entries(); ++entry) {
    const auto record = segment_.record(entry);
    for (std::size_t at = 0; at < record.size(); ++at) {
      record[at] ^= std::byte{0x40};
      const CheckReport report = check_segment(segment_.path());
      EXPECT_EQ(report.verdict, Verdict::kDamaged) << at;
      ASSERT_FALSE(report.findings.empty()) << at;
      EXPECT_THAT(report.findings[0], HasSubstr("directory entry ")) << at;
      record[at] ^= std::byte{0x40};
    }
  }
}

TEST_F(Check, ASpaceThatNoWriterLeavesIsDamage) {
  segment_.family(tests::counter("a_total"));
  auto& space = segment_.view().directory().space;
  const std::uint64_t sound = space.load_relaxed();
  for (const std::uint64_t word :
       {std::uint64_t{0}, sound + 4, segment_.geometry().heap() - 8, segment_.geometry().directory_bytes + 8}) {
    space.store_relaxed(word);
    const CheckReport report = check_segment(segment_.path());
    ASSERT_FALSE(report.findings.empty()) << word;
    EXPECT_THAT(report.findings[0], HasSubstr("the end of what was given out")) << word;
  }
  space.store_relaxed(segment_.geometry().heap());
  expect_finding("beyond what was given out");
  space.store_relaxed(segment_.geometry().directory_bytes);
  EXPECT_EQ(check_segment(segment_.path()).verdict, Verdict::kSound) << "who took room may have been killed";
}

TEST_F(Check, AnEntryBehindTheFirstEmptyOneIsDamage) {
  segment_.family(tests::counter("a_total"));
  for (const std::uint32_t entry : {2u, segment_.geometry().index_entries() - 1}) {
    segment_.view().index(entry).store_relaxed(segment_.view().index(0).load_relaxed());
    expect_finding("is behind the first empty one, 1");
    segment_.view().index(entry).store_relaxed(0);
  }
}

TEST_F(Check, EntriesThatNameNoRecordOfTheHeapAreDamage) {
  segment_.family(tests::counter("a_total"));
  const auto sound = shm::IndexEntry::of(segment_.view().index(0).load_relaxed());
  const auto heap = static_cast<std::uint32_t>(segment_.geometry().heap());
  const auto end = static_cast<std::uint32_t>(segment_.geometry().directory_bytes);
  for (const shm::IndexEntry entry :
       {shm::IndexEntry{heap - 8, 80}, shm::IndexEntry{sound.offset + 4, sound.length},
        shm::IndexEntry{sound.offset, 16}, shm::IndexEntry{sound.offset, sound.length + 4},
        shm::IndexEntry{sound.offset, shm::kMaxRecordBytes + 8}, shm::IndexEntry{end - 8, 80}}) {
    segment_.view().index(0).store_relaxed(entry.word());
    expect_finding("directory entry 0: names no place in the heap");
  }
}

TEST_F(Check, RecordsThatOverlapAreDamage) {
  segment_.family(tests::counter("a_total"));
  segment_.view().index(1).store_relaxed(segment_.view().index(0).load_relaxed());
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, Verdict::kDamaged);
  EXPECT_THAT(report.findings, ::testing::Contains(HasSubstr("overlap")));
}

TEST_F(Check, CellsThatBelongToNobodyAreDamage) {
  segment_.cells().thread_cells += 1;
  segment_.family(tests::counter("a_total"));
  expect_finding("free from 64");
}

TEST_F(Check, WhatANewerReleaseHasWrittenIsAWarning) {
  shm::CellCursor& cells = segment_.cells();
  std::string record = shm::encode_family(tests::counter("a_total"), 1, 1, cells);
  record[offsetof(shm::FamilyRecord, flags)] = 4;
  shm::seal(record, shm::RecordKind::kFamily, cells);
  segment_.append(record);
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, Verdict::kSound);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("family 'a_total' was written by a newer release")));
}

TEST_F(Check, ANameWithSeveralSchemasIsAWarning) {
  segment_.family(tests::histogram("x", {1}));
  segment_.family(tests::histogram("x", {1, 2}));
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, Verdict::kSound);
  EXPECT_THAT(report.warnings, ElementsAre("'x' has 2 schemas (other bounds): restart workers of the old "
                                           "release, if any runs"));
}

TEST_F(Check, CollidingNamesAreNamed) {
  segment_.family(tests::counter("a_total"));
  segment_.family(tests::gauge("a", shm::GaugeMode::kSum));
  expect_finding("needs the name a");
}

TEST_F(Check, WorkerEntriesOutOfRangeAreNamed) {
  auto& entry = segment_.view().worker(1);
  entry.pid.store_relaxed(1);
  expect_finding("worker 1: nobody has claimed it");
  entry.epoch.store_relaxed(2);
  entry.released.store_relaxed(2);
  expect_finding("worker 1: released is 2");
  entry.released.store_relaxed(0);
  entry.counted.store_relaxed(2);
  expect_finding("worker 1: counted is 2");
  entry.counted.store_relaxed(1);
  entry.epoch.store_relaxed(UINT64_MAX);
  expect_finding("worker 1: epoch");
  entry.epoch.store_relaxed(2);
  entry.reserved2[1].store_relaxed(1);
  expect_finding("worker 1: reserved");
  entry.reserved2[1].store_relaxed(0);
  entry.cells_allocated.store_relaxed(17);
  expect_finding("worker 1: cells_allocated is 17");
  entry.cells_allocated.store_relaxed(0);
}

TEST_F(Check, SlotsOutOfRangeAreNamed) {
  segment_.dead(0);
  auto& slot = segment_.view().slot(2);
  for (const std::uint64_t owner :
       {std::uint64_t{9} << shm::kOwnerEpochBits | 2, std::uint64_t{5}, std::uint64_t{1} << shm::kOwnerEpochBits | 4,
        std::uint64_t{1} << shm::kOwnerEpochBits | 1}) {
    slot.owner.store_relaxed(owner);
    expect_finding("slot 2: ");
  }
  slot.owner.store_relaxed(0);
  slot.reserved[3].store_relaxed(1);
  expect_finding("slot 2: reserved");
  slot.reserved[3].store_relaxed(0);
  slot.cells_allocated.store_relaxed(segment_.geometry().cells + shm::kGrowthCells);
  expect_finding("slot 2: cells_allocated");
}

TEST_F(Check, TheSpillMustHoldEverySeriesAndNoSequenceOrOwner) {
  const auto family = segment_.family(tests::histogram("h", {1}));
  segment_.spill(family.cell).store_relaxed(2);
  expect_finding("spill slot: cell");
  segment_.spill(family.cell).store_relaxed(0);
  segment_.spill(0).store_relaxed(1);
  expect_finding("redo record");
  segment_.spill(0).store_relaxed(0);
  segment_.spill(8 + shm::kUsedTallies).store_relaxed(1);
  expect_finding("a tally that nobody counts");
  segment_.spill(8 + shm::kUsedTallies).store_relaxed(0);
  segment_.view().slot(segment_.geometry().spill()).owner.store_relaxed(1);
  expect_finding("has an owner");
  segment_.view().slot(segment_.geometry().spill()).owner.store_relaxed(0);
  segment_.view().slot(segment_.geometry().spill()).cells_allocated.store_relaxed(0);
  expect_finding("holds 0 cells");
  segment_.view().slot(segment_.geometry().spill()).cells_allocated.store_relaxed(shm::kGrowthCells);
  segment_.family(tests::gauge("g", shm::GaugeMode::kMin));
  segment_.view().slot(segment_.geometry().gauge_spill()).cells_allocated.store_relaxed(0);
  expect_finding("gauge spill slot: holds 0 cells");
}

TEST_F(Check, CellsThatNoWriterLeavesAreNamed) {
  const auto cost = segment_.family(tests::counter("cost_total", {}, shm::CellKind::kDouble));
  const auto times = segment_.family(tests::histogram("h", {1}));
  const auto live = segment_.family(tests::gauge("g", shm::GaugeMode::kLivesum));
  segment_.thread(0, cost.cell).store_double_relaxed(-0.5);
  expect_finding("float counter");
  segment_.thread(0, cost.cell).store_relaxed(0);
  segment_.thread(0, 0).store_relaxed(cost.cell | std::uint64_t{cost.cell + 2} << 32);
  expect_finding("no histogram begins there");
  segment_.thread(0, 0).store_relaxed(times.cell | std::uint64_t{times.cell + 4} << 32);
  expect_finding("outside the histogram");
  segment_.thread(0, 0).store_relaxed(0);
  segment_.thread(0, 3).store_relaxed(1);
  expect_finding("reserved words");
  segment_.thread(0, 3).store_relaxed(0);
  segment_.thread(0, 8).store_relaxed(1);
  expect_finding("tallies");
  segment_.thread(0, 8).store_relaxed(0);
  segment_.gauge_spill(live.cell + 1).store_relaxed(1);
  expect_finding("min, max and shared");
  segment_.gauge_spill(live.cell + 1).store_relaxed(0);
  const auto shared = segment_.family(tests::gauge("s", shm::GaugeMode::kShared));
  segment_.gauge_spill(shared.cell).store_relaxed(1);
  expect_finding("min, max and shared");
}

TEST_F(Check, NearlyFullNamesTheOptionToRaiseAndStaysSound) {
  for (std::uint32_t i = 0; i < segment_.geometry().workers; ++i) segment_.dead(i);
  for (std::uint32_t i = 0; i < segment_.geometry().thread_slots; ++i) segment_.thread(i, 0);
  std::vector<double> bounds(shm::kMaxBounds);
  for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = static_cast<double>(i);
  const auto family = segment_.family(tests::histogram("h", bounds, {"x"}));
  while (segment_.cells().thread_cells < segment_.geometry().cells * 9 / 10) {
    segment_.series(family, {std::to_string(segment_.entries())});
  }
  segment_.view().directory().space.store_relaxed(segment_.geometry().directory_bytes / 10 * 9 / 8 * 8);
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, Verdict::kSound);
  std::string warnings;
  for (const std::string& warning : report.warnings) warnings += warning + '\n';
  for (const char* option : {"option workers", "option slots", "option cells", "option directory_bytes"}) {
    EXPECT_THAT(warnings, HasSubstr(option));
  }
}

}  // namespace
}  // namespace shmetrics::collector
