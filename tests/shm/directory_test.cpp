#include "shm/directory.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <random>

namespace shmetrics::shm {
namespace {

/// A directory in memory, written as the client writes it.
class DirectoryTest : public ::testing::Test {
 protected:
  DirectoryTest() { bytes_.resize(sizeof(DirectoryHead)); }

  std::uint32_t add_family(MetricType type, std::string_view name, std::vector<std::string_view> labels = {},
                           std::vector<double> bounds = {}) {
    Schema schema;
    schema.type = type;
    schema.name = name;
    schema.help = "help of it";
    schema.labels = std::move(labels);
    schema.bounds = std::move(bounds);
    return append(encode_family(schema, {123, 1000, 0}, cells_));
  }
  std::uint32_t add_series(std::uint32_t family, MetricType type, std::vector<std::string_view> values,
                           std::size_t bounds = 0) {
    return append(encode_series(family, type, bounds, values, 456, cells_));
  }
  std::uint32_t append(const std::string& record) {
    const auto at = static_cast<std::uint32_t>(bytes_.size());
    bytes_ += record;
    return at;
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

  /// Parses all of it from the beginning; defects as text.
  std::vector<std::string> defects() {
    DirectoryParser parser(geometry_);
    std::vector<std::string> found;
    for (;;) {
      const auto step = parser.next(bytes());
      if (std::holds_alternative<std::monostate>(step)) return found;
      if (const auto* defect = std::get_if<Defect>(&step)) found.push_back(defect->problem);
    }
  }

  Geometry geometry_;
  CellCursor cells_;
  std::string bytes_;
};

TEST_F(DirectoryTest, RecordsComeBackAsTheyWere) {
  const auto requests = add_family(MetricType::kCounter, "requests_total", {"method", "route"});
  const auto duration = add_family(MetricType::kHistogram, "duration_seconds", {}, {0.1, 1});
  add_series(requests, MetricType::kCounter, {"GET", "/\xc3\xbc\"\n"});

  DirectoryParser parser(geometry_);
  const auto first = std::get<ParsedFamily>(parser.next(bytes()));
  EXPECT_EQ(first.offset, requests);
  EXPECT_EQ(first.schema.name, "requests_total");
  EXPECT_EQ(first.schema.help, "help of it");
  EXPECT_EQ(first.schema.labels, (std::vector<std::string_view>{"method", "route"}));
  EXPECT_EQ(first.record.created_unix_ns, 123u);
  EXPECT_EQ(first.record.first_cell, kPrefixCells) << "the overflow series";
  EXPECT_EQ(first.record.overflow_tally, kPrefixCells + 1);

  const auto second = std::get<ParsedFamily>(parser.next(bytes()));
  EXPECT_EQ(second.offset, duration);
  EXPECT_EQ(second.schema.bounds, (std::vector<double>{0.1, 1}));
  EXPECT_EQ(second.record.first_cell, kPrefixCells + 2);

  const auto series = std::get<ParsedSeries>(parser.next(bytes()));
  EXPECT_EQ(series.record.family, requests);
  EXPECT_EQ(series.record.first_cell, kPrefixCells + 2 + 5) << "sequence, sum, three buckets before it";
  ASSERT_EQ(series.values().size(), 2u);
  EXPECT_EQ(series.values()[1], "/\xc3\xbc\"\n");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(parser.next(bytes())));
}

TEST_F(DirectoryTest, ParsingGoesOnWhereTheLogGrew) {
  const auto family = add_family(MetricType::kCounter, "a_total", {"l"});
  DirectoryParser parser(geometry_);
  EXPECT_TRUE(std::holds_alternative<ParsedFamily>(parser.next(bytes())));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(parser.next(bytes())));
  add_series(family, MetricType::kCounter, {"v"});
  EXPECT_TRUE(std::holds_alternative<ParsedSeries>(parser.next(bytes())));
  EXPECT_EQ(parser.cells().thread_cells, cells_.thread_cells);
}

TEST_F(DirectoryTest, GaugesHaveCellsOfTheirOwn) {
  add_family(MetricType::kGauge, "g");
  const auto labelled = add_family(MetricType::kGauge, "h", {"l"});
  add_series(labelled, MetricType::kGauge, {"v"});
  EXPECT_EQ(cells_.process_cells, 2 * kGaugeCells);
  EXPECT_EQ(cells_.thread_cells, kPrefixCells + 1) << "the tally of the labelled one";
  EXPECT_TRUE(defects().empty());
}

TEST_F(DirectoryTest, EveryFlippedBitIsADefect) {
  const auto family = add_family(MetricType::kCounter, "requests_total", {"method"});
  add_series(family, MetricType::kCounter, {"GET"});
  ASSERT_TRUE(defects().empty());
  for (std::size_t at = sizeof(DirectoryHead); at < bytes_.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes_[at] = static_cast<char>(bytes_[at] ^ (1 << bit));
      EXPECT_FALSE(defects().empty()) << "byte " << at << " bit " << bit;
      bytes_[at] = static_cast<char>(bytes_[at] ^ (1 << bit));
    }
  }
}

