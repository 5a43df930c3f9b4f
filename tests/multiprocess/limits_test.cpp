// A worker that runs into a limit of the kernel's, or of the segment's: it runs on, what it counts is right, what is
// lost is counted, and when the limit is gone so are its effects.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <shmetrics/shmetrics.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "collector/check.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

void pass_a_second() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
}

/// Lowers a limit for a scope.
class Limited {
 public:
  Limited(__rlimit_resource which, rlim_t most) : which_(which) {
    getrlimit(which_, &before_);
    const rlimit low{most, before_.rlim_max};
    if (setrlimit(which_, &low) != 0) std::abort();
  }
  ~Limited() { setrlimit(which_, &before_); }
  Limited(const Limited&) = delete;
  Limited& operator=(const Limited&) = delete;

 private:
  __rlimit_resource which_;
  rlimit before_{};
};

/// The address space of this process, and not a page more.
rlim_t address_space_bytes() {
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

class LimitsTest : public ::testing::Test {
 protected:
  LimitsTest() { options_.path = folder_.file("a.seg"); }
  void TearDown() override {
    if (!std::filesystem::exists(options_.path)) return;
    const collector::CheckReport report = collector::check_segment(options_.path);
    EXPECT_EQ(report.verdict, collector::CheckReport::Verdict::kSound) << report.findings.at(0);
  }
  Registry open() const { return Registry::open(options_); }
  tests::Scrape scrape() const { return tests::scrape(options_.path); }

  tests::TemporaryFolder folder_;
  Options options_;
};

TEST_F(LimitsTest, WithoutADescriptorAtTheStartTheErrorNamesTheLimitAndALaterOpenSucceeds) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer needs descriptors to look at an object's type";
  std::error_code error;
  {
    const Limited descriptors(RLIMIT_NOFILE, 0);
    static_cast<void>(Registry::open(options_, error));
  }
  EXPECT_EQ(error, Errc::full);
  EXPECT_NE(error.message().find("ulimit -n"), std::string::npos) << error.message();
  open().counter("a_total", "A").inc();
  EXPECT_EQ(scrape()["a_total"], 1);
}

TEST_F(LimitsTest, WithoutADescriptorLeftAWorkerRegistersAndDeclaresAsBefore) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer needs descriptors to look at an object's type";
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  hits.with("old").inc();
  {
    const Limited descriptors(RLIMIT_NOFILE, 0);
    for (int i = 0; i < 20; ++i) hits.with("new").inc();
    std::thread([&] { hits.with("old").inc(); }).join();
    registry.counter("b_total", "B").inc();
  }
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total{l=\"new\"}"], 20);
  EXPECT_EQ(result["a_total{l=\"old\"}"], 2);
  EXPECT_EQ(result["b_total"], 1);
  EXPECT_TRUE(result.status.series_overflow.empty());
}

TEST_F(LimitsTest, AChildBornWithoutADescriptorLeftHasAnEntryOnceOneIsFree) {
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  const Gauge active = registry.gauge("active", "A");
  hits.inc();
  EXPECT_EQ(tests::wait_for([&] {
              const Limited descriptors(RLIMIT_NOFILE, 0);
              return tests::forked([&] {
                for (int i = 0; i < 1000; ++i) hits.inc();
                active.set(5);
                const rlimit many{1000, 20'000};
                if (setrlimit(RLIMIT_NOFILE, &many) != 0) return 1;
                const tests::Scrape before = scrape();
                if (before["a_total"] != 1001 || tests::count_of(before.status.updates_dropped, "no_entry") != 1)
                  return 2;
                if (before.status.workers_live != 1) return 3;
                pass_a_second();
                active.set(5);
                hits.inc();
                const tests::Scrape after = scrape();
                return after["active"] == 5 && after["a_total"] == 1002 && after.status.workers_live == 2 ? 0 : 4;
              });
            }()),
            0);
}

TEST_F(LimitsTest, WithoutAddressSpaceAtTheStartTheErrorNamesTheLimitAndALaterOpenSucceeds) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer takes all address space for itself";
  std::error_code error;
  {
    const Limited space(RLIMIT_AS, address_space_bytes() + (64 << 20));
    static_cast<void>(Registry::open(options_, error));
    EXPECT_EQ(error, Errc::full);
    EXPECT_NE(error.message().find("ulimit -v"), std::string::npos) << error.message();
    Options small = options_;
    small.path = folder_.file("small.seg");
    small.workers = small.slots = 8;
    EXPECT_TRUE(Registry::open(small)) << "as it says: fewer slots";
  }
  open().counter("a_total", "A").inc();
  EXPECT_EQ(scrape()["a_total"], 1);
}

