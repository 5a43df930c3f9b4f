// What happens when something runs out: the worker runs on, totals stay right, the loss is named.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <chrono>
#include <latch>
#include <thread>
#include <vector>

#include "shm/geometry.hpp"
#include "shm/lock_byte.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

class ExhaustionTest : public ::testing::Test {
 protected:
  ExhaustionTest() { options_.path = folder_.file("a.seg"); }
  Registry open() const { return Registry::open(options_); }
  tests::Scrape scrape() const { return tests::scrape(options_.path); }

  tests::TemporaryFolder folder_;
  Options options_;
};

TEST_F(ExhaustionTest, PastTheSeriesLimitTotalsStayRight) {
  options_.series_per_family = 10;
  const auto hits = open().counter("a_total", "A", {"user"});
  for (int i = 0; i < 1000; ++i) hits.with(std::to_string(i)).inc();
  hits.with("3").inc(5);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total{user=\"__overflow__\"}"], 990);
  EXPECT_EQ(result["a_total{user=\"3\"}"], 6) << "old series go on";
  EXPECT_EQ(result.values.size(), 11u);
  ASSERT_EQ(result.status.series_overflow.size(), 1u);
  EXPECT_EQ(result.status.series_overflow[0].first, "a_total");
  EXPECT_EQ(result.status.series_overflow[0].second, 990u);
}

TEST_F(ExhaustionTest, TheOverflowSeriesIsUnseenUntilItCounts) {
  options_.series_per_family = 10;
  open().histogram("h", "H", {"user"}, {1}).with("a").observe(1);
  EXPECT_EQ(scrape().text.find("__overflow__"), std::string::npos);
}

TEST_F(ExhaustionTest, GaugesPastTheLimitAreDroppedAndCounted) {
  options_.series_per_family = 1;
  const auto gauge = open().gauge("g", "G", {"user"});
  gauge.with("a").set(1);
  gauge.with("b").set(2);
  gauge.with("b").inc();
  const tests::Scrape result = scrape();
  EXPECT_EQ(result.values.size(), 1u);
  EXPECT_EQ(result.status.dropped_series_limit, 2u);
}

TEST_F(ExhaustionTest, BadLabelValuesShareTheOverflowSeries) {
  const auto hits = open().counter("a_total", "A", {"l"});
  hits.with("\xff").inc();
  hits.with(std::string(1025, 'x')).inc();
  hits.with(std::string_view("a\0b", 3)).inc();
  hits.with(std::string(1024, 'x')).inc();
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total{l=\"__overflow__\"}"], 3);
  EXPECT_EQ(result.values.size(), 2u);
}

TEST_F(ExhaustionTest, WhenCellsRunOutTheOverflowSeriesTakesOver) {
  options_.cells = 2048;
  options_.series_per_family = 100000;
  const auto hits = open().counter("a_total", "A", {"n"});
  for (int i = 0; i < 5000; ++i) hits.with(std::to_string(i)).inc();
  const tests::Scrape result = scrape();
  double total = 0;
  for (const auto& [series, value] : result.values) total += value;
  EXPECT_EQ(total, 5000);
  EXPECT_EQ(result.status.cells_used, result.status.cells_limit);
  std::error_code error = open().histogram("h", "H").error();
  EXPECT_EQ(error, Errc::full);
  EXPECT_NE(error.message().find("Options::cells"), std::string::npos) << error.message();
}

TEST_F(ExhaustionTest, WhenTheDirectoryIsFullTheOverflowSeriesTakesOver) {
  options_.directory_bytes = 4096;
  const auto hits = open().counter("a_total", "A", {"n"});
  for (int i = 0; i < 500; ++i) hits.with(std::to_string(i)).inc();
  const tests::Scrape result = scrape();
  double total = 0;
  for (const auto& [series, value] : result.values) total += value;
  EXPECT_EQ(total, 500);
  const std::error_code error = open().counter("b_total", "B").error();
  EXPECT_EQ(error, Errc::full);
  EXPECT_NE(error.message().find("Options::directory_bytes"), std::string::npos) << error.message();
}

TEST_F(ExhaustionTest, ThreadsWithoutASlotCountInTheSpill) {
  options_.slots = 2;
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  const Histogram h = registry.histogram("h", "H", {}, {1});
  std::latch all_counting(6);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      hits.inc();
      all_counting.arrive_and_wait();  // nobody gives a slot back before everybody has asked for one
      for (int i = 0; i < 5000; ++i) {
        hits.inc();
        h.observe(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total"], 6 * 5001);
  EXPECT_EQ(result["h_count"], 6 * 5000);
  EXPECT_EQ(result["h_sum"], 6 * 5000);
}

TEST_F(ExhaustionTest, ProcessesWithoutAnEntryCountInTheSpillAndDropGauges) {
  options_.workers = 1;
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  const Gauge active = registry.gauge("active", "A");
  hits.inc();
  active.set(1);
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              for (int i = 0; i < 1000; ++i) hits.inc();
              active.set(5);
              return 0;
            })),
            0);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total"], 1001);
  EXPECT_EQ(result["active"], 1);
  EXPECT_EQ(result.status.dropped_no_entry, 1u);
}

