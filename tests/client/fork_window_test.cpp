// A fork that cannot wait: it comes while another thread of the process has a lock's descriptor open or registers, and
// the machine stops that thread for longer than a fork waits.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <shmetrics/shmetrics.hpp>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

// The library says DONTFORK of each page that it maps while it holds a lock, and asks for memory in the middle of a
// registration: there the thread is held up.
std::atomic<int> holds_up_at{0};
std::atomic<bool> is_held_up{false};

}  // namespace

extern "C" int madvise(void* address, size_t bytes, int advice) noexcept {
  if (int expected = advice; advice != 0 && holds_up_at.compare_exchange_strong(expected, 0)) {
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
  template <typename Work, typename InChild>
  void run(int advice, Work work, InChild in_child, bool until_done) {
    const tests::Baton done;
    const pid_t parent = tests::forked([&] {
      const Registry registry = open();
      holds_up_at = advice;
      std::thread working([&] { work(registry); });
      while (!is_held_up) usleep(100);
      const pid_t child = fork();
      if (child == 0) {
        registry.counter("hits_total", "Hits").inc(10);
        in_child(registry);
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
  run(
      MADV_DONTFORK, [](const Registry& registry) { registry.counter("hits_total", "Hits").inc(); },
      [](const Registry&) {}, true);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["hits_total"], 11);
  EXPECT_EQ(scrape.status.workers_dead, 1u);
  EXPECT_EQ(scrape.status.workers_live, 1u) << "the child, in an entry of its own";
}

TEST_F(ForkWindowTest, AChildForkedInTheMiddleOfARegistrationRegistersAsAnyOther) {
  for (const bool parent_goes_on : {true, false}) {
    SCOPED_TRACE(parent_goes_on ? "the parent goes on" : "the parent is killed in the middle");
    std::filesystem::remove(path_);
    run(
        MADV_POPULATE_WRITE,
        [](const Registry& registry) { registry.counter("late_total", "Late", {"l"}).with("parent").inc(); },
        [](const Registry& registry) {
          const auto own = registry.counter("own_total", "Own", {"l"});
          for (int i = 0; i < 300; ++i) own.with(std::to_string(i)).inc();
          registry.counter("late_total", "Late", {"l"}).with("child").inc();
          registry.gauge("depth", "D", {"l"}).with("v").set(5);
          if (own.error()) std::fprintf(stderr, "%s\n", own.error().message().c_str());
        },
        parent_goes_on);
    const tests::Scrape scrape = tests::scrape(path_);
    EXPECT_EQ(scrape["hits_total"], 10);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(scrape["own_total{l=\"" + std::to_string(i) + "\"}"], 1);
    EXPECT_EQ(scrape["late_total{l=\"child\"}"], 1);
    EXPECT_EQ(scrape["depth{l=\"v\"}"], 5);
    EXPECT_EQ(scrape.has("late_total{l=\"parent\"}"), parent_goes_on);
    EXPECT_TRUE(scrape.status.series_overflow.empty());
    EXPECT_EQ(scrape.status.quarantined_families + scrape.status.quarantined_series, 0u);
    EXPECT_EQ(tests::count_of(scrape.status.updates_dropped, "no_entry"), 0u);
    EXPECT_EQ(tests::wait_for(tests::forked([&] {
                const std::error_code error = open().counter("next_total", "Next").error();
                if (error) std::fprintf(stderr, "%s\n", error.message().c_str());
                return error ? 1 : 0;
              })),
              0);
    kill(child_, SIGKILL);
  }
}

// What the child reads again is the log; what it holds from before is still right.
TEST_F(ForkWindowTest, HandlesAndFamiliesFromBeforeTheForkAreGoodInAChildThatReadsTheLogAgain) {
  const Registry registry = open();
  const auto family = registry.counter("kept_total", "Kept", {"l"}, {.series_limit = 3});
  const Counter kept = family.with("kept");
  const Gauge depth = registry.gauge("depth", "D");
  const Histogram sizes = registry.histogram("sizes", "S", {}, {1, 2});
  kept.inc();
  run(
      MADV_POPULATE_WRITE, [](const Registry& theirs) { theirs.counter("late_total", "Late"); },
      [&](const Registry&) {
        kept.inc(5);
        family.with("kept").inc(10);
        family.with("two").inc();
        family.with("three").inc();
        family.with("four").inc();
        depth.set(7);
        sizes.observe(2);
      },
      true);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["kept_total{l=\"kept\"}"], 16);
  EXPECT_EQ(scrape["kept_total{l=\"three\"}"], 1);
  EXPECT_EQ(scrape["kept_total{l=\"__overflow__\"}"], 1) << "the limit holds";
  EXPECT_EQ(scrape["depth"], 7);
  EXPECT_EQ(scrape["sizes_count"], 1);
}

}  // namespace
}  // namespace shmetrics
