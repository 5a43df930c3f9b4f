#include "collector/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/collector/segment_builder.hpp"

namespace shmetrics::collector {
namespace {

using shm::GaugeMode;
using shm::MetricType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A directory in memory, and the catalog that reads it.
class CatalogTest : public ::testing::Test {
 protected:
  /// Returns the number of the record's entry.
  std::uint32_t append(std::string record) {
    log_.push_back(std::move(record));
    return static_cast<std::uint32_t>(log_.size() - 1);
  }
  std::uint32_t family(const shm::Schema& schema) { return append(shm::encode_family(schema, 0, 10, cells_)); }
  void series(std::uint32_t entry, const shm::Schema& schema, std::vector<std::string_view> values) {
    append(shm::encode_series(entry, schema.type, shm::series_cells(schema), values, 0, cells_));
  }
  void read(Catalog& catalog) {
    for (std::size_t i = catalog.entries(); i < log_.size(); ++i) catalog.add(std::as_bytes(std::span(log_[i])));
    catalog.settle();
  }
  void read() { read(catalog_); }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const CatalogFamily* family : catalog_.families()) names.push_back(family->name);
    return names;
  }
  /// All line prefixes of a family, one a line.
  std::string prefixes(std::size_t family = 0) {
    const KeptParts& of = catalog_.families().at(family)->prefixes();
    std::string text;
    for (std::size_t i = 0; i < of.ends.size(); ++i) text.append(of.part(i)).append("|\n");
    return text;
  }

  std::vector<std::string> log_;
  shm::CellCursor cells_;
  Catalog catalog_{tests::kSmall};
};

TEST_F(CatalogTest, AnEmptyDirectoryHasNothing) {
  read();
  EXPECT_THAT(catalog_.families(), IsEmpty());
  EXPECT_THAT(catalog_.problems(), IsEmpty());
}

TEST_F(CatalogTest, FamiliesAreSortedByNameAndSeriesByLabelValues) {
  const auto schema = tests::counter("b_total", {"x", "y"});
  const auto offset = family(schema);
  family(tests::counter("a_total"));
  series(offset, schema, {"2", "1"});
  series(offset, schema, {"1", "b"});
  read();
  series(offset, schema, {"1", "a"});
  read();
  EXPECT_THAT(names(), ElementsAre("a_total", "b_total"));
  EXPECT_EQ(prefixes(1),
            "b_total{x=\"1\",y=\"a\"} |\n"
            "b_total{x=\"1\",y=\"b\"} |\n"
            "b_total{x=\"2\",y=\"1\"} |\n"
            "b_total{x=\"__overflow__\",y=\"__overflow__\"} |\n");
  EXPECT_EQ(catalog_.series_count(), 4u);
}

TEST_F(CatalogTest, LabelValuesAreEscapedInThePrefix) {
  const auto schema = tests::gauge("g", GaugeMode::kSum, {"x"});
  series(family(schema), schema, {"a\\b\"c\nd"});
  read();
  EXPECT_EQ(prefixes(), "g{x=\"a\\\\b\\\"c\\nd\"} |\n");
}

TEST_F(CatalogTest, AHistogramHasALineABoundAndThenSumAndCount) {
  family(tests::histogram("h", {0.1, 2.5}));
  read();
  EXPECT_EQ(prefixes(),
            "h_bucket{le=\"0.1\"} |\nh_bucket{le=\"2.5\"} |\nh_bucket{le=\"+Inf\"} |\nh_sum |\nh_count |\n");
}

TEST_F(CatalogTest, PerWorkerGaugesEndBeforeTheWorker) {
  const auto schema = tests::gauge("g", GaugeMode::kAll, {"x"});
  series(family(schema), schema, {"1"});
  family(tests::gauge("h", GaugeMode::kLiveall));
  read();
  EXPECT_EQ(prefixes(0), "g{x=\"1\",worker=\"|\n");
  EXPECT_EQ(prefixes(1), "h{worker=\"|\n");
}

TEST_F(CatalogTest, InfoIsAGaugeInTheTextFormat) {
  family(tests::plain(MetricType::kInfo, "a_info"));
  read();
  EXPECT_EQ(catalog_.families()[0]->head, "# HELP a_info Help.\n# TYPE a_info gauge\n");
}

