// Label values as a hostile world sends them: each comes through whole or shares the overflow series, every scrape is
// read by others' parsers, and a million label sets cost no more than the cap allows.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <shmetrics/shmetrics.hpp>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/allocations.hpp"
#include "tests/forked.hpp"
#include "tests/multiprocess/text_judges.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

using std::string_literals::operator""s;

constexpr const char* kOverflow = "__overflow__";

class LabelsTest : public ::testing::Test {
 protected:
  LabelsTest() { options_.path = folder_.file("a.seg"); }
  void SetUp() override {
    if (!tests::has_text_judges()) GTEST_SKIP() << tests::kNoTextJudges;
  }

  /// Gives each value to one counter, a histogram and a gauge; the scrape must show the valid ones unchanged, and of
  /// the others nothing but their number in the overflow series (a gauge has none: its updates are counted as dropped).
  void expect_round_trip(const std::vector<std::string>& valid, const std::vector<std::string>& invalid) {
    const Registry registry = Registry::open(options_);
    const auto hits = registry.counter("app_hits_total", "Hits", {"first", "value", "last"});
    const auto sizes = registry.histogram("app_size_bytes", "Sizes", {"value"}, {1});
    const auto depth = registry.gauge("app_depth", "Depth", {"value"});
    for (const auto* values : {&valid, &invalid}) {
      for (const std::string& value : *values) {
        hits.with("a", value, "z").inc();
        sizes.with(value).observe(1);
        depth.with(value).set(1);
      }
    }
    const tests::Scrape scrape = tests::scrape(options_.path);
    EXPECT_EQ(tests::objection(scrape.text), "");
    std::string refusal;
    const auto samples = tests::parsed_samples(scrape.text, refusal);
    ASSERT_EQ(refusal, "");
    expect_values(samples, "app_hits_total", valid, static_cast<double>(invalid.size()));
    expect_values(samples, "app_size_bytes_count", valid, static_cast<double>(invalid.size()));
    expect_values(samples, "app_depth", valid, 0);
    EXPECT_EQ(tests::count_of(scrape.status.updates_dropped, "series_limit"), invalid.size());
    EXPECT_EQ(scrape.status.quarantined_series, 0u);
  }

  static void expect_values(const std::vector<tests::ParsedSample>& samples, const std::string& name,
                            const std::vector<std::string>& valid, double overflow) {
    std::multiset<std::string> seen;
    double overflowed = 0;
    for (const tests::ParsedSample& sample : samples) {
      if (sample.name != name) continue;
      const std::string& value = sample.labels.at("value");
      if (value == kOverflow) {
        overflowed += sample.value;
      } else {
        seen.insert(value);
        EXPECT_EQ(sample.value, 1) << name << ' ' << value;
        if (sample.labels.contains("first")) {
          EXPECT_EQ(sample.labels.at("first") + sample.labels.at("last"), "az") << value;
        }
      }
    }
    EXPECT_EQ(seen, std::multiset<std::string>(valid.begin(), valid.end())) << name;
    EXPECT_EQ(overflowed, overflow) << name;
  }

  tests::TemporaryFolder folder_;
  Options options_;
};

TEST_F(LabelsTest, EveryByteComesThroughOrSharesTheOverflowSeries) {
  std::vector<std::string> valid, invalid;
  for (int byte = 0; byte < 256; ++byte) {
    // NUL is refused, and a byte from 0x80 on is no UTF-8 by itself.
    auto& values = byte > 0 && byte < 0x80 ? valid : invalid;
    values.push_back(std::string(1, static_cast<char>(byte)));
    values.push_back("a"s + static_cast<char>(byte) + "b");
  }
  expect_round_trip(valid, invalid);
}