TEST_F(DirectoryTest, RecordsBehindADefectAreStillRead) {
  const auto bad = add_family(MetricType::kCounter, "bad_total");
  add_family(MetricType::kCounter, "good_total");
  bytes_[bad + sizeof(FamilyRecord)] ^= 1;
  DirectoryParser parser(geometry_);
  EXPECT_TRUE(std::holds_alternative<Defect>(parser.next(bytes())));
  const auto good = std::get<ParsedFamily>(parser.next(bytes()));
  EXPECT_EQ(good.schema.name, "good_total");
  EXPECT_TRUE(good.gap);
}

TEST_F(DirectoryTest, ASeriesWithoutItsFamilyIsADefect) {
  const auto family = add_family(MetricType::kCounter, "a_total", {"l"});
  add_series(family + 8, MetricType::kCounter, {"v"});
  EXPECT_EQ(defects().size(), 1u);
}

TEST_F(DirectoryTest, CellsBeyondTheGeometryAreADefect) {
  geometry_.cells = kGrowthCells;
  cells_.thread_cells = kGrowthCells;
  add_family(MetricType::kCounter, "a_total");
  EXPECT_EQ(defects().size(), 1u);
}

TEST_F(DirectoryTest, AForgedRecordThatReusesCellsIsADefect) {
  add_family(MetricType::kCounter, "a_total");
  cells_.thread_cells = kPrefixCells;
  add_family(MetricType::kCounter, "b_total");
  EXPECT_EQ(defects().size(), 1u);
}

TEST_F(DirectoryTest, ALengthThatLeadsNowhereEndsTheParse) {
  const auto family = add_family(MetricType::kCounter, "a_total");
  for (const std::uint32_t length : {0u, 8u, 17u, 1u << 20, 0xffffffffu}) {
    std::memcpy(bytes_.data() + family, &length, sizeof length);
    EXPECT_EQ(defects().size(), 1u) << length;
  }
}

TEST_F(DirectoryTest, AnyDamagedWordCostsItsOwnRecordAlone) {
  const auto bad = add_family(MetricType::kCounter, "bad_total");
  const std::size_t end = bytes_.size();
  const auto good = add_family(MetricType::kCounter, "good_total", {"l"});
  add_series(good, MetricType::kCounter, {"v"});
  const std::string sound = bytes_;
  for (std::size_t at = bad; at < end; at += 8) {
    for (const std::uint64_t word : {std::uint64_t{0}, UINT64_MAX, std::uint64_t{24}, std::uint64_t{end - bad + 8}}) {
      bytes_ = sound;
      std::memcpy(bytes_.data() + at, &word, sizeof word);
      if (bytes_ == sound) continue;
      DirectoryParser parser(geometry_);
      EXPECT_TRUE(std::holds_alternative<Defect>(parser.next(bytes())));
      const auto next = parser.next(bytes());
      ASSERT_TRUE(std::holds_alternative<ParsedFamily>(next)) << "byte " << at << ", word " << word;
      EXPECT_EQ(std::get<ParsedFamily>(next).offset, good);
      EXPECT_TRUE(std::holds_alternative<ParsedSeries>(parser.next(bytes())));
      EXPECT_TRUE(std::holds_alternative<std::monostate>(parser.next(bytes())));
    }
  }
}

// Each word claims a long record, so each asks for a long checksum: without a bound minutes, for a few megabytes.
TEST_F(DirectoryTest, TheSearchBehindDamageIsBounded) {
  bytes_.assign(16 << 20, '\0');
  for (std::size_t at = sizeof(DirectoryHead); at < bytes_.size(); at += 8) {
    const std::uint64_t word = 32768 | std::uint64_t{1} << 32;
    std::memcpy(bytes_.data() + at, &word, sizeof word);
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(defects().size(), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(DirectoryTest, RandomBytesNeverRunAwayWithTheParser) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 2000; ++round) {
    bytes_.resize(sizeof(DirectoryHead) + random() % 4096);
    for (char& byte : bytes_) byte = static_cast<char>(random());
    // Plausible lengths keep the parser going for longer.
    for (std::size_t at = sizeof(DirectoryHead); at + 16 < bytes_.size();) {
      const std::uint32_t head[2] = {static_cast<std::uint32_t>(16 + random() % 16 * 8),
                                     static_cast<std::uint32_t>(random() % 4)};
      std::memcpy(bytes_.data() + at, head, sizeof head);
      if (at + head[0] <= bytes_.size()) {
        const auto record = bytes().subspan(at, head[0]);
        const std::uint64_t checksum = record_checksum(record);
        std::memcpy(bytes_.data() + at + 8, &checksum, sizeof checksum);
      }
      at += head[0];
    }
    EXPECT_LE(defects().size(), bytes_.size() / 16);
  }
}

}  // namespace
}  // namespace shmetrics::shm