TEST_F(LimitsTest, WithoutAddressSpaceLeftAWorkerRegistersAndDeclaresAsBefore) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer takes all address space for itself";
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  hits.with("old").inc();
  {
    const Limited space(RLIMIT_AS, address_space_bytes());
    for (int i = 0; i < 100; ++i) hits.with("new").inc();
    registry.counter("b_total", "B").inc();
  }
  EXPECT_EQ(scrape()["a_total{l=\"new\"}"], 100);
  EXPECT_EQ(scrape()["b_total"], 1);
}

TEST_F(LimitsTest, ASegmentBeyondTheLimitOfLockedMemoryIsRefusedByNameAndASmallerOneFits) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer makes mlockall() do nothing";
  if (geteuid() != 0) GTEST_SKIP() << "NOT TESTED: needs root, to be another user with a limit of locked memory";
  ASSERT_EQ(chmod(std::filesystem::path(options_.path).parent_path().c_str(), 0777), 0);
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const rlimit locked{8 << 20, 8 << 20};
              if (setrlimit(RLIMIT_MEMLOCK, &locked) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return 1;
              if (mlockall(MCL_FUTURE) != 0) return 2;
              std::error_code error;
              static_cast<void>(Registry::open(options_, error));
              if (error != Errc::full || error.message().find("ulimit -l") == std::string::npos) return 3;
              Options small = options_;
              small.path = folder_.file("small.seg");
              small.workers = small.slots = 8;
              small.cells = 2048;
              small.directory_bytes = 65536;
              const Registry registry = Registry::open(small, error);
              registry.counter("a_total", "A").inc();
              struct stat file {};
              if (error || stat(small.path.c_str(), &file) != 0 || file.st_blocks > 512) return 4;
              return tests::scrape(small.path)["a_total"] == 1 ? 0 : 5;
            })),
            0);
}

/// A memory cgroup for one child, version 1 or 2.
class MemoryCgroup {
 public:
  explicit MemoryCgroup(std::uint64_t limit_bytes) {
    for (const auto& [parent, limit] :
         {std::pair{"/sys/fs/cgroup/memory/", "memory.limit_in_bytes"}, std::pair{"/sys/fs/cgroup/", "memory.max"}}) {
      path_ = parent + ("shmetrics-test-" + std::to_string(getpid()));
      if (mkdir(path_.c_str(), 0755) != 0) continue;
      if (write("/" + std::string(limit), std::to_string(limit_bytes))) return;
      rmdir(path_.c_str());
    }
    path_.clear();
  }
  ~MemoryCgroup() {
    for (int i = 0; !path_.empty() && i < 100 && rmdir(path_.c_str()) != 0; ++i) usleep(10'000);
  }
  bool is_there() const { return !path_.empty(); }
  bool enter() const { return write("/cgroup.procs", "0"); }

 private:
  bool write(const std::string& name, const std::string& value) const {
    std::ofstream file(path_ + name);
    return static_cast<bool>(file << value << std::flush);
  }
  std::string path_;
};

TEST_F(LimitsTest, AWorkerThatItsMemoryCgroupKillsLeavesASoundSegmentToTheOthers) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer needs more memory than the cgroup has";
  const MemoryCgroup cgroup(8 << 20);
  if (!cgroup.is_there()) GTEST_SKIP() << "NOT TESTED: no memory cgroup can be made here";
  const Counter hits = open().counter("a_total", "A");
  hits.inc();
  const tests::Baton counted;
  const pid_t worker = tests::forked([&] {
    if (!cgroup.enter()) return 1;
    for (int i = 0; i < 1000; ++i) hits.inc();
    counted.pass();
    const auto many = open().counter("b_total", "B", {"n"}, {.series_limit = 1'000'000, .unit = {}});
    for (int i = 0; i < 1'000'000; ++i) many.with(std::string(1000, 'x') + std::to_string(i)).inc();
    return 0;
  });
  counted.receive();
  EXPECT_EQ(tests::wait_for(worker), -SIGKILL) << "by the kernel: it takes a hundred times what the cgroup has";
  hits.inc();
  EXPECT_EQ(scrape()["a_total"], 1002);
}

