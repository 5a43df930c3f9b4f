// The reader trusts nothing: whatever the bytes are, it does not crash or hang, and what it writes is well-formed.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <chrono>
#include <random>

#include "collector/check.hpp"
#include "collector/plain_family.hpp"
#include "collector/protobuf.hpp"
#include "collector/scraper.hpp"
#include "tests/collector/protobuf_checker.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/collector/text_checker.hpp"
#include "tests/samples.hpp"

namespace shmetrics::collector {
namespace {

using shm::GaugeMode;
using shm::MetricType;
using tests::SegmentBuilder;

constexpr int kRounds = 4000;  // seeded: the same ones every time

/// How many families of the first text are not in the second.
std::size_t families_missing(const std::string& sound, const std::string& text) {
  std::size_t missing = 0;
  for (std::size_t at = sound.find("# TYPE "); at != sound.npos; at = sound.find("# TYPE ", at + 1)) {
    missing += text.find(sound.substr(at, sound.find('\n', at) - at)) == text.npos;
  }
  return missing;
}

/// A segment with something of everything in it.
class Hostile : public ::testing::Test {
 protected:
  Hostile() {
    const auto requests = segment_.family(tests::counter("requests_total", {"method", "route"}));
    for (const char* route : {"/", "/users", "a\\b\"c\n"}) {
      segment_.thread(0, segment_.series(requests, {"GET", route})).store_relaxed(3);
    }
    segment_.thread(1, segment_.family(tests::counter("cost_total", {}, shm::CellKind::kDouble)).cell)
        .store_double_relaxed(1);
    const auto times = segment_.family(tests::histogram("seconds", {0.1, 1, 10}, {"route"}));
    for (const char* route : {"/", "/users"}) {
      const std::uint32_t cell = segment_.series(times, {route});
      for (std::uint32_t i = 0; i < 4; ++i) segment_.thread(i % 3, cell + 2 + i).store_relaxed(i);
    }
    segment_.family(tests::plain(MetricType::kSummary, "bytes"));
    segment_.series(segment_.family(tests::plain(MetricType::kInfo, "build_info", {"version"})), {"1"});
    for (int mode = 0; mode <= static_cast<int>(GaugeMode::kShared); ++mode) {
      const std::string name = "gauge_" + std::to_string(mode);
      const auto family = segment_.family(tests::gauge(name, static_cast<GaugeMode>(mode)));
      for (std::uint32_t worker = 0; worker < 3; ++worker) segment_.set_gauge(worker, family.cell, worker);
      segment_.gauge_spill(family.cell + 1).store_relaxed(0);
    }
    segment_.dead(1);
    segment_.dead(2);
    alive_ = segment_.live(0);
    regions_ = regions();
  }

  /// What may be read at all: the tables, the directory's records, what the slots have allocated.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> regions() const {
    const shm::Geometry& shape = segment_.geometry();
    std::vector<std::pair<std::uint64_t, std::uint64_t>> regions{
        {shape.worker_table(), shape.directory() - shape.worker_table()},
        {shape.directory(), sizeof(shm::DirectoryHead) + segment_.entries() * 8},
        {shape.directory() + shape.heap(), segment_.view().directory().space.load_relaxed() - shape.heap()}};
    for (std::uint32_t slot = 0; slot < 3; ++slot) regions.emplace_back(shape.thread_slot(slot), 1024);
    regions.emplace_back(shape.spill_cells(), 1024);
    regions.emplace_back(shape.gauge_spill_cells(), 256);
    regions.emplace_back(shape.process_slot(0), 256);
    return regions;
  }
  std::uint64_t random_offset(std::mt19937_64& random) const {
    const auto& [begin, bytes] = regions_[random() % regions_.size()];
    return begin + random() % bytes;
  }