TEST_F(LabelsTest, QuotesBackslashesAndLineFeedsAreEscapedAndComeBack) {
  std::string ascii;
  for (char c = 1; c < 0x7f; ++c) ascii += c;
  expect_round_trip({"", "\"", "\\", "\n", "\\n", "\\\\n", "\\\"", "\"\"\"", "ends in \\", "\r\n",
                     "{a=\"b\",c=\"d\"} 1\n", "} 1\nforged_total 7\n", " blanks ", "# HELP x y", "a,b=c", ascii,
                     std::string(1024, '"'), std::string(1024, '\n')},
                    {});
}

TEST_F(LabelsTest, WellFormedUtf8ComesThroughAndAllElseOverflows) {
  expect_round_trip(
      {"\u00e9", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeff", "\u2028", "\uffff", "\U00010000",
       "\U0010ffff", "\U0001f600"},
      {"\xc3"s, "\xc0\x80"s, "\xc1\xbf"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s, "\xed\xbf\xbf"s, "\xf0\x8f\xbf\xbf"s,
       "\xf4\x90\x80\x80"s, "\xf8\x88\x80\x80\x80"s, "\xe2\x82"s, "good \xff bad"s, "a\0b"s, "\0"s});
}

TEST_F(LabelsTest, ValuesPastTheLimitOverflowUpToAMebibyte) {
  std::string noise(1 << 20, '\0');
  std::uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  // 1,024 bytes end in the middle of a character, or at its end.
  expect_round_trip({std::string(1024, 'x'), std::string(1022, 'x') + "\u00e9"},
                    {std::string(1025, 'x'), std::string(1023, 'x') + "\u00e9", std::string(1 << 20, 'x'), noise,
                     std::string(1 << 20, '"'), std::string(1 << 20, '\n')});
}

constexpr int kProcesses = 2;
constexpr int kSetsEach = 500'000;
constexpr int kFirstSets = 2'000;  // the cap is 1,000
constexpr int kOldUpdates = 1'000'000;

/// What a process that throws label sets says of itself, in memory that its parent shares.
struct Report {
  long rss_growth_bytes = 0;
  long rss_growth_at_the_cap_bytes = 0;
  std::size_t allocations_at_the_cap = 0;
  bool is_old_handle_the_same = false;
  double old_update_ns_before = 0, old_update_ns_after = 0;
  double new_set_ns = 0;
};

long resident_bytes() {
  char text[128] = {};
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0 || read(file, text, sizeof text - 1) <= 0) std::abort();
  close(file);
  return std::strtol(std::strchr(text, ' '), nullptr, 10) * sysconf(_SC_PAGESIZE);
}

