#include "shm/directory.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "shm/native_window.hpp"

namespace shmetrics::shm {
namespace {

/// A log in memory, written as the client writes it.
class DirectoryTest : public ::testing::Test {
 protected:
  std::uint32_t add_family(MetricType type, std::string_view name, std::vector<std::string_view> labels = {},
                           std::vector<double> bounds = {}) {
    Schema schema;
    schema.type = type;
    schema.name = name;
    schema.help = "help of it";
    schema.labels = std::move(labels);
    schema.bounds = std::move(bounds);
    return append(encode_family(schema, 123, 1000, cells_));
  }
  std::uint32_t add_series(std::uint32_t family, MetricType type, std::vector<std::string_view> values,
                           std::size_t bounds = 0) {
    return append(encode_series(family, type, value_cells(type, bounds), values, 456, cells_));
  }
  /// Returns the number of the record's entry.
  std::uint32_t append(std::string record) {
    log_.push_back(std::move(record));
    return static_cast<std::uint32_t>(log_.size() - 1);
  }
  DirectoryParser::Step next(DirectoryParser& parser) const {
    return parser.next(std::as_bytes(std::span(log_[parser.entries()])));
  }
  /// What becomes of each entry of the whole log: f(amily), s(eries), u(nknown), D(efect).
  std::string parsed() const {
    DirectoryParser parser(geometry_);
    std::string steps;
    while (parser.entries() < log_.size()) steps += "fsuD"[next(parser).index()];
    return steps;
  }
  /// Writes a word of a record, and seals the record again.
  void reseal(std::uint32_t entry, std::size_t at, std::uint32_t word) {
    std::string& record = log_[entry];
    std::memcpy(record.data() + at, &word, sizeof word);
    const std::uint64_t checksum = record_checksum(std::as_bytes(std::span(record)));
    std::memcpy(record.data() + offsetof(RecordHead, checksum), &checksum, sizeof checksum);
  }