  static void expect_same_by_protobuf(const Scraper& scraper, const std::string& text, const std::string& what) {
    std::string protobuf, read;
    TextOutput output(protobuf);
    const std::chrono::system_clock::time_point now(std::chrono::seconds(1'700'000'000));
    FamilyGroups(scraper.view()).for_each({}, [&](std::span<const FamilyPart> parts) {
      render_protobuf(parts, now, output);
    });
    ASSERT_NO_THROW(read = tests::ProtobufChecker::text_of(protobuf, 1'700'000'000)) << what << text;
    ASSERT_EQ(tests::with_plain_numbers(read), tests::with_plain_numbers(text)) << what;
  }
  void expect_well_formed(Scraper& scraper, const std::string& what) {
    std::string text;
    const SegmentStatus status = scraper.scrape(text);
    ASSERT_EQ(tests::TextChecker::problem(text), "") << what;
    ASSERT_TRUE(status.up || text.empty()) << what;
    ASSERT_EQ(status.up, status.problem.empty()) << what;
    expect_same_by_protobuf(scraper, text, what);
    plain_families(scraper.view());
    scraper.workers();
  }
  void expect_all_well_formed(const std::string& what) {
    expect_well_formed(long_lived_, what);
    Scraper fresh(segment_.path());
    expect_well_formed(fresh, what);
    check_segment(segment_.path());
  }

  SegmentBuilder segment_;
  shm::Descriptor alive_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> regions_;  // of the sound segment
  Scraper long_lived_{segment_.path()};
};

TEST_F(Hostile, TheSegmentItselfIsSound) {
  std::string text;
  EXPECT_TRUE(long_lived_.scrape(text).up);
  EXPECT_EQ(tests::TextChecker::problem(text), "") << text;
  EXPECT_TRUE(check_segment(segment_.path()).findings.empty()) << check_segment(segment_.path()).findings[0];
}

TEST_F(Hostile, EveryByteOfTheHeaderIsMissedWhenItIsFlipped) {
  for (std::size_t at = 0; at < sizeof(shm::Header); at += at < 256 ? 1 : 61) {
    segment_.base()[at] ^= std::byte{0x10};
    Scraper fresh(segment_.path());
    std::string text;
    EXPECT_FALSE(fresh.scrape(text).up) << at;
    EXPECT_FALSE(check_segment(segment_.path()).findings.empty()) << at;
    expect_all_well_formed("header byte " + std::to_string(at));
    segment_.base()[at] ^= std::byte{0x10};
  }
  std::string text;
  EXPECT_TRUE(long_lived_.scrape(text).up);
}

TEST_F(Hostile, FlippedBytesAnywhereLeaveTheOutputWellFormed) {
  std::mt19937_64 random(2);
  const std::vector<std::byte> image(segment_.base(), segment_.base() + segment_.geometry().file_bytes());
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::uint64_t> touched(1 + random() % 8);
    for (std::uint64_t& at : touched) {
      at = random_offset(random);
      segment_.base()[at] = static_cast<std::byte>(random());
    }
    expect_all_well_formed("round " + std::to_string(round));
    if (HasFatalFailure()) return;
    for (const std::uint64_t at : touched) segment_.base()[at] = image[at];
  }
}

TEST_F(Hostile, RandomWordsInAllTablesAndCellsLeaveTheOutputWellFormed) {
  std::mt19937_64 random(3);
  for (int round = 0; round < kRounds / 20; ++round) {
    for (const auto& [begin, bytes] : regions_) {
      if (begin == segment_.geometry().directory() + segment_.geometry().heap()) continue;
      for (std::uint64_t at = 0; at + 8 <= bytes; at += 8) {
        const std::uint64_t word = random() % 3 == 0 ? random() : random() % 5000;
        std::memcpy(segment_.base() + begin + at, &word, 8);
      }
    }
    expect_all_well_formed("round " + std::to_string(round));
    if (HasFatalFailure()) return;
  }
}

// A writer that knows the format can seal any record: checksums keep out accidents, not people.
TEST_F(Hostile, RecordsThatAreSealedButWrongLeaveTheOutputWellFormed) {
  std::mt19937_64 random(4);
  const std::uint64_t directory = segment_.geometry().directory();
  const std::vector<std::byte> image(segment_.base() + directory,
                                     segment_.base() + directory + segment_.geometry().directory_bytes);
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 3; ++i) {
      std::byte* record = segment_.record(static_cast<std::uint32_t>(random() % segment_.entries())).data();
      shm::RecordHead head;
      std::memcpy(&head, record, sizeof head);
      record[16 + random() % (head.length - 16)] = static_cast<std::byte>(random() % 2 == 0 ? random() : random() % 4);
      head.checksum = shm::record_checksum({record, head.length});
      std::memcpy(record, &head, sizeof head);
    }
    Scraper fresh(segment_.path());
    expect_well_formed(fresh, "round " + std::to_string(round));
    check_segment(segment_.path());
    if (HasFatalFailure()) return;
    std::memcpy(segment_.base() + directory, image.data(), image.size());
  }
}

TEST_F(Hostile, AnyIndexIsSurvived) {
  std::mt19937_64 random(5);
  for (int round = 0; round < kRounds / 4; ++round) {
    const auto word = round % 2 == 0 ? random() >> (random() % 64)
                                     : shm::IndexEntry{static_cast<std::uint32_t>(random() % 8300 * 8),
                                                       static_cast<std::uint32_t>(random() % 60 * 8)}
                                           .word();
    segment_.view().index(static_cast<std::uint32_t>(random() % (segment_.entries() + 2))).store_relaxed(word);
    expect_all_well_formed("round " + std::to_string(round));
    if (HasFatalFailure()) return;
  }
}

// The same record named again and again costs no more than the heap.
TEST(HostileIndex, RecordsThatComeToMoreThanTheHeapAreLeftOut) {
  tests::SegmentBuilder segment;
  segment.family(tests::counter("a_total"));
  for (std::uint32_t entry = 1; entry < segment.geometry().index_entries(); ++entry) {
    segment.view().index(entry).store_relaxed(segment.view().index(0).load_relaxed());
  }
  Scraper scraper(segment.path());
  std::string text;
  const SegmentStatus status = scraper.scrape(text);
  EXPECT_TRUE(status.up);
  EXPECT_EQ(text, "# HELP a_total Help.\n# TYPE a_total counter\na_total 0\n");
  EXPECT_LE(status.quarantined_families, segment.geometry().heap_bytes() / sizeof(shm::FamilyRecord) + 1);
  const CheckReport report = check_segment(segment.path());
  EXPECT_NE(std::find(report.findings.begin(), report.findings.end(),
                      "directory: its records come to more than the heap has"),
            report.findings.end());
}

// A few kilobytes on disk that speak of terabytes, in words and a header that are all sound.
TEST(HostileGeometry, ClaimsOfTerabytesCostNeitherTimeNorMemory) {
  const shm::Geometry largest{1, shm::kMaxThreadSlots, shm::kMaxCells, shm::kMaxDirectoryBytes};
  tests::SegmentBuilder segment(largest);
  ASSERT_NE(segment.base(), MAP_FAILED);
  segment.family(tests::counter("a_total"));
  segment.family(tests::histogram("h", {1, 2}));
  for (std::uint32_t slot = 0; slot < largest.thread_slots + 2; ++slot) {
    segment.view().slot(slot).cells_allocated.store_relaxed(largest.cells);
  }
  segment.view().worker(0).epoch.store_relaxed(2);
  segment.view().worker(0).cells_allocated.store_relaxed(largest.cells);
  segment.view().index(2).store_relaxed(
      shm::IndexEntry{static_cast<std::uint32_t>(largest.heap() + (64u << 20)), 80}.word());
  struct stat before {};
  struct stat after {};
  ASSERT_EQ(stat(segment.path().c_str(), &before), 0);
  Scraper scraper(segment.path());
  std::string text;
  for (int i = 0; i < 3; ++i) {
    text.clear();
    const SegmentStatus status = scraper.scrape(text);
    EXPECT_TRUE(status.up) << status.problem;
    EXPECT_GT(status.quarantined_families, 0u) << "a record lies in a hole";
  }
  EXPECT_NE(text.find("a_total 0\n"), std::string::npos);
  EXPECT_FALSE(check_segment(segment.path()).findings.empty());
  ASSERT_EQ(stat(segment.path().c_str(), &after), 0);
  EXPECT_EQ(after.st_blocks, before.st_blocks) << "a reader never makes a file grow";
}

// Cells that a record of a newer release claims, or one that is lost, belong to nobody here.
TEST(HostileGeometry, GapsBetweenCellsCostNeitherTimeNorMemory) {
  const shm::Geometry wide{8, 2048, shm::kMaxCells, 65536};
  tests::SegmentBuilder segment(wide);
  std::string unknown(64, '\0');
  segment.cells().thread_cells = shm::kMaxCells - 1;
  segment.cells().process_cells = shm::kMaxCells - shm::kGaugeCells;
  shm::seal(unknown, static_cast<shm::RecordKind>(9), segment.cells());
  segment.append(unknown, false);
  segment.append(shm::encode_family(tests::counter("a_total"), 1, 1000, segment.cells()), false);
  segment.append(shm::encode_family(tests::gauge("g", shm::GaugeMode::kLivesum), 1, 1000, segment.cells()), false);
  for (std::uint32_t slot = 0; slot < wide.thread_slots + 2; ++slot) {
    segment.view().slot(slot).cells_allocated.store_relaxed(wide.cells);
  }
  for (std::uint32_t worker = 0; worker < wide.workers; ++worker) {
    segment.dead(worker);
    segment.view().worker(worker).cells_allocated.store_relaxed(wide.cells);
  }
  segment.view().thread_cells(5)[shm::kMaxCells - 1].store_relaxed(3);
  Scraper scraper(segment.path());
  const auto start = std::chrono::steady_clock::now();
  std::string text;
  const SegmentStatus status = scraper.scrape(text);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_TRUE(status.up) << status.problem;
  EXPECT_NE(text.find("\na_total 3\n"), text.npos) << text;
  EXPECT_LT(scraper.held_bytes(), 100'000u);
}

// A word of the directory, whichever: what it costs is the family whose record it is in.
TEST_F(Hostile, ADamagedWordOfTheDirectoryCostsItsOwnFamilyAlone) {
  std::string sound;
  ASSERT_TRUE(long_lived_.scrape(sound).up);
  for (std::uint32_t entry = 0; entry < segment_.entries(); ++entry) {
    const auto record = segment_.record(entry);
    for (std::size_t at = 0; at < record.size(); at += 8) {
      std::uint64_t before = 0;
      const std::uint64_t word = 0x0123456789abcdef;
      std::memcpy(&before, &record[at], 8);
      std::memcpy(&record[at], &word, 8);
      Scraper fresh(segment_.path());
      std::string text;
      EXPECT_TRUE(fresh.scrape(text).up);
      std::memcpy(&record[at], &before, 8);
      EXPECT_LE(families_missing(sound, text), 1u) << "entry " << entry << ", word at " << at;
    }
    auto& named = segment_.view().index(entry);
    const std::uint64_t before = named.load_relaxed();
    named.store_relaxed(before | 1);
    Scraper fresh(segment_.path());
    std::string text;
    EXPECT_TRUE(fresh.scrape(text).up);
    EXPECT_LE(families_missing(sound, text), 1u) << "entry " << entry;
    named.store_relaxed(before);
  }
}

TEST(HostileGeometry, CellsBeyondAllMeasureAreGivenUpInBoundedTime) {
  const shm::Geometry largest{1, shm::kMaxThreadSlots, shm::kMaxCells, shm::kPageBytes};
  tests::SegmentBuilder segment(largest);
  ASSERT_NE(segment.base(), MAP_FAILED);
  segment.append("damaged!damaged!damaged!");  // behind a defect cells may begin anywhere
  shm::CellCursor cells{shm::kMaxCells - 1, 0};
  segment.append(shm::encode_family(tests::counter("a_total"), 1, 1, cells));
  for (std::uint32_t slot = 0; slot < largest.thread_slots + 2; ++slot) {
    segment.view().slot(slot).cells_allocated.store_relaxed(largest.cells);
  }
  const auto begin = std::chrono::steady_clock::now();
  Scraper scraper(segment.path());
  std::string text;
  const SegmentStatus status = scraper.scrape(text);
  EXPECT_TRUE(status.up || status.problem.find("takes more than") != std::string::npos) << status.problem;
  const CheckReport report = check_segment(segment.path(), std::chrono::milliseconds(200));
  EXPECT_NE(report.findings.back().find("takes too long to check"), std::string::npos) << report.findings.back();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace shmetrics::collector