TEST_F(CatalogTest, NeighbouringColumnsAreOneRun) {
  const auto schema = tests::counter("a_total", {"x"});
  const auto offset = family(schema);
  series(offset, schema, {"1"});
  series(offset, schema, {"2"});
  family(tests::counter("c_total", {}, shm::CellKind::kDouble));
  family(tests::histogram("h", {1}));
  read();
  ASSERT_EQ(catalog_.runs().size(), 3u);
  EXPECT_EQ(catalog_.runs()[0].cells, 1 + shm::kOverflowReasons + 2);  // overflow series, tallies, two series
  EXPECT_EQ(catalog_.runs()[1].kind, ColumnKind::kDouble);
  EXPECT_EQ(catalog_.runs()[2].width, 4u);
}

TEST_F(CatalogTest, ALabelSetIsThereOnceAndTheFirstWins) {
  const auto schema = tests::counter("a_total", {"x"});
  const auto offset = family(schema);
  series(offset, schema, {"1"});
  const std::uint32_t second = cells_.thread_cells;
  series(offset, schema, {"1"});
  read();
  series(offset, schema, {"1"});
  read();
  EXPECT_EQ(catalog_.quarantined_series(), 2u);
  EXPECT_EQ(catalog_.series_count(), 1u);
  EXPECT_EQ(catalog_.families()[0]->series[0].place, second - 1);
}

TEST_F(CatalogTest, AFamilyThatNeedsATakenNameIsQuarantined) {
  family(tests::histogram("a", {1}));
  const auto schema = tests::gauge("a_created", GaugeMode::kSum, {"x"});
  series(family(schema), schema, {"1"});
  read();
  EXPECT_THAT(names(), ElementsAre("a"));
  EXPECT_EQ(catalog_.quarantined_families(), 1u);
  EXPECT_EQ(catalog_.quarantined_series(), 1u);
  ASSERT_FALSE(catalog_.problems().empty());
  EXPECT_THAT(catalog_.problems()[0], HasSubstr("a_created"));
}

TEST_F(CatalogTest, AnotherTypeEndsWhatStoodUnderTheNameAndItsSeriesGo) {
  const auto before = tests::histogram("a", {1}, {"x"});
  const auto after = tests::gauge("a", GaugeMode::kSum, {"x"});
  const auto old = family(before);
  series(old, before, {"old"});
  read();
  series(family(after), after, {"new"});
  series(old, before, {"late"});
  read();
  EXPECT_THAT(names(), ElementsAre("a"));
  EXPECT_EQ(catalog_.families()[0]->type, MetricType::kGauge);
  EXPECT_EQ(catalog_.series_count(), 1u);
  EXPECT_EQ(catalog_.quarantined_families() + catalog_.quarantined_series(), 0u);
  // Its names are free, and the first type may come back without what it was before.
  series(family(before), before, {"again"});
  family(tests::gauge("b", GaugeMode::kSum));
  read();
  EXPECT_EQ(catalog_.families()[0]->type, MetricType::kHistogram);
  EXPECT_TRUE(catalog_.families()[0]->generations.empty());
  EXPECT_EQ(catalog_.series_count(), 2u);
}

TEST_F(CatalogTest, ABadRecordIsSkippedAndTheRestIsServed) {
  const auto bad = family(tests::counter("a_total"));
  family(tests::counter("b_total"));
  log_[bad][sizeof(shm::FamilyRecord)] ^= 1;
  read();
  EXPECT_THAT(names(), ElementsAre("b_total"));
  EXPECT_EQ(catalog_.quarantined_families(), 1u);
}

TEST_F(CatalogTest, ASeriesOfNoFamilyIsSkippedAndCounted) {
  const auto schema = tests::counter("a_total", {"x"});
  series(4711, schema, {"1"});
  read();
  EXPECT_EQ(catalog_.quarantined_series(), 1u);
}

// Strict or lenient: a record does not say how its writer was asked to name.
TEST_F(CatalogTest, NamesOfLenientWritersAreServed) {
  for (const auto& schema : {tests::counter("a"), tests::counter("a:b_total"), tests::counter("process_c_total")}) {
    family(schema);
  }
  read();
  EXPECT_THAT(names(), ElementsAre("a", "a:b_total", "process_c_total"));
  EXPECT_EQ(catalog_.quarantined_families(), 0u);
}