  Geometry geometry_;
  CellCursor cells_;
  std::vector<std::string> log_;
};

TEST_F(DirectoryTest, ANativeHistogramKeepsThreeNumbersAndHasACellForEachBucket) {
  Schema schema;
  schema.type = MetricType::kHistogram;
  schema.name = "duration_seconds";
  schema.help = "help of it";
  schema.labels = {"route"};
  schema.is_native = true;
  schema.bounds = {3, 1, 4};  // 8 buckets from 1 to 2, 8 from 2 to 4
  constexpr std::uint32_t kBounds = 17;
  const auto family = append(encode_family(schema, 123, 1000, cells_));
  append(encode_series(family, schema.type, series_cells(schema), std::vector<std::string_view>{"/"}, 456, cells_));

  DirectoryParser parser(geometry_);
  const auto parsed = std::get<ParsedFamily>(next(parser));
  EXPECT_TRUE(parsed.schema.is_native);
  EXPECT_EQ(parsed.schema.bounds, schema.bounds);
  EXPECT_EQ(parsed.record.bound_count, kNativeBounds);
  EXPECT_EQ(parsed.record.flags, kFamilyNative);
  const std::uint32_t series_end = kPrefixCells + kHistogramBuckets + kBounds + 1;
  EXPECT_EQ(parsed.record.overflow_tally, series_end) << "behind the overflow series: sequence, sum, a cell a bucket";
  EXPECT_EQ(std::get<ParsedSeries>(next(parser)).record.first_cell, series_end + kOverflowReasons);
  EXPECT_EQ(parser.cells(), cells_);
}

TEST_F(DirectoryTest, NativeBucketsThatNoWriterLeavesAreDamage) {
  const std::vector<std::vector<double>> all = {
      {3, 1, 4, 8},                                       // one number too many
      {3, 1},                                             // one too few
      {8.5, 1, 4},                                        // no schema
      {9, 1, 4},                                          // too fine
      {-5, 1, 65536},                                     // too coarse
      {3, 1.05, 4},                                       // begins between borders
      {3, 1, std::nextafter(4, 5)},                       // ends between borders
      {3, 4, 1},                                          // ends before it begins
      {3, 1, 1},                                          // is empty
      {3, 0, 4},                                          // zero is in the zero bucket
      {3, -1, 4},                                         // negative
      {3, std::numeric_limits<double>::denorm_min(), 4},  // too small to have a border
      {3, 1, std::numeric_limits<double>::infinity()},    // no end
      {3, 1, std::numeric_limits<double>::quiet_NaN()},
      {std::numeric_limits<double>::quiet_NaN(), 1, 4},
      {8, 1, 16},  // 1,024 buckets, so more cells than a series may have
  };
  for (const auto& bounds : all) {
    Schema schema;
    schema.type = MetricType::kHistogram;
    schema.name = "duration_seconds";
    schema.is_native = true;
    schema.bounds = bounds;
    append(encode_family(schema, 123, 1000, cells_));
  }
  EXPECT_EQ(parsed(), std::string(all.size(), 'D'));
}

TEST_F(DirectoryTest, RecordsComeBackAsTheyWere) {
  const auto requests = add_family(MetricType::kCounter, "requests_total", {"method", "route"});
  add_family(MetricType::kHistogram, "duration_seconds", {}, {0.1, 1});
  add_series(requests, MetricType::kCounter, {"GET", "/\xc3\xbc\"\n"});

  DirectoryParser parser(geometry_);
  const auto first = std::get<ParsedFamily>(next(parser));
  EXPECT_EQ(first.entry, requests);
  EXPECT_EQ(first.schema.name, "requests_total");
  EXPECT_EQ(first.schema.help, "help of it");
  EXPECT_EQ(first.schema.labels, (std::vector<std::string_view>{"method", "route"}));
  EXPECT_EQ(first.record.created_unix_ns, 123u);
  EXPECT_EQ(first.record.first_cell, kPrefixCells) << "the overflow series";
  EXPECT_EQ(first.record.overflow_tally, kPrefixCells + 1);

  const auto second = std::get<ParsedFamily>(next(parser));
  EXPECT_EQ(second.entry, 1u);
  EXPECT_EQ(second.schema.bounds, (std::vector<double>{0.1, 1}));
  EXPECT_EQ(second.record.first_cell, kPrefixCells + 1 + kOverflowReasons);

  const auto series = std::get<ParsedSeries>(next(parser));
  EXPECT_EQ(series.entry, 2u);
  EXPECT_EQ(series.record.family, requests);
  EXPECT_EQ(series.record.first_cell, kPrefixCells + 1 + kOverflowReasons + 5) << "sequence, sum, three buckets";
  ASSERT_EQ(series.values().size(), 2u);
  EXPECT_EQ(series.values()[1], "/\xc3\xbc\"\n");
  EXPECT_EQ(parser.cells(), cells_);
}

TEST_F(DirectoryTest, GaugesHaveCellsOfTheirOwn) {
  add_family(MetricType::kGauge, "g");
  const auto labelled = add_family(MetricType::kGauge, "h", {"l"});
  add_series(labelled, MetricType::kGauge, {"v"});
  EXPECT_EQ(cells_.process_cells, 2 * kGaugeCells);
  EXPECT_EQ(cells_.thread_cells, kPrefixCells + kOverflowReasons) << "the tallies of the labelled one";
  EXPECT_EQ(parsed(), "ffs");
}

TEST_F(DirectoryTest, EveryFlippedBitIsADefect) {
  const auto family = add_family(MetricType::kCounter, "requests_total", {"method"});
  add_series(family, MetricType::kCounter, {"GET"});
  ASSERT_EQ(parsed(), "fs");
  for (std::string& record : log_) {
    for (char& byte : record) {
      for (int bit = 0; bit < 8; ++bit) {
        byte = static_cast<char>(byte ^ (1 << bit));
        EXPECT_NE(parsed().find('D'), std::string::npos) << "byte " << &byte - record.data() << " bit " << bit;
        byte = static_cast<char>(byte ^ (1 << bit));
      }
    }
  }
}

TEST_F(DirectoryTest, ADefectInTheMiddleCostsItselfAlone) {
  add_family(MetricType::kCounter, "first_total");
  const auto bad = add_family(MetricType::kHistogram, "bad", {"l"}, {1});
  const auto good = add_family(MetricType::kCounter, "good_total", {"l"});
  add_series(good, MetricType::kCounter, {"v"});
  log_[bad][sizeof(FamilyRecord)] ^= 1;
  EXPECT_EQ(parsed(), "fDfs");
  log_[bad].resize(16);
  EXPECT_EQ(parsed(), "fDfs");
  log_[bad].clear();
  EXPECT_EQ(parsed(), "fDfs");
}

TEST_F(DirectoryTest, AnEntryThatIsSkippedCountsLikeADefect) {
  const auto lost = add_family(MetricType::kCounter, "lost_total");
  const auto good = add_family(MetricType::kCounter, "good_total", {"l"});
  add_series(good, MetricType::kCounter, {"v"});
  DirectoryParser parser(geometry_);
  const Defect defect = parser.skip("in a hole");
  EXPECT_EQ(defect.entry, lost);
  EXPECT_EQ(defect.problem, "in a hole");
  EXPECT_EQ(std::get<ParsedFamily>(next(parser)).entry, good);
  EXPECT_TRUE(std::holds_alternative<ParsedSeries>(next(parser)));
}

TEST_F(DirectoryTest, ASeriesWithoutItsFamilyIsADefect) {
  const auto family = add_family(MetricType::kCounter, "a_total", {"l"});
  add_series(family + 1, MetricType::kCounter, {"v"});  // itself
  add_series(7, MetricType::kCounter, {"v"});
  EXPECT_EQ(parsed(), "fDD");
}

TEST_F(DirectoryTest, ASeriesOfAFamilyWithoutLabelsIsADefect) {
  const auto family = add_family(MetricType::kCounter, "a_total");
  add_series(family, MetricType::kCounter, {});
  EXPECT_EQ(parsed(), "fD");
}

TEST_F(DirectoryTest, EndsBeyondTheCellsAreADefect) {
  geometry_.cells = kGrowthCells;
  add_family(MetricType::kCounter, "a_total");
  append("no record");
  cells_.thread_cells = kGrowthCells;
  add_family(MetricType::kCounter, "b_total");
  EXPECT_EQ(parsed(), "fDD");
}

TEST_F(DirectoryTest, EndsThatGoBackAreADefect) {
  add_family(MetricType::kCounter, "a_total");
  cells_.thread_cells = kPrefixCells;
  add_family(MetricType::kCounter, "b_total");
  EXPECT_EQ(parsed(), "fD");
  append("no record");
  cells_.thread_cells = kPrefixCells;
  add_family(MetricType::kCounter, "c_total");
  EXPECT_EQ(parsed(), "fDDD") << "behind a defect too";
}

TEST_F(DirectoryTest, AGapIsADefectUnlessTheRecordBeforeItIsOne) {
  add_family(MetricType::kCounter, "a_total");
  ++cells_.thread_cells;
  add_family(MetricType::kCounter, "b_total");
  ++cells_.thread_cells;
  add_family(MetricType::kCounter, "c_total");
  EXPECT_EQ(parsed(), "fDf");
}

TEST_F(DirectoryTest, EndsThatAreNotThoseOfItsCellsAreADefect) {
  const auto family = add_family(MetricType::kCounter, "a_total");
  const std::string sound = log_[family];
  for (const std::size_t at : {offsetof(RecordHead, thread_end), offsetof(RecordHead, process_end)}) {
    log_[family] = sound;
    reseal(family, at, 100);
    EXPECT_EQ(parsed(), "D");
  }
}

TEST_F(DirectoryTest, WhatIsUnknownIsSteppedOverWithItsCellsAndItsClaim) {
  struct Case {
    std::size_t at;
    std::uint32_t word;
  };
  for (const Case& field : {Case{offsetof(RecordHead, kind), 3}, Case{offsetof(FamilyRecord, type), 6},
                            Case{offsetof(FamilyRecord, cell_kind), 3}, Case{offsetof(FamilyRecord, gauge_mode), 11},
                            Case{offsetof(FamilyRecord, flags), 4}}) {
    log_.clear();
    cells_ = {};
    const auto newer = add_family(MetricType::kGauge, "newer");
    add_family(MetricType::kGauge, "after");
    std::string& record = log_[newer];
    record[offsetof(FamilyRecord, claim_action)] = 3;
    reseal(newer, field.at, field.word);
    EXPECT_EQ(parsed(), "uf") << field.at;
    DirectoryParser parser(geometry_);
    const auto unknown = std::get<UnknownRecord>(next(parser));
    EXPECT_EQ(unknown.process_cells, kGaugeCells);
    const bool is_family = field.at != offsetof(RecordHead, kind);
    EXPECT_EQ(unknown.family_name, is_family ? "newer" : "");
    EXPECT_EQ(unknown.claim_action, is_family ? ClaimAction::kFoldMax : ClaimAction::kZero);
  }
}

TEST_F(DirectoryTest, SeriesOfAnUnknownFamilyAreUnknownAndClaimedAsItSays) {
  const auto newer = add_family(MetricType::kGauge, "newer", {"l"});
  add_series(newer, MetricType::kGauge, {"v"});
  reseal(newer, offsetof(FamilyRecord, flags), 8);
  log_[newer][offsetof(FamilyRecord, claim_action)] = 77;
  reseal(newer, offsetof(FamilyRecord, flags), 8);
  DirectoryParser parser(geometry_);
  next(parser);
  const auto series = std::get<UnknownRecord>(next(parser));
  EXPECT_TRUE(series.is_series);
  EXPECT_EQ(series.claim_action, ClaimAction::kZero) << "an action that is not known zeroes";
}

TEST_F(DirectoryTest, AnUnknownRecordWhoseEndsGoBackIsADefect) {
  add_family(MetricType::kCounter, "a_total");
  const auto newer = add_family(MetricType::kCounter, "newer_total");
  reseal(newer, offsetof(RecordHead, kind), 9);
  EXPECT_EQ(parsed(), "fu");
  reseal(newer, offsetof(RecordHead, thread_end), kPrefixCells);
  EXPECT_EQ(parsed(), "fD");
}

TEST_F(DirectoryTest, FieldsThatNoReleaseWritesAreADefect) {
  struct Case {
    std::size_t at;
    std::uint32_t word;
  };
  for (const Case& field : {Case{offsetof(RecordHead, kind), 0}, Case{offsetof(FamilyRecord, type), 0},
                            Case{offsetof(FamilyRecord, cell_kind), 0}, Case{offsetof(FamilyRecord, label_count), 17},
                            Case{offsetof(FamilyRecord, overflow_tally), 64}}) {
    log_.clear();
    cells_ = {};
    reseal(add_family(MetricType::kCounter, "a_total"), field.at, field.word);
    EXPECT_EQ(parsed(), "D") << field.at;
  }
}

TEST_F(DirectoryTest, RandomRecordsThatAreSealedNeverRunAwayWithTheParser) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 20000; ++round) {
    std::string record(sizeof(RecordHead) + random() % 60 * 8, '\0');
    for (char& byte : record) byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 4);
    const auto length = static_cast<std::uint32_t>(record.size());
    std::memcpy(record.data(), &length, sizeof length);
    log_.assign(1, record);
    reseal(0, offsetof(RecordHead, kind), static_cast<std::uint32_t>(random() % 4));
    log_.push_back(log_[0]);
    parsed();
  }
}

}  // namespace
}  // namespace shmetrics::shm
