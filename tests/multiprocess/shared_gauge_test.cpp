// A gauge of the mode shared is one word of all processes: what they set, add and take away is what a list of these
// operations, one after the other, would leave. Kills included.
#include <gtest/gtest.h>
#include <time.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <vector>

#include "collector/check.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

/// A set() or inc() by which moments it began and was over; 0: it has not begun, or is not over.
struct Operation {
  std::uint32_t set_number;  // 0: inc(1)
  std::atomic<std::uint64_t> begun, over;
};

// Set number n sets to n * kSetUnit, and every inc() adds 1: the last value tells the last set, and how often was added
// after it.
constexpr double kSetUnit = 1 << 24;
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

std::uint64_t end_of(const Operation& operation) {
  const std::uint64_t over = operation.over;
  return over == 0 ? kNever : over;  // killed in the middle: it may have come about at any moment since, or never
}

/// Whether some order of the operations, in which none comes before one that was over when it began, ends at `value`.
/// For the end of the list that is exact: it holds for one moment at which the last set() took effect.
bool is_explained(double value, const std::vector<const Operation*>& operations) {
  const auto last_number = static_cast<std::uint32_t>(value / kSetUnit);
  const auto added = static_cast<std::uint64_t>(value - last_number * kSetUnit);
  std::uint64_t earliest = 0, latest = 0;
  std::vector<std::uint64_t> begins, ends;  // of increments; begins of those that are over
  bool is_found = last_number == 0;         // 0: nothing was set, and all increments count
  for (const Operation* operation : operations) {
    if (operation->set_number == 0) {
      ends.push_back(end_of(*operation));
      if (operation->over != 0) begins.push_back(operation->begun);
    } else if (operation->set_number == last_number) {
      earliest = std::max<std::uint64_t>(earliest, operation->begun);
      latest = end_of(*operation);
      is_found = true;
    } else if (operation->over != 0) {
      if (last_number == 0) return false;
      earliest = std::max<std::uint64_t>(earliest, operation->begun);  // it came before the last one
    }
  }
  if (!is_found || earliest > latest) return false;
  std::sort(begins.begin(), begins.end());
  std::sort(ends.begin(), ends.end());
  const auto is_moment = [&](std::uint64_t moment) {
    if (moment < earliest || moment > latest) return false;
    const auto must = static_cast<std::uint64_t>(begins.end() - std::upper_bound(begins.begin(), begins.end(), moment));
    const auto may = static_cast<std::uint64_t>(ends.end() - std::lower_bound(ends.begin(), ends.end(), moment));
    return must <= added && added <= may;
  };
  // What must and what may come after a moment changes only where an increment begins or ends.
  return is_moment(earliest) || std::any_of(begins.begin(), begins.end(), is_moment) ||
         std::any_of(ends.begin(), ends.end(), is_moment);
}

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

class SharedGauge : public ::testing::Test {
 protected:
  static constexpr int kWorkers = 16;
  static constexpr int kOperations = 100'000;  // more than a worker lives to do
  static constexpr int kSetEvery = 20'000;     // seldom: what comes after the last one is what can be lost
  struct Log {
    Operation operations[kWorkers][kOperations];
    std::atomic<std::uint32_t> sets;
    std::atomic<int> begun;
  };

  SharedGauge() { options_.path = folder_.file("a.seg"); }
  Gauge gauge(const std::string& name) const {
    return Registry::open(options_).gauge(name, "One value", {}, GaugeMode::shared);
  }
  template <typename Body>
  void in_another(Body body) const {
    EXPECT_EQ(wait_for(forked([&] {
                body();
                return 0;
              })),
              0);
  }
  static void work(const Gauge& gauge, Log& log, int worker) {
    ++log.begun;
    while (log.begun < kWorkers) usleep(100);  // all at once, or there is nothing to lose
    for (int i = 0; i < kOperations; ++i) {
      Operation& operation = log.operations[worker][i];
      if (i % kSetEvery == worker * 100) operation.set_number = ++log.sets;
      operation.begun = now_ns();
      if (operation.set_number == 0) {
        gauge.inc();
      } else {
        gauge.set(operation.set_number * kSetUnit);
      }
      operation.over = now_ns();
    }
    for (;;) pause();
  }
  Scrape scrape() const { return tests::scrape(options_.path); }

  TemporaryFolder folder_;
  Options options_;
};

TEST_F(SharedGauge, WhatOneProcessSetsAnotherChangesAndNoDeathTakesItAway) {
  const Gauge level = gauge("level");
  EXPECT_FALSE(scrape().has("level")) << "nobody has set it";
  in_another([&] { level.set(10); });
  in_another([&] { level.inc(2.5); });
  level.dec();
  EXPECT_EQ(scrape()["level"], 11.5);
  const Baton has_added;
  const pid_t killed = forked([&] {
    level.inc();
    has_added.pass();
    for (;;) pause();
    return 0;
  });
  has_added.receive();
  kill_and_wait(killed);
  EXPECT_EQ(scrape()["level"], 12.5);
  EXPECT_EQ(collector::check_segment(options_.path).verdict, collector::CheckReport::Verdict::kSound);
}

