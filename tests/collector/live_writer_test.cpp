// A reader beside a writer at full speed: nothing torn is taken for whole, nothing goes back.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "shm/slot.hpp"
#include "tests/collector/segment_builder.hpp"

namespace shmetrics::collector {
namespace {

constexpr int kScrapes = 5000;

TEST(LiveWriter, AHistogramIsWholeAndNeverGoesBackWhileItIsWritten) {
  tests::SegmentBuilder segment;
  const auto family = segment.family(tests::histogram("h", {1, 2, 3}));
  const auto counts = segment.family(tests::counter("a_total"));
  segment.thread(0, family.cell);
  shm::SharedWord* cells = segment.view().thread_cells(0);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint32_t i = 0; !done.load(std::memory_order_relaxed); ++i) {
      shm::observe(cells, family.cell, i % 4, 1.0);
      cells[counts.cell].store_relaxed(cells[counts.cell].load_relaxed() + 1);
    }
  });
  Scraper scraper(segment.path());
  Distribution last;
  std::uint64_t last_count = 0, torn = 0;
  for (int i = 0; i < kScrapes && !HasFailure(); ++i) {
    const SegmentStatus status = scraper.read();
    const auto families = plain_families(scraper.view());
    const auto now = std::get<Distribution>(families.at(1).series.at(0).value);
    const auto count = std::get<std::uint64_t>(families.at(0).series.at(0).value);
    EXPECT_GE(count, last_count);
    EXPECT_GE(now.sum, last.sum);
    for (std::size_t b = 0; b < last.buckets.size(); ++b) EXPECT_GE(now.buckets[b].second, last.buckets[b].second);
    // Every observation is a 1: a whole copy has a sum that is its count.
    const bool is_whole = status.torn_reads == torn;
    EXPECT_TRUE(!is_whole || now.sum == static_cast<double>(now.count)) << now.sum << " of " << now.count;
    torn = status.torn_reads;
    last = now;
    last_count = count;
  }
  done = true;
  writer.join();
  EXPECT_GT(last_count, 0u) << "the writer never ran";
  EXPECT_LT(torn, static_cast<std::uint64_t>(kScrapes) / 2);
}

}  // namespace
}  // namespace shmetrics::collector
