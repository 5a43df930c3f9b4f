// Fork, and what it makes of the threads, registries and locks of the parent. Handles across fork:
// tests/client/fork_test.cpp.
#include <fcntl.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "tests/multiprocess/forking.hpp"

namespace shmetrics::tests {
namespace {

/// This process has the segment open.
class ForkingTest : public Forking {
 protected:
  ForkingTest() { open(); }
};

#ifndef __SANITIZE_ADDRESS__  // the sanitizer keeps its locks in the child of a process with threads
TEST_F(ForkingTest, ThreadsThatObserveWhileTheirProcessForksLoseAndDoubleNothing) {
  constexpr int kThreads = 3;
  std::atomic<bool> stop{false};
  std::array<std::uint64_t, kThreads> observed{};
  std::vector<std::thread> observing;
  for (int t = 0; t < kThreads; ++t) {
    observing.emplace_back([&, t] {
      for (; !stop; ++observed[t]) duration_.observe(1);
    });
  }
  for (int i = 0; i < kForks; ++i) {
    EXPECT_EQ(wait_for(forked([&] {
                duration_.observe(1);
                return 0;
              })),
              0);
  }
  stop = true;
  for (std::thread& thread : observing) thread.join();
  const auto total = static_cast<double>(observed[0] + observed[1] + observed[2] + kForks);
  const Scrape result = scrape();
  EXPECT_EQ(result["duration_seconds_count"], total);
  EXPECT_EQ(result["duration_seconds_sum"], total);
  EXPECT_EQ(result["duration_seconds_bucket{le=\"0.5\"}"], 0);
}

TEST_F(ForkingTest, EightThreadsRegisterWhileTheirProcessForksAndNoChildHangs) {
  const auto sets = registry_.counter("sets_total", "Registered", {"thread", "n"}, {.series_limit = 100000});
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> counted{0};
  std::vector<std::thread> registering;
  for (int t = 0; t < 8; ++t) {
    registering.emplace_back([&, t] {
      for (int n = 0; !stop && n < 500; ++n, ++counted) sets.with(std::to_string(t), std::to_string(n)).inc();
    });
  }
  for (int i = 0; i < kForks; ++i) {
    EXPECT_EQ(wait_for(forked([&] {
                alarm(10);  // a lock that was left taken would hang here
                sets.with("child", std::to_string(i)).inc();
                return 0;
              })),
              0);
  }
  stop = true;
  for (std::thread& thread : registering) thread.join();
  double total = 0;
  for (const auto& [series, value] : scrape().values) total += series.starts_with("sets_total") ? value : 0;
  EXPECT_EQ(total, static_cast<double>(counted + kForks));
}
#endif

TEST_F(ForkingTest, ARegistryDestroyedInAChildLeavesItsParentsSlotAlone) {
  auto registry = std::make_unique<Registry>(registry_);
  hits_.inc();
  active_.set(3);
  EXPECT_EQ(wait_for(forked([&] {
              registry.reset();
              registry_ = Registry();
              hits_.inc();
              return 0;
            })),
            0);
  hits_.inc();
  const Scrape result = scrape();
  EXPECT_EQ(result["hits_total"], 3);
  EXPECT_EQ(result["active"], 3);
  EXPECT_EQ(result.status.workers_live, 1u);
  EXPECT_EQ(result.status.slots_used, 1u);
}

TEST_F(ForkingTest, AChildThatUnlocksWhateverItInheritedUnlocksNothingOfItsParents) {
  hits_.inc();
  active_.set(3);
  EXPECT_EQ(wait_for(forked([&] {
              for (int fd = 3; fd < 256; ++fd) {
                struct flock all {};  // type, start and length 0: to the end and beyond
                all.l_type = F_UNLCK;
                fcntl(fd, F_OFD_SETLK, &all);
              }
              return 0;
            })),
            0);
  EXPECT_EQ(scrape()["active"], 3) << "its worker is alive";
}

TEST_F(ForkingTest, GrandchildrenOfANestedPreforkCountLikeChildren) {
  constexpr int kEach = 4;
  constexpr int kTimes = 1000;
  const auto count = [&] {
    for (int i = 0; i < kTimes; ++i) {
      hits_.inc();
      duration_.observe(1);
    }
    active_.inc();
  };
  const Baton counted;
  std::vector<pid_t> middle;
  for (int m = 0; m < kEach; ++m) {
    middle.push_back(forked([&] {
      if (m % 2 == 0) count();  // one middle process has slots of its own when it forks, the next has not
      std::vector<pid_t> leaves;
      for (int l = 0; l < kEach; ++l) {
        leaves.push_back(forked([&]() -> int {
          count();
          counted.pass();
          for (;;) pause();
        }));
      }
      if (m % 2 != 0) count();
      shared_.phase += 1;
      while (shared_.phase <= kEach) usleep(1000);
      for (const pid_t leaf : leaves) kill_and_wait(leaf);
      return 0;
    }));
  }
  counted.receive(kEach * kEach);
  EXPECT_TRUE(reaches(kEach));
  EXPECT_EQ(scrape()["active"], kEach * (kEach + 1));
  shared_.phase += 1;
  for (const pid_t process : middle) EXPECT_EQ(wait_for(process), 0);
  const Scrape result = scrape();
  EXPECT_EQ(result["hits_total"], kEach * (kEach + 1) * kTimes);
  EXPECT_EQ(result["duration_seconds_count"], kEach * (kEach + 1) * kTimes);
  EXPECT_EQ(result["active"], 0);
}

TEST_F(ForkingTest, AChildForkedInAThreadOutlivesItAndGoesOn) {
  const Baton go;
  pid_t child = 0;
  std::thread([&] {
    hits_.inc();
    child = forked([&] {
      hits_.inc();
      go.receive();
      for (int i = 0; i < 100; ++i) hits_.inc();
      return 0;
    });
  }).join();
  hits_.inc();  // perhaps in the slot that the ended thread gave back
  go.pass();
  EXPECT_EQ(wait_for(child), 0);
  EXPECT_EQ(scrape()["hits_total"], 103);
}

// Leaked locks are a matter of luck: between fork and exec of a helper. Many helpers, many kills.
TEST_F(ForkingTest, ThePosixLocksOfTheApplicationAreItsOwn) {
  hits_.inc();
  active_.set(1);
  const int fd = ::open(path_.c_str(), O_RDWR);
  struct flock all {};
  all.l_type = F_WRLCK;
  all.l_len = 64;  // of the header: nobody claims there
  ASSERT_EQ(fcntl(fd, F_SETLK, &all), 0);
  EXPECT_EQ(wait_for(forked([&] {
              hits_.inc();
              ways_.with("child").inc();
              return 0;
            })),
            0);
  close(fd);  // drops every POSIX lock that this process has on the file
  EXPECT_EQ(scrape()["active"], 1);
  EXPECT_EQ(scrape()["hits_total"], 2);
  EXPECT_EQ(scrape()["ways_total{way=\"child\"}"], 1);
}

TEST_F(ForkingTest, AnApplicationThatLocksTheWholeFileCostsSlotsAndNoCounts) {
  hits_.inc();
  const int fd = ::open(path_.c_str(), O_RDWR);
  struct flock all {};
  all.l_type = F_WRLCK;
  ASSERT_NE(fcntl(fd, F_SETLK, &all), 0) << "not while a worker lives: its locks are there";
  close(fd);
  const pid_t selfish = forked([&] {
    const int own = ::open(path_.c_str(), O_RDWR);
    struct flock whole {};
    whole.l_type = F_RDLCK;  // as far as the workers' bytes, and then those beyond
    whole.l_len = 1 << 20;
    if (fcntl(own, F_SETLK, &whole) != 0) return 1;
    hits_.inc();
    shared_.phase = 1;
    for (;;) pause();
  });
  ASSERT_TRUE(reaches(1));
  hits_.inc();
  EXPECT_EQ(scrape()["hits_total"], 3);
  kill_and_wait(selfish);
}

}  // namespace
}  // namespace shmetrics::tests
