// A fork that cannot wait: it comes while another thread of the process has a lock's descriptor open, and the machine
// stops that thread for longer than a fork waits.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <shmetrics/shmetrics.hpp>

#include <atomic>
#include <thread>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

// The library says DONTFORK of each page that it maps while it holds a lock: there the thread is held up.
std::atomic<bool> holds_up{false};
std::atomic<bool> is_held_up{false};

}  // namespace

extern "C" int madvise(void* address, size_t bytes, int advice) noexcept {
  if (advice == MADV_DONTFORK && holds_up.exchange(false)) {
    is_held_up = true;
    usleep(600'000);
  }
  return static_cast<int>(syscall(SYS_madvise, address, bytes, advice));
}

namespace shmetrics {
namespace {

class ForkWindowTest : public ::testing::Test {
 protected:
  ForkWindowTest() {
    if (pipe(survivor_) != 0) throw std::runtime_error("pipe");
  }
  ~ForkWindowTest() override {
    if (child_ > 0) kill(child_, SIGKILL);
  }

  Registry open() const {
    Options options;
    options.path = path_;
    return Registry::open(options);
  }
  /// A process in which one thread does `work` and is held up in it, while another forks a child that lives on.
  template <typename Work>
  void run(Work work, bool until_done) {
    const tests::Baton done;
    const pid_t parent = tests::forked([&] {
      const Registry registry = open();
      const Counter hits = registry.counter("hits_total", "Hits");
      holds_up = true;
      std::thread working([&] { work(registry, hits); });
      while (!is_held_up) usleep(100);
      const pid_t child = fork();
      if (child == 0) {
        hits.inc(10);
        done.pass();
        for (;;) pause();
      }
      if (write(survivor_[1], &child, sizeof child) != sizeof child) return 1;
      if (!until_done) kill(getpid(), SIGKILL);
      working.join();
      done.pass();
      for (;;) pause();
    });
    done.receive(until_done ? 2 : 1);
    ASSERT_EQ(read(survivor_[0], &child_, sizeof child_), static_cast<ssize_t>(sizeof child_));
    tests::kill_and_wait(parent);
    ASSERT_EQ(kill(child_, 0), 0) << "the child is there";
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  int survivor_[2];
  pid_t child_ = 0;
};

TEST_F(ForkWindowTest, AChildForkedInTheMiddleOfAClaimDoesNotKeepItsDeadParentAlive) {
  run([](const Registry&, const Counter& hits) { hits.inc(); }, true);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["hits_total"], 11) << "the child counts in the spill";
  EXPECT_EQ(scrape.status.workers_live, 0u);
}

TEST_F(ForkWindowTest, AChildForkedInTheMiddleOfARegistrationDoesNotKeepTheDirectoryLocked) {
  run([](const Registry& registry, const Counter&) { static_cast<void>(registry.counter("late_total", "Late")); },
      false);
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const std::error_code error = open().counter("next_total", "Next").error();
              if (error) std::fprintf(stderr, "%s\n", error.message().c_str());
              return error ? 1 : 0;
            })),
            0);
  EXPECT_EQ(tests::scrape(path_)["hits_total"], 10);
}

}  // namespace
}  // namespace shmetrics