// More workers than entries: 300 on 256, all alive at the same time.
TEST_F(LimitsTest, WorkersBeyondTheEntriesLoseNothingAndHaveOneWhenOthersAreGone) {
  constexpr std::uint32_t kEntries = 256;
  constexpr int kWorkers = 300;
  constexpr int kKilled = 60;
  constexpr int kUpdates = 2000;
  options_.workers = kEntries;
  options_.slots = 512;
  options_.cells = 2048;
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  const Histogram duration = registry.histogram("d_seconds", "D");
  const Gauge active = registry.gauge("active", "A");
  const tests::Baton counted, go, settled;
  std::vector<pid_t> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(tests::forked([&] {
      for (int n = 0; n < kUpdates; ++n) hits.inc();
      for (int n = 0; n < 100; ++n) duration.observe(1);
      active.set(1);
      counted.pass();
      go.receive();
      for (int n = 0; n < kUpdates; ++n) hits.inc();
      active.set(1);
      settled.pass();
      pause();
      return 0;
    }));
  }
  counted.receive(kWorkers);
  tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total"], kWorkers * kUpdates);
  EXPECT_EQ(result["d_seconds_count"], kWorkers * 100);
  EXPECT_EQ(result["d_seconds_sum"], kWorkers * 100);
  // One entry is the parent's, who has declared and counts nothing.
  EXPECT_EQ(result["active"], kEntries - 1);
  EXPECT_EQ(result.status.workers_live, kEntries - 1);
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "no_entry"), kWorkers - kEntries + 1);

  for (int i = 0; i < kKilled; ++i) EXPECT_EQ(tests::kill_and_wait(workers[static_cast<std::size_t>(i)]), -SIGKILL);
  pass_a_second();
  for (int i = kKilled; i < kWorkers; ++i) go.pass();
  settled.receive(kWorkers - kKilled);
  result = scrape();
  EXPECT_EQ(result["a_total"], (2 * kWorkers - kKilled) * kUpdates);
  EXPECT_EQ(result["active"], kWorkers - kKilled) << "each of the living has an entry now";
  EXPECT_EQ(result.status.workers_live, static_cast<std::uint64_t>(kWorkers - kKilled));
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "no_entry"), kWorkers - kEntries + 1)
      << "and nothing more was dropped";
  for (int i = kKilled; i < kWorkers; ++i) tests::kill_and_wait(workers[static_cast<std::size_t>(i)]);
  EXPECT_EQ(scrape()["a_total"], (2 * kWorkers - kKilled) * kUpdates);
}

TEST_F(LimitsTest, AThreadWithoutASlotHasOneAfterOthersAreGone) {
  options_.slots = 1;
  const Counter hits = open().counter("a_total", "A");
  std::latch taken(2), released(2);
  std::thread first([&] {
    hits.inc();
    taken.arrive_and_wait();
    released.arrive_and_wait();
  });
  taken.arrive_and_wait();
  for (int i = 0; i < 5000; ++i) hits.inc();  // in the spill, with ever longer pauses between looks for a slot
  EXPECT_EQ(scrape()["a_total"], 5001);
  released.arrive_and_wait();
  first.join();
  EXPECT_EQ(scrape().status.slots_used, 0u);
  int more = 0;
  for (; more < 1 << 20 && scrape().status.slots_used == 0; more += 1024) {
    for (int i = 0; i < 1024; ++i) hits.inc();
  }
  EXPECT_EQ(scrape().status.slots_used, 1u) << "after " << more << " updates";
  EXPECT_EQ(scrape()["a_total"], 5001 + more);
}

}  // namespace
}  // namespace shmetrics
