// What the end of a process leaves in the worker table: nothing of who never counted, such as a helper between fork and
// exec; a death of who counted and was killed. And what fork() costs the one that forks.
#include <grp.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/multiprocess/forking.hpp"
#include "tests/multiprocess/system_calls.hpp"

namespace shmetrics::tests {
namespace {

/// Who is worker, and who has ended how, as anybody sees it.
struct Table {
  std::uint64_t live = 0, dead = 0, released = 0, unused = 0, deaths = 0;
  std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t, std::uint64_t>>
      used;  // state, pid, adopted, deaths
  bool operator==(const Table&) const = default;
};
void PrintTo(const Table& table, std::ostream* out) {
  *out << table.live << " live, " << table.dead << " dead, " << table.released << " released, " << table.unused
       << " unused, " << table.deaths << " deaths";
}

class EndsTest : public Forking {
 protected:
  Table table() const {
    collector::Scraper scraper(path_);
    const auto status = scraper.read();
    Table table{status.workers_live,   status.workers_dead,  status.workers_released,
                status.workers_unused, status.worker_deaths, {}};
    for (const auto& row : scraper.workers()) {
      if (row.state == collector::WorkerState::kUnused) continue;
      table.used.emplace_back(collector::state_name(row.state), row.pid, row.adopted, row.deaths);
    }
    return table;
  }

  static int execs() {
    const pid_t helper = fork();
    if (helper == 0) {
      execl("/bin/true", "true", nullptr);
      _exit(1);
    }
    return wait_for(helper);
  }
  static int runs_a_shell() { return std::system("true"); }
  static int spawns() {
    pid_t helper = 0;
    char name[] = "true";
    char* arguments[] = {name, nullptr};
    return posix_spawn(&helper, "/bin/true", nullptr, nullptr, arguments, environ) != 0 ? 1 : wait_for(helper);
  }
  static int fails_to_exec() {
    const pid_t helper = fork();
    if (helper == 0) {
      execl("/does/not/exist", "none", nullptr);
      _exit(0);
    }
    return wait_for(helper);
  }