TEST_F(ExhaustionTest, AStoppedHolderOfTheDirectoryLockStopsNobody) {
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  hits.with("old").inc();
  const shm::Descriptor holder(::open(options_.path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(shm::try_lock(holder.get(), shm::kDirectoryLock));

  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) hits.with("new" + std::to_string(i)).inc();
  hits.with("old").inc();
  const auto waited = std::chrono::steady_clock::now() - start;
  EXPECT_LT(waited, std::chrono::milliseconds(500)) << "1 ms once, then no new attempt for a second";
  EXPECT_EQ(registry.counter("b_total", "B").error(), Errc::not_ready);

  shm::unlock(holder.get(), shm::kDirectoryLock);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total{l=\"__overflow__\"}"], 1000);
  EXPECT_EQ(result["a_total{l=\"old\"}"], 2);
  EXPECT_FALSE(registry.counter("b_total", "B").error()) << "and it recovers";
}

TEST_F(ExhaustionTest, SeriesOfOtherProcessesAreFoundWithoutTheDirectoryLock) {
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              hits.with("theirs").inc();
              return 0;
            })),
            0);
  const shm::Descriptor holder(::open(options_.path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(shm::try_lock(holder.get(), shm::kDirectoryLock));
  hits.with("theirs").inc();
  EXPECT_EQ(scrape()["a_total{l=\"theirs\"}"], 2);
}

// The machine may stop a holder of the lock for longer than the others wait, but not always: of ten rounds one will do.
TEST_F(ExhaustionTest, EightProcessesThatStartTogetherAllGetTheirSeries) {
  constexpr int kProcesses = 8;
  constexpr int kSets = 100;
  const Registry registry = open();
  double overflowed = kProcesses * kSets;
  for (int round = 0; round < 10 && overflowed > kProcesses * kSets / 10; ++round) {
    const std::string name = "a" + std::to_string(round) + "_total";
    const auto hits = registry.counter(name, "A", {"process", "n"});
    const tests::Baton go;
    std::vector<pid_t> children;
    for (int p = 0; p < kProcesses; ++p) {
      children.push_back(tests::forked([&, p] {
        go.receive();
        for (int n = 0; n < kSets; ++n) hits.with(std::to_string(p), std::to_string(n)).inc();
        return 0;
      }));
    }
    for (int p = 0; p < kProcesses; ++p) go.pass();
    for (const pid_t child : children) EXPECT_EQ(tests::wait_for(child), 0);
    const tests::Scrape result = scrape();
    double total = 0;
    for (const auto& [series, value] : result.values) total += series.starts_with(name) ? value : 0;
    EXPECT_EQ(total, kProcesses * kSets);
    const std::string overflow = name + "{process=\"__overflow__\",n=\"__overflow__\"}";
    overflowed = result.has(overflow) ? result[overflow] : 0;
    std::printf("%.0f of %d label sets in the overflow series\n", overflowed, kProcesses * kSets);
  }
  EXPECT_LE(overflowed, kProcesses * kSets / 10);
}

TEST_F(ExhaustionTest, AWrongNumberOfLabelsIsCounted) {
  const auto hits = open().counter("a_total", "A", {"x", "y"});
  const std::string_view one[] = {"1"};
  hits.with(std::span<const std::string_view>(one)).inc();
  ASSERT_EQ(scrape().status.series_overflow.size(), 1u);
  EXPECT_EQ(scrape().status.series_overflow[0].second, 1u);
}

TEST_F(ExhaustionTest, AProcessThatCannotOpenTheFileAgainIsToldSo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to drop privileges";
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              if (setgid(65534) != 0 || setuid(65534) != 0) return 1;
              hits.with("new").inc();
              const std::error_code error = registry.counter("b_total", "B").error();
              const bool is_told =
                  error == Errc::refused && error.message().find("Options::group") != std::string::npos;
              return is_told && Registry::open(options_) ? 0 : 2;
            })),
            0);
  EXPECT_EQ(scrape()["a_total{l=\"__overflow__\"}"], 1);
}

TEST_F(ExhaustionTest, ADamagedDirectoryIsNamedAndHurtsNobody) {
  const Registry before = open();
  const Counter hits = before.counter("a_total", "A");
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              // A worker that scribbles over the committed length.
              const shm::Descriptor file(::open(options_.path.c_str(), O_RDWR | O_CLOEXEC));
              const shm::Geometry geometry{options_.workers, options_.slots, options_.cells, options_.directory_bytes};
              std::uint64_t committed = 0;
              if (pread(file.get(), &committed, 8, static_cast<off_t>(geometry.directory())) != 8) return 1;
              committed += 64;
              return pwrite(file.get(), &committed, 8, static_cast<off_t>(geometry.directory())) == 8 ? 0 : 1;
            })),
            0);
  hits.inc();
  EXPECT_EQ(before.counter("b_total", "B").error(), Errc::damaged);
  for (int again = 0; again < 2; ++again) {
    std::error_code error;
    static_cast<void>(Registry::open(options_, error));
    EXPECT_EQ(error, Errc::damaged);
  }
  EXPECT_EQ(scrape()["a_total"], 1);
}

}  // namespace
}  // namespace shmetrics