double seconds_of(auto act) {
  const auto start = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void throw_sets(const Family<Counter, 1>& hits, int process, int from, int to) {
  char user[32];
  for (int i = from; i < to; ++i) {
    std::snprintf(user, sizeof user, "%d-%d", process, i);
    hits.with(user).inc();
  }
}

/// One of the processes: an old series, then label sets without end.
int throw_a_million(const Family<Counter, 1>& hits, int process, Report& report, const tests::Baton& done,
                    const tests::Baton& go) {
  const Counter old = hits.with("old");
  const auto update_old = [&] {
    for (int i = 0; i < kOldUpdates; ++i) old.inc();
  };
  const long rss = resident_bytes();
  report.old_update_ns_before = seconds_of(update_old) / kOldUpdates * 1e9;
  throw_sets(hits, process, 0, kFirstSets);
  done.pass();
  go.receive();

  usleep(1'100'000);                     // should the directory have been busy: no new attempt in this process for 1 s
  static_cast<void>(hits.with("last"));  // learns what the others registered, and that the cap is reached
  const long rss_at_the_cap = resident_bytes();
  const std::size_t allocations_at_the_cap = tests::allocations();
  report.new_set_ns =
      seconds_of([&] { throw_sets(hits, process, kFirstSets, kSetsEach); }) / (kSetsEach - kFirstSets) * 1e9;
  const Counter again = hits.with("old");
  report.old_update_ns_after = seconds_of(update_old) / kOldUpdates * 1e9;
  report.allocations_at_the_cap = tests::allocations() - allocations_at_the_cap;
  report.rss_growth_at_the_cap_bytes = resident_bytes() - rss_at_the_cap;
  report.rss_growth_bytes = resident_bytes() - rss;
  report.is_old_handle_the_same = std::memcmp(&old, &again, sizeof old) == 0;
  done.pass();
  go.receive();
  return 0;
}

/// All that could grow.
struct Size {
  long allocated_bytes;
  std::uint64_t directory_bytes, cells, series, slots;
  bool operator==(const Size&) const = default;
};

void PrintTo(const Size& size, std::ostream* out) {
  *out << size.allocated_bytes << " bytes on disk, " << size.directory_bytes << " of the directory, " << size.cells
       << " cells, " << size.series << " series, " << size.slots << " slots";
}

Size size_of(const std::string& path) {
  struct stat file {};
  stat(path.c_str(), &file);
  const auto status = tests::scrape(path).status;
  return {file.st_blocks * 512, status.directory_used_bytes, status.cells_used, status.series, status.slots_used};
}

TEST_F(LabelsTest, AMillionLabelSetsCostNothingPastTheCap) {
  void* const shared =
      mmap(nullptr, sizeof(Report) * kProcesses, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  Report* const reports = new (shared) Report[kProcesses];
  const auto hits = Registry::open(options_).counter("app_hits_total", "Hits", {"user"});
  static_cast<void>(hits.with("old"));
  const tests::Baton done, go;
  std::vector<pid_t> workers;
  for (int i = 0; i < kProcesses; ++i) {
    workers.push_back(tests::forked([&, i] { return throw_a_million(hits, i, reports[i], done, go); }));
  }
  done.receive(kProcesses);
  // Had they waited for each other at the directory, some of their sets overflowed early: the rest is filled up here.
  for (int i = 0; i < 1000; ++i) static_cast<void>(hits.with("fill" + std::to_string(i)));
  const Size at_the_cap = size_of(options_.path);
  EXPECT_EQ(at_the_cap.series, 1000u);
  for (int i = 0; i < kProcesses; ++i) go.pass();
  done.receive(kProcesses);
  EXPECT_EQ(size_of(options_.path), at_the_cap);

  const tests::Scrape scrape = tests::scrape(options_.path);
  double total = 0;
  for (const auto& [series, value] : scrape.values) total += value;
  EXPECT_EQ(total, kProcesses * (kSetsEach + 2.0 * kOldUpdates));
  EXPECT_EQ(scrape["app_hits_total{user=\"old\"}"], kProcesses * 2.0 * kOldUpdates);
  EXPECT_GE(scrape["app_hits_total{user=\"__overflow__\"}"], kProcesses * (kSetsEach - kFirstSets));
  EXPECT_EQ(tests::objection(scrape.text), "");

  for (int i = 0; i < kProcesses; ++i) {
    const Report& report = reports[i];
    EXPECT_EQ(report.allocations_at_the_cap, 0u);
    EXPECT_TRUE(report.is_old_handle_the_same);
    EXPECT_LT(report.rss_growth_at_the_cap_bytes, 1 << 20);
    EXPECT_LT(report.rss_growth_bytes, 16 << 20);
    std::printf(
        "process %d: RSS +%ld KiB, past the cap +%ld KiB; a new label set %.0f ns; an old series' update "
        "%.2f ns before, %.2f ns after\n",
        i, report.rss_growth_bytes / 1024, report.rss_growth_at_the_cap_bytes / 1024, report.new_set_ns,
        report.old_update_ns_before, report.old_update_ns_after);
    go.pass();
  }
  for (const pid_t worker : workers) EXPECT_EQ(tests::wait_for(worker), 0);
  munmap(shared, sizeof(Report) * kProcesses);
}

}  // namespace
}  // namespace shmetrics
