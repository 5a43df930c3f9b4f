// What happens when something runs out: the worker runs on, totals stay right, the loss is named.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <latch>
#include <thread>
#include <vector>

#include "shm/geometry.hpp"
#include "shm/lock_byte.hpp"
#include "tests/allocations.hpp"
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
  EXPECT_EQ(result.status.series_overflow.size(), 1u);
  EXPECT_EQ(tests::overflow_of(result.status, "a_total", "series_limit"), 990u);
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
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "series_limit"), 2u);
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
  EXPECT_EQ(tests::overflow_of(result.status, "a_total", "invalid_value"), 3u);
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
  EXPECT_EQ(tests::overflow_of(result.status, "a_total", "cells"), 5000 - (result.values.size() - 1));
  std::error_code error = open().histogram("h", "H").error();
  EXPECT_EQ(error, Errc::full);
  EXPECT_NE(error.message().find("option cells"), std::string::npos) << error.message();
}

TEST_F(ExhaustionTest, WhenTheDirectoryIsFullTheOverflowSeriesTakesOver) {
  options_.directory_bytes = 4096;
  const auto hits = open().counter("a_total", "A", {"n"});
  for (int i = 0; i < 500; ++i) hits.with(std::to_string(i)).inc();
  const tests::Scrape result = scrape();
  double total = 0;
  for (const auto& [series, value] : result.values) total += value;
  EXPECT_EQ(total, 500);
  EXPECT_EQ(tests::overflow_of(result.status, "a_total", "directory"), 500 - (result.values.size() - 1));
  const std::error_code error = open().counter("b_total", "B").error();
  EXPECT_EQ(error, Errc::full);
  EXPECT_NE(error.message().find("option directory_bytes"), std::string::npos) << error.message();
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
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "no_entry"), 1u);
}

// In another process families of each kind and label sets come, and this one has no memory to take them in.
TEST_F(ExhaustionTest, WhicheverAllocationFailsWhatIsKnownStaysKnownAndTheRestComesLater) {
  const auto hits = open().counter("a_total", "A", {"l"});
  hits.with("mine").inc();
  double known = 1;
  std::size_t failures = 0;
  for (std::size_t nth = 1, round = 1; nth <= 60; nth += 1 + nth / 4, ++round) {
    const std::string name = std::to_string(round);
    EXPECT_EQ(tests::wait_for(tests::forked([&] {
                const Registry registry = open();
                const auto other = registry.histogram("h" + name, "H", {"l"}, {1, 2});
                const auto depth = registry.gauge("g" + name, "G", {"l"});
                for (int i = 0; i < 20; ++i) {
                  hits.with(name + "." + std::to_string(i)).inc();
                  depth.with(std::to_string(i)).set(1);
                  other.with(std::to_string(i)).observe(1);
                }
                return 0;
              })),
              0);
    tests::fail_allocation(nth);
    const Counter strange = hits.with("strange " + name);
    tests::fail_allocation(0);
    failures += tests::overflow_of(scrape().status, "a_total", "no_memory") > failures;
    strange.inc();
    hits.with("mine").inc();  // at once
    EXPECT_EQ(scrape()["a_total{l=\"mine\"}"], ++known) << nth;
    if (failures < round) break;  // it went through without that many
    usleep(1'050'000);
    hits.with("strange " + name).inc();
    EXPECT_EQ(scrape()["a_total{l=\"strange " + name + "\"}"], 1) << nth;
    if (failures == 7) break;  // a second each
  }
  EXPECT_GE(failures, 4u);
  EXPECT_FALSE(open().counter("b_total", "B").error());
}

TEST_F(ExhaustionTest, ANewLabelSetOfAFamilyWhoseTypeHasChangedIsCountedAsDropped) {
  options_.workers = 1;
  const tests::Baton declared, may_end, may_declare;
  const pid_t holder = tests::forked([&] {
    open().counter("a_total", "A").inc();
    declared.pass();
    may_end.receive();
    return 0;
  });
  const pid_t next = tests::forked([&] {  // before this process declares anything
    may_declare.receive();
    return open().gauge("job", "J", {"l"}).error() ? 1 : 0;
  });
  declared.receive();
  const auto jobs = open().summary("job", "J", {"l"});
  jobs.with("old").observe(1);  // it has no entry, so that nobody sees that it lives
  may_end.pass();
  EXPECT_EQ(tests::wait_for(holder), 0);
  may_declare.pass();
  EXPECT_EQ(tests::wait_for(next), 0);
  const Summary lost = jobs.with("new");
  for (int i = 0; i < 3; ++i) lost.observe(1);
  EXPECT_EQ(tests::count_of(scrape().status.updates_dropped, "refused_family"), 3u);
}