TEST_F(SharedGauge, ZeroIsAValueAndUnsetIsNone) {
  const Gauge level = gauge("level");
  level.set(0);
  EXPECT_EQ(scrape()["level"], 0);
  EXPECT_FALSE(std::signbit(scrape()["level"]));
  level.inc(3);
  level.dec(3);
  EXPECT_EQ(scrape()["level"], 0) << "also where it was added up to";
  in_another([&] { level.unset(); });
  EXPECT_FALSE(scrape().has("level")) << "for all processes";
  level.inc(2);
  EXPECT_EQ(scrape()["level"], 2) << "begins anew";
  level.set(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isnan(scrape()["level"]));
}

TEST_F(SharedGauge, NeedsNoWorkerEntryAndLabelsWorkAsEverywhere) {
  options_.workers = 1;
  const auto levels = Registry::open(options_).gauge("levels", "L", {"queue"}, GaugeMode::shared, {.series_limit = 2});
  Registry::open(options_).gauge("own", "O").set(1);  // takes the one entry
  in_another([&] {
    levels.with("a").set(1);
    levels.with("b").inc(4);
    levels.with("c").set(9);  // beyond the limit
    Registry::open(options_).gauge("own", "O").set(1);
  });
  const Scrape shown = scrape();
  EXPECT_EQ(shown["levels{queue=\"a\"}"], 1);
  EXPECT_EQ(shown["levels{queue=\"b\"}"], 4);
  EXPECT_FALSE(shown.has("levels{queue=\"c\"}"));
  EXPECT_EQ(count_of(shown.status.updates_dropped, "series_limit"), 1u);
  EXPECT_EQ(count_of(shown.status.updates_dropped, "no_entry"), 1u) << "of the other gauge";
}

TEST_F(SharedGauge, NoUpdateOfManyProcessesAtOnceIsLost) {
  constexpr int kUpdates = 500'000;
  const Gauge level = gauge("level");
  std::atomic<int>& begun = shared<std::atomic<int>>();
  std::vector<pid_t> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(forked([&, i] {
      ++begun;
      while (begun < kWorkers) usleep(100);
      for (int n = 0; n < kUpdates; ++n) level.inc(i % 2 == 0 ? 1 : -1);
      return 0;
    }));
  }
  for (const pid_t worker : workers) EXPECT_EQ(wait_for(worker), 0);
  EXPECT_EQ(scrape()["level"], 0);
}

TEST_F(SharedGauge, TheLastValueIsWhatAnOrderOfTheOperationsOfKilledProcessesAllows) {
  std::size_t all = 0;
  for (int round = 0; round < 4; ++round) {
    const std::string name = "level" + std::to_string(round);
    const Gauge level = gauge(name);
    Log& log = shared<Log>();
    std::vector<pid_t> workers;
    for (int i = 0; i < kWorkers; ++i) {
      workers.push_back(forked([&, i] {
        work(level, log, i);
        return 0;
      }));
    }
    for (int waited = 0; waited < 20'000 && log.begun < kWorkers; ++waited) usleep(1000);
    ASSERT_EQ(log.begun, kWorkers);
    usleep(20'000 + 10'000 * round);
    for (const pid_t worker : workers) kill(worker, SIGKILL);  // all of them count to the end
    for (const pid_t worker : workers) EXPECT_EQ(wait_for(worker), -SIGKILL);
    std::vector<const Operation*> operations;
    for (const auto& of_worker : log.operations) {
      for (const Operation& operation : of_worker) {
        if (operation.begun != 0) operations.push_back(&operation);
      }
    }
    const double value = scrape()[name];
    EXPECT_TRUE(is_explained(value, operations)) << value << " after " << operations.size() << " operations";
    munmap(&log, sizeof log);
    all += operations.size();
  }
  std::printf("%zu operations\n", all);
}

TEST(SharedGaugeOrder, TellsWhatNoOrderAllows) {
  std::vector<Operation> all(5);
  std::vector<const Operation*> operations;
  const auto put = [&](std::uint32_t set_number, std::uint64_t begun, std::uint64_t over) {
    Operation& next = all[operations.size()];
    next.set_number = set_number;
    next.begun = begun;
    next.over = over;
    operations.push_back(&next);
  };
  put(1, 10, 20);
  put(0, 30, 40);
  put(0, 35, 0);  // killed
  put(2, 25, 38);
  const auto after = [](int set, int added) { return set * kSetUnit + added; };
  EXPECT_TRUE(is_explained(after(2, 0), operations)) << "both before";
  EXPECT_TRUE(is_explained(after(2, 2), operations)) << "both after";
  EXPECT_FALSE(is_explained(after(2, 3), operations)) << "more than there were";
  EXPECT_FALSE(is_explained(after(1, 0), operations)) << "set 2 began after set 1 was over";
  EXPECT_FALSE(is_explained(after(3, 0), operations)) << "nobody set that";
  EXPECT_FALSE(is_explained(after(0, 2), operations)) << "no set at all";
  put(0, 50, 60);
  EXPECT_TRUE(is_explained(after(2, 1), operations));
  EXPECT_FALSE(is_explained(after(2, 0), operations)) << "an update that was over is lost";
}

}  // namespace
}  // namespace shmetrics::tests
