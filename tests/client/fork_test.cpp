// Handles across fork, and what a child must not do to its parent.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <shmetrics/shmetrics.hpp>

#include <thread>
#include <vector>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

class ForkTest : public ::testing::Test {
 protected:
  Registry open(std::uint32_t workers = 64) {
    Options options;
    options.path = path_;
    options.workers = workers;
    return Registry::open(options);
  }
  static void count_in_threads(int threads, int times, const Counter& hits, const Histogram& duration) {
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([=] {
        for (int i = 0; i < times; ++i) {
          hits.inc();
          duration.observe(1.0);
        }
      });
    }
    for (std::thread& thread : running) thread.join();
  }
  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

TEST_F(ForkTest, HandlesMadeBeforeForkCountInSixteenChildrenOfEightThreads) {
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A", {"l"}).with("v");
  const Histogram duration = registry.histogram("d_seconds", "D", {}, {0.5, 2});
  hits.inc();  // the parent has a slot of its own when it forks
  std::vector<pid_t> children;
  for (int c = 0; c < 16; ++c) {
    children.push_back(tests::forked([&] {
      count_in_threads(8, 10000, hits, duration);
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(tests::wait_for(child), 0);
  hits.inc();
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total{l=\"v\"}"], 16 * 8 * 10000 + 2);
  EXPECT_EQ(scrape["d_seconds_count"], 16 * 8 * 10000);
  EXPECT_EQ(scrape["d_seconds_sum"], 16 * 8 * 10000);
  EXPECT_EQ(scrape["d_seconds_bucket{le=\"0.5\"}"], 0);
  EXPECT_EQ(scrape.status.worker_deaths, 0u);
}

TEST_F(ForkTest, AChildThatNeverCountsDoesNotKeepItsKilledParentAlive) {
  const tests::Baton ready;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t parent = tests::forked([&] {
    const Registry registry = open();
    registry.gauge("active", "A").set(7);
    const pid_t idle = fork();
    if (idle == 0) {
      ready.pass();
      for (;;) pause();
    }
    if (write(pipe_ends[1], &idle, sizeof idle) != sizeof idle) return 1;
    ready.pass();
    for (;;) pause();
  });
  ready.receive(2);
  pid_t idle = 0;
  ASSERT_EQ(read(pipe_ends[0], &idle, sizeof idle), static_cast<ssize_t>(sizeof idle));
  EXPECT_EQ(tests::scrape(path_)["active"], 7);
  tests::kill_and_wait(parent);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["active"], 0) << "nobody alive holds it";
  EXPECT_EQ(scrape.status.workers_live, 0u) << "who never updated anything is no worker";
  kill(idle, SIGKILL);
}

TEST_F(ForkTest, AnIdleChildNeverTouchesItsParentsSlot) {
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  hits.inc(10);
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              hits.inc(100);
              return 0;
            })),
            0);
  hits.inc(1000);
  EXPECT_EQ(tests::scrape(path_)["a_total"], 1110);
}

TEST_F(ForkTest, AWildWriteInAChildCannotReachTheParentsSlot) {
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  hits.inc(10);
  const auto* cells = detail::thread_slots[0].cells;
  ASSERT_NE(cells, nullptr);
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              signal(SIGSEGV, [](int) { _exit(42); });
              const_cast<std::atomic<std::uint64_t>*>(cells)[20].store(0);
              return 0;
            })),
            42);
}

TEST_F(ForkTest, ExitAndUnderscoreExitInAChildLeaveTheParentAlone) {
  const Registry registry = open();
  const Gauge active = registry.gauge("active", "A");
  const Counter hits = registry.counter("a_total", "A");
  active.set(3);
  hits.inc();
  for (const bool orderly : {true, false}) {
    const pid_t child = tests::forked([&] {
      hits.inc();
      if (!orderly) _exit(0);
      return 0;
    });
    EXPECT_EQ(tests::wait_for(child), 0);
  }
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["active"], 3);
  EXPECT_EQ(scrape["a_total"], 3);
  EXPECT_EQ(scrape.status.workers_live, 1u);
  // An orderly end is a release; _exit skips the handlers and will be counted as a death by the next owner.
  EXPECT_EQ(scrape.status.workers_released + scrape.status.workers_dead, 1u) << "both children had one entry, in turn";
}

#ifndef __SANITIZE_ADDRESS__  // the sanitizer's allocator keeps its locks in the child of a process with threads
// As in a signal handler that runs in the child before the handlers of fork do.
TEST_F(ForkTest, AReleaseInAChildThatForkHasNotPreparedLeavesTheParentAlone) {
  const Registry registry = open();
  registry.gauge("depth", "D").set(3);
  const auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) {
    release_worker();
    _exit(0);
  }
  EXPECT_EQ(tests::wait_for(child), 0);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["depth"], 3) << "the parent lives";
  EXPECT_EQ(scrape.status.workers_live, 1u);
}