  bool become_nobody() const {
    return setgroups(0, nullptr) == 0 && setgid(65534) == 0 && setuid(65534) == 0 && geteuid() == 65534;
  }
  /// A worker that has counted, does `part`, and is as it was in everybody's eyes.
  void expect_no_trace(bool as_root, const std::function<int()>& part) {
    if (geteuid() != 0) GTEST_SKIP() << "NOT TESTED: needs root, to try both it and another user";
    ASSERT_EQ(chmod(folder_.file(".").c_str(), 0777), 0);
    const pid_t process = forked([&] {
      if (!as_root && !become_nobody()) return 1;
      open();
      hits_.inc();
      active_.set(1);
      shared_.phase = 1;
      while (shared_.phase < 2) usleep(1000);
      for (int i = 0; i < 50; ++i) {
        if (part() != 0) return 2;
      }
      shared_.phase = 3;
      while (shared_.phase < 4) usleep(1000);
      hits_.inc();
      return 0;
    });
    ASSERT_TRUE(reaches(1));
    const Table before = table();
    EXPECT_EQ(before.live, 1u);
    shared_.phase = 2;
    ASSERT_TRUE(reaches(3)) << "the worker could not do it";
    EXPECT_EQ(table(), before);
    shared_.phase = 4;
    EXPECT_EQ(wait_for(process), 0);
    EXPECT_EQ(scrape()["hits_total"], 2);
    EXPECT_EQ(table().deaths, 0u);
    EXPECT_EQ(table().released, 1u);
  }
};

TEST_F(EndsTest, FiftyHelpersOfRootThatExecLeaveNoTrace) {
  expect_no_trace(true, execs);
}
TEST_F(EndsTest, FiftyHelpersOfAnotherUserThatExecLeaveNoTrace) {
  expect_no_trace(false, execs);
}
TEST_F(EndsTest, FiftyCommandsOfRootLeaveNoTrace) {
  expect_no_trace(true, runs_a_shell);
}
TEST_F(EndsTest, FiftyCommandsOfAnotherUserLeaveNoTrace) {
  expect_no_trace(false, runs_a_shell);
}
TEST_F(EndsTest, FiftySpawnedProgramsOfRootLeaveNoTrace) {
  expect_no_trace(true, spawns);
}
TEST_F(EndsTest, FiftySpawnedProgramsOfAnotherUserLeaveNoTrace) {
  expect_no_trace(false, spawns);
}
TEST_F(EndsTest, FiftyHelpersThatCannotExecAndLeaveByUnderscoreExitLeaveNoTrace) {
  expect_no_trace(true, fails_to_exec);
}
// Labels and declarations are no updates: who is killed behind them has lost nothing.
TEST_F(EndsTest, FiftyChildrenThatRegisterAndDeclareAndAreKilledLeaveNoTrace) {
  expect_no_trace(true, [this] {
    const pid_t child = forked([&]() -> int {
      static_cast<void>(ways_.with("new"));
      static_cast<void>(registry_.counter("later_total", "Later"));
      raise(SIGKILL);
      return 1;
    });
    return wait_for(child) == -SIGKILL ? 0 : 1;
  });
}

TEST_F(EndsTest, AChildThatCountsOnceAndIsKilledIsADeath) {
  open();
  hits_.inc();
  const Table before = table();
  for (const bool counts : {false, true}) {
    const pid_t child = forked([&]() -> int {
      if (counts) hits_.inc();
      raise(SIGKILL);
      return 1;
    });
    EXPECT_EQ(wait_for(child), -SIGKILL);
    EXPECT_EQ(table().dead, counts ? 1u : 0u);
  }
  EXPECT_EQ(table().live, before.live);
  // Counted when another takes the entry over.
  EXPECT_EQ(wait_for(forked([&] {
              hits_.inc();
              return 0;
            })),
            0);
  EXPECT_EQ(table().deaths, before.deaths + 1);
  EXPECT_EQ(table().dead, 0u);
  EXPECT_EQ(scrape()["hits_total"], 3);
}

TEST_F(EndsTest, AChildWhoseFirstUpdateIsOfAGaugeAndThatIsKilledIsADeath) {
  open();
  EXPECT_EQ(wait_for(forked([&]() -> int {
              active_.set(1);
              raise(SIGKILL);
              return 1;
            })),
            -SIGKILL);
  EXPECT_EQ(table().dead, 1u);
}

// Each ends a child that has counted, without the exit handlers that exit() runs.
void leaves_by_quick_exit() {
  std::quick_exit(0);
}
void leaves_by_underscore_exit() {
  _exit(0);
}
void releases_and_leaves_by_underscore_exit() {
  release_worker();
  _exit(0);
}

TEST_F(EndsTest, QuickExitIsNoDeathAndUnderscoreExitIsOneUnlessTheWorkerWasReleased) {
  open();
  hits_.inc();
  const auto released_by = [&](void (*leave)()) {
    const pid_t child = forked([&]() -> int {
      hits_.inc();
      active_.set(1);
      leave();
      return 1;
    });
    EXPECT_EQ(wait_for(child), 0);
    const Table after = table();
    EXPECT_EQ(after.released + after.dead, 1u);
    return after.released == 1;
  };
  EXPECT_TRUE(released_by(leaves_by_quick_exit));
  EXPECT_TRUE(released_by(releases_and_leaves_by_underscore_exit));
  EXPECT_EQ(table().deaths, 0u);
  EXPECT_FALSE(released_by(leaves_by_underscore_exit));
  EXPECT_TRUE(released_by(leaves_by_quick_exit));
  EXPECT_EQ(table().deaths, 1u);
  EXPECT_EQ(scrape()["hits_total"], 5);
}

TEST_F(EndsTest, WhatIsCountedAfterTheReleaseCounts) {
  open();
  EXPECT_EQ(wait_for(forked([&] {
              hits_.inc();
              release_worker();
              hits_.inc();
              ways_.with("late").inc();
              return 0;
            })),
            0);
  EXPECT_EQ(scrape()["hits_total"], 2);
  EXPECT_EQ(scrape()["ways_total{way=\"late\"}"], 1);
}

double median_fork_us(pid_t (*do_fork)()) {
  std::vector<double> times;
  for (int i = 0; i < 2000; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const pid_t child = do_fork();
    if (child == 0) _exit(0);
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    wait_for(child);
  }
  std::nth_element(times.begin(), times.begin() + 1000, times.end());
  return times[1000];
}

// For the eye: on a busy machine a time proves nothing.
TEST_F(EndsTest, WhatForkCostsTheOneThatForks) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT TESTED: needs root, to become another user";
  ASSERT_EQ(chmod(folder_.file(".").c_str(), 0777), 0);
  for (const bool as_root : {false, true}) {
    unlink(path_.c_str());  // another user's
    EXPECT_EQ(wait_for(forked([&] {
                if (!as_root && !become_nobody()) return 1;
                const double bare = median_fork_us([] { return _Fork(); });
                const double unused = median_fork_us([] { return fork(); });
                open();
                hits_.inc();
                active_.set(1);
                const double mapped = median_fork_us([] { return _Fork(); });
                const double used = median_fork_us([] { return fork(); });
                std::printf(
                    "us of a fork as %s, medians of 2,000: %.1f, with a segment mapped %.1f; with all handlers "
                    "%.1f, with those of a segment %.1f\n",
                    as_root ? "root" : "nobody", bare, mapped, unused, used);
                return 0;
              })),
              0);
  }
}

TEST_F(EndsTest, TheOneThatForksMakesNoSystemCallForIt) {
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  open();
  hits_.inc();
  active_.set(1);
  ways_.with("a").inc();
  const auto calls = [](pid_t (*do_fork)()) {
    const pid_t self = getpid();
    if (!SystemCalls::begin()) return -1;
    const pid_t child = do_fork();
    if (child == 0) _exit(getppid() == self ? 0 : 1);
    const int count = SystemCalls::end();
    return wait_for(child) == 0 ? count : -2;
  };
  const int bare = calls([] { return _Fork(); });
  if (bare == -1) GTEST_SKIP() << "NOT TESTED: this kernel does not count system calls for a process";
  EXPECT_GE(bare, 1) << "it is one itself";
  EXPECT_EQ(calls([] { return fork(); }), bare);
  const int one_more = calls([] {
    syscall(SYS_getppid);
    return _Fork();
  });
  EXPECT_EQ(one_more, bare + 1) << "the count counts";
#else
  GTEST_SKIP() << "NOT TESTED: the counter is written for x86-64 without sanitizers";
#endif
}

}  // namespace
}  // namespace shmetrics::tests
