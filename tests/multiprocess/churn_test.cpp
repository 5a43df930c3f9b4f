// Bounded by concurrency, never by churn: the ten-thousandth thread leaves what the first eight left. The same of
// processes: generations.hpp.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <shmetrics/shmetrics.hpp>

#include <latch>
#include <thread>
#include <vector>

#include "shm/segment.hpp"
#include "shm/segment_view.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr int kAtOnce = 8;

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

}  // namespace
}  // namespace shmetrics