TEST_F(ForkTest, AChildForkedWhileOtherThreadsRegisterRegistersAsAnyOther) {
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"thread", "n"});
  const auto children = registry.counter("children_total", "C", {"n"});
  const auto depth = registry.gauge("depth", "D", {"n"}, GaugeMode::max);
  std::atomic<bool> stop{false};
  std::atomic<int> registered{0};
  std::vector<std::thread> registering;
  for (int t = 0; t < 4; ++t) {
    registering.emplace_back([&, t] {
      for (int n = 0; !stop && n < 240; ++n, ++registered) hits.with(std::to_string(t), std::to_string(n)).inc();
    });
  }
  constexpr int kChildren = 50;
  for (int i = 0; i < kChildren; ++i) {
    const pid_t child = tests::forked([&] {
      alarm(10);  // a lock that was left taken would hang here
      children.with(std::to_string(i)).inc();
      depth.with(std::to_string(i)).set(i + 1);
      const auto own = registry.counter("own" + std::to_string(i) + "_total", "of this child", {"n"});
      own.with("v").inc();
      return own.error() ? 1 : 0;
    });
    EXPECT_EQ(tests::wait_for(child), 0);
  }
  stop = true;
  for (std::thread& thread : registering) thread.join();
  const tests::Scrape scrape = tests::scrape(path_);
  for (int i = 0; i < kChildren; ++i) {
    EXPECT_EQ(scrape["children_total{n=\"" + std::to_string(i) + "\"}"], 1);
    EXPECT_EQ(scrape["depth{n=\"" + std::to_string(i) + "\"}"], i + 1);
    EXPECT_EQ(scrape["own" + std::to_string(i) + "_total{n=\"v\"}"], 1);
  }
  EXPECT_TRUE(scrape.status.series_overflow.empty());
  EXPECT_EQ(scrape.status.series, static_cast<std::uint64_t>(registered + 3 * kChildren));
}
#endif

TEST_F(ForkTest, ForksOfSeveralThreadsLeaveTheRegistryWorking) {
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  std::vector<std::thread> forking;
  for (int t = 0; t < 4; ++t) {
    forking.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        const pid_t child = fork();
        if (child == 0) {
          hits.inc();
          _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
      }
    });
  }
  for (std::thread& thread : forking) thread.join();
  EXPECT_FALSE(registry.counter("b_total", "B").error()) << "no fork kept the lock";
  EXPECT_EQ(tests::scrape(path_)["a_total"], 100);
}

TEST_F(ForkTest, AHandlerOfTheApplicationFindsTheChildWithoutTheParentsSlots) {
  const pid_t parent = tests::forked([&] {
    static Counter hits;
    pthread_atfork(nullptr, nullptr, [] { hits.inc(); });  // before the first open
    const Registry registry = open();
    hits = registry.counter("a_total", "A");
    hits.inc(10);
    const pid_t child = fork();
    if (child == 0) _exit(0);
    return tests::wait_for(child);
  });
  EXPECT_EQ(tests::wait_for(parent), 0);
  EXPECT_EQ(tests::scrape(path_)["a_total"], 11);
  EXPECT_EQ(tests::scrape(path_).status.slots_used, 0u);
}

TEST_F(ForkTest, ALibraryThatDropsPrivilegesAfterForkStillCounts) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to drop privileges";
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  const Gauge active = registry.gauge("active", "A");
  const tests::Baton counted;
  const pid_t child = tests::forked([&] {
    if (setgid(65534) != 0 || setuid(65534) != 0 || ::open(path_.c_str(), O_RDWR) >= 0) return 1;
    hits.inc(5);
    active.set(2);
    counted.pass();
    for (;;) pause();
  });
  counted.receive();
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total"], 5);
  EXPECT_EQ(scrape["active"], 2);
  tests::kill_and_wait(child);
}

TEST_F(ForkTest, ClosingEveryDescriptorDoesNoHarm) {
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  hits.with("before").inc();
  const pid_t child = tests::forked([&] {
    hits.with("before").inc();
    for (int fd = 0; fd < 256; ++fd) close(fd);
    const int stolen = ::open("/dev/null", O_RDWR);  // gets a number that was the library's
    hits.with("before").inc();
    hits.with("after").inc();
    std::thread([&] { hits.with("after").inc(); }).join();
    return fcntl(stolen, F_GETFL) >= 0 ? 0 : 1;
  });
  EXPECT_EQ(tests::wait_for(child), 0);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total{l=\"before\"}"], 3);
  EXPECT_EQ(scrape["a_total{l=\"after\"}"], 2);
}

TEST_F(ForkTest, TheApplicationMayOpenAndCloseTheFile) {
  const Registry registry = open();
  registry.gauge("active", "A").set(1);
  close(::open(path_.c_str(), O_RDONLY));  // would drop a POSIX lock
  EXPECT_EQ(tests::scrape(path_).status.workers_live, 1u);
}

TEST_F(ForkTest, SpawnedProgramsKeepNothingAlive) {
  const tests::Baton ready;
  const pid_t parent = tests::forked([&] {
    const Registry registry = open();
    registry.gauge("active", "A").set(1);
    pid_t sleeper = 0;
    char program[] = "/bin/sleep";
    char seconds[] = "0.5";
    char* arguments[] = {program, seconds, nullptr};
    if (posix_spawn(&sleeper, program, nullptr, nullptr, arguments, environ) != 0) return 1;
    ready.pass();
    for (;;) pause();
  });
  ready.receive();
  tests::kill_and_wait(parent);
  EXPECT_EQ(tests::scrape(path_).status.workers_live, 0u);
}

}  // namespace
}  // namespace shmetrics