TEST_F(CatalogTest, NamesThatNoWriterMayUseAreQuarantined) {
  for (const auto& schema : {tests::counter("a-b_total"), tests::counter("shmetrics_a_total"), tests::counter("_total"),
                             tests::counter("a_total", {"__x"}), tests::counter("b_total", {"x", "x"})}) {
    family(schema);
  }
  read();
  EXPECT_THAT(catalog_.families(), IsEmpty());
  EXPECT_EQ(catalog_.quarantined_families(), 5u);
}

TEST_F(CatalogTest, TheNameOfASegmentIsTheFirstLabelOfEveryLine) {
  Catalog catalog(tests::kSmall, "a\"b");
  const auto schema = tests::histogram("h", {1}, {"segment"});
  series(family(schema), schema, {"own"});
  family(tests::gauge("i", GaugeMode::kAll));
  read(catalog);
  const CatalogFamily& histogram = *catalog.families().at(0);
  const std::string& prefixes = histogram.prefixes().bytes;
  EXPECT_TRUE(prefixes.starts_with("h_bucket{segment=\"a\\\"b\",exported_segment=\"__overflow__\",le=\"1\"} "))
      << prefixes;
  EXPECT_LE(prefixes.size(), histogram.text_bytes);
  EXPECT_EQ(catalog.families().at(1)->prefixes().bytes, "i{segment=\"a\\\"b\",worker=\"");
}

TEST_F(CatalogTest, TextBeyondTheBoundIsQuarantinedNotBuilt) {
  // Series whose text would be more than kMaxPrefixBytes: long label values times many bounds.
  std::vector<double> bounds;
  for (int i = 0; i < 64; ++i) bounds.push_back(i);
  const std::vector<std::string_view> labels{"a", "b", "c", "d", "e", "f", "g", "h"};
  const auto schema = tests::histogram("h", bounds, labels);
  Catalog catalog({.workers = 1, .thread_slots = 1, .cells = 1u << 20, .directory_bytes = 64u << 20});
  const auto offset = family(schema);
  constexpr std::uint64_t kSeries = 600;  // 600 x 67 lines x 8 KiB = 330 MB
  for (std::uint64_t i = 0; i < kSeries; ++i) {
    const std::string value(1000, static_cast<char>('a' + i % 26));
    const std::string last = value + std::to_string(i);
    series(offset, schema, {value, value, value, value, value, value, value, last});
  }
  read(catalog);
  EXPECT_GT(catalog.quarantined_series(), 0u);
  EXPECT_EQ(catalog.series_count() + catalog.quarantined_series(), kSeries);
  EXPECT_LE(catalog.families()[0]->prefixes().bytes.size(), kMaxPrefixBytes);
}

