// Bounded by concurrency, never by churn: the two-thousandth generation of workers leaves what the twentieth left.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <shmetrics/shmetrics.hpp>

#include <latch>
#include <thread>
#include <vector>

#include "shm/segment.hpp"
#include "shm/segment_view.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr int kAtOnce = 8;
#if defined(__SANITIZE_ADDRESS__)
constexpr int kGenerations = 200;  // a fork costs twenty times as much there
#else
constexpr int kGenerations = 2000;
#endif

struct Footprint {
  long allocated_bytes;
  std::uint64_t workers_ever_used;
  std::uint64_t slots_ever_used;
  bool operator==(const Footprint&) const = default;
};

void PrintTo(const Footprint& print, std::ostream* out) {
  *out << print.allocated_bytes << " bytes, " << print.workers_ever_used << " workers, " << print.slots_ever_used
       << " slots";
}

class ChurnTest : public ::testing::Test {
 protected:
  ChurnTest() { options_.path = folder_.file("a.seg"); }

  /// Eight workers that live together; some end in order, some by _exit, some by kill -9.
  void run_generation(const Counter& hits, const Histogram& duration, const Gauge& active) {
    const tests::Baton counted;
    const tests::Baton stop;
    std::vector<pid_t> workers;
    for (int i = 0; i < kAtOnce; ++i) {
      workers.push_back(tests::forked([&, i] {
        hits.inc();
        duration.observe(1);
        active.set(1);
        counted.pass();
        stop.receive();
        if (i % 3 == 1) _exit(0);
        return 0;
      }));
    }
    counted.receive(kAtOnce);
    for (int i = 2; i < kAtOnce; i += 3) tests::kill_and_wait(workers[i]);
    for (int i = 0; i < kAtOnce; ++i) stop.pass();
    for (int i = 0; i < kAtOnce; ++i) {
      if (i % 3 == 2) continue;
      EXPECT_EQ(tests::wait_for(workers[i]), 0);
    }
  }

  std::uint64_t slots_ever_used() const {
    const shm::OpenedSegment segment = shm::open_for_reading(options_.path);
    const boost::interprocess::mapped_region mapped(segment.file, boost::interprocess::read_only, 0,
                                                    segment.geometry.directory());
    const shm::SegmentView view(static_cast<std::byte*>(mapped.get_address()), segment.geometry);
    std::uint64_t used = 0;
    for (std::uint32_t slot = 0; slot < segment.geometry.thread_slots; ++slot) {
      used += view.slot(slot).cells_allocated.load_relaxed() != 0 ? 1 : 0;
    }
    return used;
  }

  Footprint footprint() const {
    struct stat file {};
    stat(options_.path.c_str(), &file);
    const auto status = tests::scrape(options_.path).status;
    return {file.st_blocks * 512, options_.workers - status.workers_unused, slots_ever_used()};
  }

  tests::TemporaryFolder folder_;
  Options options_;
};

TEST_F(ChurnTest, TwoThousandGenerationsLeaveWhatTwentyLeave) {
  const Registry registry = Registry::open(options_);
  const Counter hits = registry.counter("a_total", "A", {"l"}).with("v");
  const Histogram duration = registry.histogram("d_seconds", "D");
  const Gauge active = registry.gauge("active", "A");
  int generations = 0;
  for (; generations < 20; ++generations) run_generation(hits, duration, active);
  const Footprint after_twenty = footprint();
  EXPECT_EQ(after_twenty.slots_ever_used, kAtOnce);
  for (; generations < kGenerations; ++generations) run_generation(hits, duration, active);
  EXPECT_EQ(footprint(), after_twenty);
  const tests::Scrape scrape = tests::scrape(options_.path);
  EXPECT_EQ(scrape["a_total{l=\"v\"}"], generations * kAtOnce);
  EXPECT_EQ(scrape["d_seconds_count"], generations * kAtOnce);
  EXPECT_EQ(scrape["active"], 0);
  std::printf("%d workers: %s\n", generations * kAtOnce, ::testing::PrintToString(footprint()).c_str());
}

TEST_F(ChurnTest, TenThousandThreadsEightAtATimeLeaveWhatEightLeave) {
  const Registry registry = Registry::open(options_);
  const Counter hits = registry.counter("a_total", "A");
  const FloatCounter cost = registry.float_counter("cost_total", "C");
  const Histogram duration = registry.histogram("d_seconds", "D");
  const Summary size = registry.summary("size_bytes", "S");
  int threads = 0;
  const auto run = [&](int count) {
    for (const int end = threads + count; threads < end; threads += kAtOnce) {
      std::latch all_count(kAtOnce);
      std::vector<std::thread> running;
      for (int t = 0; t < kAtOnce; ++t) {
        running.emplace_back([&] {
          hits.inc();
          cost.inc(0.5);
          duration.observe(1);
          size.observe(2);
          all_count.arrive_and_wait();  // nobody gives a slot back before all have one
        });
      }
      for (std::thread& thread : running) thread.join();
    }
  };
  constexpr int kFirst = 100 * kAtOnce;  // a thread that finds the process busy claiming counts in the spill that time
  run(kFirst);
  const Footprint after_eight = footprint();
  EXPECT_EQ(after_eight.slots_ever_used, kAtOnce);
  run(10'000 - kFirst);
  EXPECT_EQ(footprint(), after_eight);
  const tests::Scrape scrape = tests::scrape(options_.path);
  EXPECT_EQ(scrape["a_total"], threads);
  EXPECT_EQ(scrape["cost_total"], threads * 0.5);
  EXPECT_EQ(scrape["d_seconds_count"], threads);
  EXPECT_EQ(scrape["d_seconds_sum"], threads);
  EXPECT_EQ(scrape["size_bytes_count"], threads);
  EXPECT_EQ(scrape["size_bytes_sum"], threads * 2);
  EXPECT_EQ(scrape.status.slots_used, 0u);
  std::printf("%d threads: %s\n", threads, ::testing::PrintToString(footprint()).c_str());
}

TEST_F(ChurnTest, MoreWorkersAtOnceThanEntriesCountEverythingAndTheirDroppedGaugesAreCounted) {
  constexpr int kWorkers = 80;
  options_.workers = 64;
  options_.slots = 64;
  const Registry registry = Registry::open(options_);
  const Counter hits = registry.counter("a_total", "A");
  const Histogram duration = registry.histogram("d_seconds", "D");
  const Gauge active = registry.gauge("active", "A");
  const tests::Baton counted;
  const tests::Baton stop;
  std::vector<pid_t> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(tests::forked([&] {
      for (int n = 0; n < 100; ++n) {
        hits.inc();
        duration.observe(1);
      }
      active.set(1);
      counted.pass();
      stop.receive();
      return 0;
    }));
  }
  counted.receive(kWorkers);
  const tests::Scrape scrape = tests::scrape(options_.path);
  EXPECT_EQ(scrape["a_total"], kWorkers * 100);
  EXPECT_EQ(scrape["d_seconds_count"], kWorkers * 100);
  EXPECT_EQ(scrape["d_seconds_sum"], kWorkers * 100);
  // One is the parent's, who has declared.
  EXPECT_EQ(scrape["active"], 63);
  EXPECT_EQ(scrape.status.workers_live, 63u);
  EXPECT_EQ(tests::count_of(scrape.status.updates_dropped, "no_entry"), static_cast<std::uint64_t>(kWorkers - 63));
  for (int i = 0; i < kWorkers; ++i) stop.pass();
  for (const pid_t worker : workers) EXPECT_EQ(tests::wait_for(worker), 0);
}

}  // namespace
}  // namespace shmetrics