// A stopped process holds nothing that others wait for, wherever it was stopped.
TEST_F(ExhaustionTest, AStoppedProcessStopsNobody) {
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  const pid_t registering = tests::forked([&] {
    for (int i = 0;; ++i) hits.with("theirs" + std::to_string(i % 500)).inc();
    return 0;
  });
  for (int round = 0; round < 20; ++round) {
    usleep(500);
    kill(registering, SIGSTOP);
    hits.with("new" + std::to_string(round)).inc();
    EXPECT_FALSE(registry.counter("b" + std::to_string(round) + "_total", "B").error());
    kill(registering, SIGCONT);
  }
  tests::kill_and_wait(registering);
  const tests::Scrape result = scrape();
  for (int round = 0; round < 20; ++round) EXPECT_EQ(result["a_total{l=\"new" + std::to_string(round) + "\"}"], 1);
  EXPECT_FALSE(result.has("a_total{l=\"__overflow__\"}"));
}

// Layout 1 locked this byte for an append; an older program may still hold it.
TEST_F(ExhaustionTest, NoLockOnTheFileKeepsARegistrationWaiting) {
  const Registry registry = open();
  const shm::Descriptor holder(::open(options_.path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(shm::try_lock(holder.get(), shm::kLockBase));
  ASSERT_TRUE(shm::try_lock(holder.get(), shm::kCreationLock));
  const auto hits = registry.counter("a_total", "A", {"l"});
  EXPECT_FALSE(hits.error());
  for (int i = 0; i < 100; ++i) hits.with(std::to_string(i)).inc();
  EXPECT_EQ(scrape().values.size(), 100u);
}

TEST_F(ExhaustionTest, SeriesOfOtherProcessesAreFound) {
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              hits.with("theirs").inc();
              return 0;
            })),
            0);
  hits.with("theirs").inc();
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total{l=\"theirs\"}"], 2);
  EXPECT_EQ(result.status.series, 1u);
}

// Own label sets and shared ones; whoever loses a race decides anew, and nobody gives up.
TEST_F(ExhaustionTest, EightProcessesThatStartTogetherAllGetTheirSeries) {
  constexpr int kProcesses = 8;
  constexpr int kSets = 100;
  const auto hits = open().counter("a_total", "A", {"process", "n"});
  const tests::Baton go;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    children.push_back(tests::forked([&, p] {
      go.receive();
      for (int n = 0; n < kSets; ++n) {
        hits.with("all", std::to_string(n)).inc();
        hits.with(std::to_string(p), std::to_string(n)).inc();
      }
      return 0;
    }));
  }
  for (int p = 0; p < kProcesses; ++p) go.pass();
  for (const pid_t child : children) EXPECT_EQ(tests::wait_for(child), 0);
  const tests::Scrape result = scrape();
  EXPECT_TRUE(result.status.series_overflow.empty());
  EXPECT_EQ(result.values.size(), (kProcesses + 1u) * kSets) << "no label set twice, none in the overflow series";
  for (int n = 0; n < kSets; ++n) {
    EXPECT_EQ(result["a_total{process=\"all\",n=\"" + std::to_string(n) + "\"}"], kProcesses);
  }
  EXPECT_EQ(result.status.quarantined_series, 0u);
}

TEST_F(ExhaustionTest, AWrongNumberOfLabelsIsCounted) {
  const auto hits = open().counter("a_total", "A", {"x", "y"});
  const std::string_view one[] = {"1"};
  hits.with(std::span<const std::string_view>(one)).inc();
  EXPECT_EQ(tests::overflow_of(scrape().status, "a_total", "invalid_value"), 1u);
}

TEST_F(ExhaustionTest, AnIndexEntryThatIsNoneIsNamedAndHurtsNobody) {
  const Registry before = open();
  const Counter hits = before.counter("a_total", "A");
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              // A worker that scribbles over the end of the log.
              const shm::Descriptor file(::open(options_.path.c_str(), O_RDWR | O_CLOEXEC));
              const shm::Geometry geometry{options_.workers, options_.slots, options_.cells, options_.directory_bytes};
              const std::uint64_t entry = 4711;  // not in the heap
              const std::uint64_t at = geometry.directory() + sizeof(shm::DirectoryHead) + 8;
              return pwrite(file.get(), &entry, 8, static_cast<off_t>(at)) == 8 ? 0 : 1;
            })),
            0);
  hits.inc();
  const Counter unheard = before.counter("b_total", "B");
  EXPECT_EQ(before.counter("b_total", "B").error(), Errc::damaged);
  unheard.inc();
  for (int again = 0; again < 2; ++again) {
    std::error_code error;
    static_cast<void>(Registry::open(options_, error));
    EXPECT_EQ(error, Errc::damaged);
  }
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total"], 1);
  EXPECT_EQ(tests::count_of(result.status.declarations_refused, "directory"), 2u);
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "refused_family"), 1u);
}

}  // namespace
}  // namespace shmetrics