TEST_F(CatalogTest, NoLimitLetsTheTextGrowBeyondWhatThirtyTwoBitsCount) {
  std::vector<double> bounds;
  for (int i = 0; i < 64; ++i) bounds.push_back(i);
  const std::vector<std::string_view> labels{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"};
  const auto schema = tests::histogram("h", bounds, labels);
  Catalog catalog({.workers = 1, .thread_slots = 1, .cells = 1u << 20, .directory_bytes = 64u << 20});
  catalog.limit_text(UINT64_MAX);
  const auto offset = family(schema);
  constexpr std::uint64_t kSeries = 2200;  // 2,200 x 67 lines x 30 KB = 4.4 GB, if it were built
  const std::string quotes(1000, '"');
  std::vector<std::string_view> values(labels.size(), quotes);
  for (std::uint64_t i = 0; i < kSeries; ++i) {
    const std::string last = std::to_string(i);
    values.back() = last;
    series(offset, schema, values);
  }
  read(catalog);
  EXPECT_GT(catalog.quarantined_series(), 0u);
  EXPECT_EQ(catalog.series_count() + catalog.quarantined_series(), kSeries);
  EXPECT_LE(catalog.families()[0]->text_bytes, std::uint64_t{INT32_MAX});
}

// Of a record of this release the words are changed, and it is sealed again: as a newer release would write it.
std::string changed(std::string record, std::size_t at, std::uint32_t word, const shm::CellCursor& ends,
                    shm::RecordKind kind = shm::RecordKind::kFamily) {
  std::memcpy(record.data() + at, &word, sizeof word);
  shm::seal(record, kind, ends);
  return record;
}

TEST_F(CatalogTest, WhatANewerReleaseHasWrittenIsSkippedToldOfAndNoProblem) {
  const std::pair<std::size_t, std::uint32_t> fields[] = {{offsetof(shm::FamilyRecord, type), 6},
                                                          {offsetof(shm::FamilyRecord, cell_kind), 3},
                                                          {offsetof(shm::FamilyRecord, gauge_mode), 11},
                                                          {offsetof(shm::FamilyRecord, flags), 4}};
  for (const auto& [at, word] : fields) {
    const std::string name = "g" + std::to_string(at);  // which the schema only views
    const auto schema = tests::gauge(name, GaugeMode::kSum, {"x"});
    const std::string record = shm::encode_family(schema, 0, 10, cells_);
    const auto unknown = append(changed(record, at, word, cells_));
    series(unknown, schema, {"1"});
  }
  append(changed(shm::encode_family(tests::counter("a_total"), 0, 10, cells_), 0, 0, cells_,
                 static_cast<shm::RecordKind>(3)));
  family(tests::counter("b_total"));
  read();
  EXPECT_THAT(names(), ElementsAre("b_total"));
  EXPECT_THAT(catalog_.problems(), IsEmpty());
  EXPECT_EQ(catalog_.quarantined_families(), 5u);
  EXPECT_EQ(catalog_.quarantined_series(), 4u);
  EXPECT_EQ(catalog_.newer_records(), 9u);
  ASSERT_EQ(catalog_.newer().size(), 5u);
  EXPECT_EQ(catalog_.newer()[0], "directory entry 0: family 'g32' was written by a newer release, and is left out");
}

TEST_F(CatalogTest, AnUnknownTypeEndsAKnownOneOfItsNameAndAnUnknownFlagDoesNot) {
  const auto schema = tests::counter("a_total");
  family(schema);
  family(tests::counter("b_total"));
  append(changed(shm::encode_family(schema, 0, 10, cells_), offsetof(shm::FamilyRecord, type), 9, cells_));
  append(changed(shm::encode_family(tests::counter("b_total"), 0, 10, cells_), offsetof(shm::FamilyRecord, flags), 4,
                 cells_));
  read();
  EXPECT_THAT(names(), ElementsAre("b_total"));
}

TEST_F(CatalogTest, AGapWithoutADefectBeforeItIsAProblemAndOneBehindADefectIsNone) {
  family(tests::counter("a_total"));
  cells_.thread_cells += 1;
  family(tests::counter("b_total"));
  cells_.thread_cells += 1;
  family(tests::counter("c_total"));
  read();
  EXPECT_THAT(names(), ElementsAre("a_total", "c_total"));
  EXPECT_EQ(catalog_.quarantined_families(), 1u);
}

TEST_F(CatalogTest, EndsThatGoBackOrBeyondTheCellsCostTheirRecordAlone) {
  family(tests::counter("a_total"));
  const shm::CellCursor sound = cells_;
  cells_.thread_cells = shm::kPrefixCells;
  family(tests::counter("b_total"));
  cells_ = {tests::kSmall.cells, 0};
  family(tests::counter("c_total"));
  cells_ = sound;
  family(tests::counter("d_total"));
  read();
  EXPECT_THAT(names(), ElementsAre("a_total", "d_total"));
  EXPECT_EQ(catalog_.quarantined_families(), 2u);
}

TEST_F(CatalogTest, AnEntryThatNamesNothingKeepsTheNumbersOfThoseBehindIt) {
  catalog_.skip("names no place");
  log_.emplace_back();  // so that the numbers here are the same
  const auto schema = tests::counter("a_total", {"x"});
  series(family(schema), schema, {"1"});
  read();
  EXPECT_EQ(catalog_.series_count(), 1u);
  EXPECT_THAT(catalog_.problems(), ElementsAre("directory entry 0: names no place"));
}

TEST_F(CatalogTest, FamiliesBeyondTheLimitAreQuarantinedAndCounted) {
  Catalog catalog(
      {.workers = 1, .thread_slots = 1, .cells = shm::kMaxCells, .directory_bytes = shm::kMaxDirectoryBytes});
  for (std::size_t i = 0; i < kMaxFamilies + 3; ++i) family(tests::counter("a_" + std::to_string(i) + "_total"));
  read(catalog);
  EXPECT_EQ(catalog.families().size(), kMaxFamilies);
  EXPECT_EQ(catalog.quarantined_families(), 3u);
  EXPECT_THAT(catalog.problems(), ::testing::Contains(HasSubstr("more families than " + std::to_string(kMaxFamilies))));
}

}  // namespace
}  // namespace shmetrics::collector
