// Writer and reader as threads on one mapping, where the thread sanitizer can see both.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <thread>

#include "collector/cell_reader.hpp"
#include "shm/directory.hpp"
#include "shm/slot.hpp"

namespace shmetrics::collector {
namespace {

constexpr int kReads = 20000;

/// The directory of one counter and one histogram, as the reader parses it.
void read_directory(Catalog& catalog, std::uint32_t& counter, std::uint32_t& histogram) {
  shm::CellCursor cells;
  const auto add = [&](const shm::Schema& schema) {
    const std::string record = shm::encode_family(schema, 0, 0, cells);
    catalog.add(std::as_bytes(std::span(record)));
  };
  shm::Schema schema;
  schema.help = "help";
  schema.type = shm::MetricType::kCounter;
  schema.cell_kind = shm::CellKind::kUnsigned;
  schema.name = "a_total";
  counter = cells.thread_cells;
  add(schema);
  schema.type = shm::MetricType::kHistogram;
  schema.cell_kind = shm::CellKind::kDouble;
  schema.name = "h";
  schema.bounds = {1, 2, 3};
  histogram = cells.thread_cells;
  add(schema);
  catalog.settle();
}

TEST(OneMapping, AReaderSeesWholeObservationsOfARunningWriter) {
  std::uint32_t counter = 0;
  std::uint32_t histogram = 0;
  Catalog catalog{shm::Geometry{}};
  read_directory(catalog, counter, histogram);
  const std::unique_ptr<shm::SharedWord[]> slot(new shm::SharedWord[shm::kGrowthCells]());
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint32_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      shm::observe(slot.get(), histogram, i % 4, 1.0);
      slot[counter].store_relaxed(slot[counter].load_relaxed() + 1);
    }
  });
  const SigbusGuard guard(slot.get(), shm::kGrowthCells * 8);
  Totals totals;
  std::uint64_t last_count = 0;
  int reads = 0, torn = 0, grown = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  // On a busy machine the writer may not run during the first of them.
  for (; (reads < kReads || grown < 10) && std::chrono::steady_clock::now() < end && !HasFailure(); ++reads) {
    totals.reset(catalog.cells().thread_cells, 0);
    const SlotReport report = read_thread_cells({slot.get(), shm::kGrowthCells}, catalog, guard, totals);
    std::uint64_t count = 0;
    for (std::uint32_t bucket = 0; bucket < 4; ++bucket)
      count += totals.cells[histogram + shm::kHistogramBuckets + bucket];
    EXPECT_GE(count, last_count);
    grown += count > last_count ? 1 : 0;
    last_count = count;
    torn += report.torn_reads > 0 ? 1 : 0;
    if (report.torn_reads > 0) continue;
    EXPECT_EQ(std::bit_cast<double>(totals.cells[histogram + shm::kHistogramSum]), static_cast<double>(count));
  }
  stop = true;
  writer.join();
  EXPECT_GE(grown, 10) << "the writer did not run beside the reads";
  EXPECT_LT(torn, reads / 2);
}

TEST(OneMapping, AnObservationInTheMiddleIsCompletedByTheReader) {
  std::uint32_t counter = 0;
  std::uint32_t histogram = 0;
  Catalog catalog{shm::Geometry{}};
  read_directory(catalog, counter, histogram);
  const std::unique_ptr<shm::SharedWord[]> slot(new shm::SharedWord[shm::kGrowthCells]());
  shm::observe(slot.get(), histogram, 0, 1.0);
  auto& prefix = *reinterpret_cast<shm::SlotPrefix*>(slot.get());
  prefix.redo_position.store_relaxed(histogram | std::uint64_t{histogram + shm::kHistogramBuckets + 2} << 32);
  prefix.redo_bucket.store_relaxed(1);
  prefix.redo_sum.store_double_relaxed(3.0);
  slot[histogram].store_relaxed(3);  // as a kill behind the odd word leaves it
  const SigbusGuard guard(slot.get(), shm::kGrowthCells * 8);
  Totals totals;
  totals.reset(catalog.cells().thread_cells, 0);
  EXPECT_EQ(read_thread_cells({slot.get(), shm::kGrowthCells}, catalog, guard, totals).torn_reads, 0u);
  EXPECT_EQ(totals.cells[histogram + shm::kHistogramBuckets + 2], 1u);
  EXPECT_EQ(std::bit_cast<double>(totals.cells[histogram + shm::kHistogramSum]), 3.0);
}

TEST(OneMapping, AReaderSeesWholeExemplarsOfARunningWriter) {
  const std::unique_ptr<shm::SharedWord[]> cells(new shm::SharedWord[shm::kExemplarCells]());
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t n = 1; !stop.load(std::memory_order_relaxed); ++n) {
      std::array<std::uint64_t, shm::kMaxExemplarText / 8> text;
      text.fill(n);
      const std::size_t words = n % text.size() + 1;
      shm::store_exemplar(cells.get(), n, static_cast<double>(n), std::span(text).first(words), words * 8);
    }
  });
  int whole = 0;
  std::uint64_t last = 0, changes = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while ((whole < kReads || changes < 10) && std::chrono::steady_clock::now() < end && !HasFailure()) {
    Exemplar copy;
    if (!copy_exemplar(cells.get(), copy)) continue;
    ++whole;
    changes += copy.unix_ns > last ? 1 : 0;
    EXPECT_GE(copy.unix_ns, last);
    last = copy.unix_ns;
    EXPECT_EQ(copy.value, static_cast<double>(copy.unix_ns));
    ASSERT_EQ(copy.text_bytes, (copy.unix_ns % (shm::kMaxExemplarText / 8) + 1) * 8);
    for (std::uint32_t at = 0; at < copy.text_bytes; at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, copy.text.data() + at, sizeof word);
      EXPECT_EQ(word, copy.unix_ns);
    }
  }
  stop = true;
  writer.join();
  EXPECT_GE(changes, 10u) << "the writer did not run beside the reads";
}

}  // namespace
}  // namespace shmetrics::collector
