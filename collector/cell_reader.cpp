#include "collector/cell_reader.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <vector>

namespace shmetrics::collector {
namespace {

using shm::SharedWord;

static_assert(shm::kMaxSeriesCells <= kBlockCells && shm::kHistogramBuckets + shm::kMaxBounds < shm::kMaxSeriesCells);

// Longer each time: a writer in a tight loop leaves gaps of a nanosecond, and a reader in step with it never hits one.
void pause_cpu(int attempt) {
  constexpr int kLongest = 7;  // 2^7 pauses are some microseconds
  for (int i = 0; i < 1 << std::min(attempt, kLongest); ++i) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
}

bool is_of_living(const GaugePlace& gauge) {
  return gauge.generation > 0 || shm::is_live_mode(gauge.shown_mode);
}

void copy_words(const SharedWord* from, std::span<std::uint64_t> to) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i].load_relaxed();
}

// The redo record, if it is this series': its writer was stopped, or killed, between two states.
void overlay_redo(const shm::SlotPrefix& redo, std::uint32_t first_cell, std::span<std::uint64_t> copy) {
  const std::uint64_t position = redo.redo_position.load_relaxed();
  const std::uint64_t bucket = redo.redo_bucket.load_relaxed();
  const std::uint64_t sum = redo.redo_sum.load_relaxed();
  const std::uint64_t bucket_cell = position >> 32;
  if ((position & UINT32_MAX) != first_cell) return;
  if (bucket_cell < first_cell + shm::kHistogramBuckets || bucket_cell >= first_cell + copy.size()) return;
  copy[bucket_cell - first_cell] = bucket;
  copy[shm::kHistogramSum] = sum;
}

// False: torn. Acquire pairs with the writer's release of the sequence; the fence keeps the copy before the second
// look. `redo` is the slot's record, or null when it lies in a hole.
bool copy_observed(const SharedWord* series, const shm::SlotPrefix* redo, std::uint32_t first_cell,
                   std::span<std::uint64_t> copy) {
  const SharedWord& sequence = series[shm::kHistogramSequence];
  for (int attempt = 0; attempt < kObservedTries; ++attempt) {
    const std::uint64_t before = sequence.load_acquire();
    copy_words(series + 1, copy.subspan(1));
    if (before % 2 == 1 && redo != nullptr) overlay_redo(*redo, first_cell, copy);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (sequence.load_relaxed() == before) return true;
    pause_cpu(attempt);
  }
  // Never an overlay here: record and cells would be of different moments, and buckets would go backwards.
  std::atomic_thread_fence(std::memory_order_acquire);
  copy_words(series + 1, copy.subspan(1));
  return false;
}

class SlotReader {
 public:
  SlotReader(const SlotCells& slot, const SigbusGuard& guard, Totals& totals)
      : slot_(slot), guard_(guard), totals_(totals) {
    if (slot.has(0, shm::kPrefixCells)) redo_ = reinterpret_cast<const shm::SlotPrefix*>(slot.words(0));
  }

  void add(const Run& run) {
    const std::uint32_t cells = std::min(run.cells, slot_.count() - run.first_cell) / run.width * run.width;
    const std::uint32_t end = run.first_cell + cells, block = kBlockCells / run.width * run.width;
    for (std::uint32_t cell = run.first_cell; !guard_.is_damaged();) {
      cell = slot_.next(cell, end, run.width);
      if (cell >= end) return;
      const std::uint32_t count = std::min(block, end - cell);
      add_block(run, cell, slot_.backed(cell, count, room_),
                std::span(totals_.cells).subspan(run.total + cell - run.first_cell, count));
      cell += count;
    }
  }
  const SlotReport& report() const { return report_; }

 private:
  void add_block(const Run& run, std::uint32_t first_cell, const SharedWord* from, std::span<std::uint64_t> column) {
    if (run.kind == ColumnKind::kObserved) return add_observed(run.width, first_cell, from, column);
    if (run.kind == ColumnKind::kUnsigned) {
      // Read and added in one pass: a copy first, to add with wider registers, cost a quarter more at 64 slots.
      for (std::size_t i = 0; i < column.size(); ++i) column[i] = accumulate(column[i], from[i].load_relaxed());
      return;
    }
    std::array<std::uint64_t, kBlockCells> copied;
    const std::span<std::uint64_t> copy = std::span(copied).first(column.size());
    copy_words(from, copy);
    const AddedDoubles added = add_doubles(column, copy);
    report_.refused_values += added.refused;
    report_.infinite_values += added.infinite;
  }

  void add_observed(std::uint32_t width, std::uint32_t first_cell, const SharedWord* from,
                    std::span<std::uint64_t> column) {
    std::array<std::uint64_t, shm::kMaxSeriesCells> copied;
    const std::span<std::uint64_t> copy = std::span(copied).first(width);
    for (std::uint32_t at = 0; at < column.size(); at += width) {
      if (!copy_observed(from + at, redo_, first_cell + at, copy)) ++report_.torn_reads;
      if (guard_.is_damaged()) return;
      add_observations(column.subspan(at, width), copy);
    }
  }

  const SlotCells& slot_;
  const SigbusGuard& guard_;
  Totals& totals_;
  SlotReport report_;
  const shm::SlotPrefix* redo_ = nullptr;
  std::vector<std::uint64_t> room_;  // for a block with a hole
};

/// Null when the slot has not grown so far, or has a hole there.
const SharedWord* gauge_cells(const SlotCells& slot, const GaugePlace& gauge) {
  const bool has_cells =
      gauge.first_cell + shm::kGaugeCells <= slot.count() && slot.has(gauge.first_cell, shm::kGaugeCells);
  return has_cells ? slot.words(gauge.first_cell) : nullptr;
}

}  // namespace

SlotReport read_thread_cells(const SlotCells& slot, const Catalog& catalog, const SigbusGuard& guard, Totals& totals) {
  SlotReader reader(slot, guard, totals);
  for (const Run& run : catalog.runs()) {
    if (run.first_cell >= slot.count() || guard.is_damaged()) break;
    reader.add(run);
  }
  return reader.report();
}

void read_exemplars(const SlotCells& slot, const Catalog& catalog, const SigbusGuard& guard, Totals& totals) {
  if (catalog.exemplars().empty()) return;
  const std::uint64_t latest = latest_exemplar_unix_ns();
  for (const ExemplarRun& run : catalog.exemplars()) {
    for (std::uint32_t i = 0; i < run.count; ++i) {
      const std::uint32_t cell = run.first_cell + i * shm::kExemplarCells;
      if (cell + shm::kExemplarCells > slot.count() || guard.is_damaged()) return;
      Exemplar copy;
      if (!slot.has(cell, shm::kExemplarCells) || !copy_exemplar(slot.words(cell), copy)) continue;
      if (copy.unix_ns > latest) continue;
      if (const auto place = exemplar_place(*run.family, copy.value)) {
        keep_newest(copy, totals.cells[run.total + *place], totals.exemplars);
      }
    }
  }
}

GaugeCopy copy_gauge(const SharedWord* cells) {
  GaugeCopy copy{cells[shm::kGaugeStamp].load_acquire(), 0};  // pairs with the release after the value
  if (copy.stamp == 0) return {};
  copy.value = cells[shm::kGaugeValue].load_double_relaxed();
  // A claim may have reset it in between: stamp first, then value.
  std::atomic_thread_fence(std::memory_order_acquire);
  return cells[shm::kGaugeStamp].load_relaxed() == 0 ? GaugeCopy{} : copy;
}

void copy_gauges(const SlotCells& slot, const Catalog& catalog, bool and_live, std::span<GaugeCopy> to) {
  const auto& gauges = catalog.gauges();
  for (std::size_t i = 0; i < gauges.size(); ++i) {
    to[i] = {};
    if (!and_live && is_of_living(gauges[i])) continue;
    if (const SharedWord* cells = gauge_cells(slot, gauges[i])) to[i] = copy_gauge(cells);
  }
}

void add_gauges(std::span<const GaugeCopy> gauges, const Catalog& catalog, std::uint32_t worker,
                WorkerStanding standing, Totals& totals) {
  for (std::size_t i = 0; i < gauges.size(); ++i) {
    const GaugePlace& gauge = catalog.gauges()[i];
    // Of an older generation the living alone count, as in a mode of the living; beside a shared value, nobody.
    const bool is_older = gauge.generation > 0 && gauge.shown_mode != shm::GaugeMode::kShared;
    const shm::GaugeMode taken_as = is_older ? shm::GaugeMode::kLivesum : gauge.shown_mode;
    if (gauges[i].stamp == 0 || !takes(taken_as, standing)) continue;
    if (is_per_worker(gauge.shown_mode)) {
      totals.per_worker.push_back({gauge.total, worker, gauges[i].value, gauge.generation});
    } else {
      add_gauge(totals.gauges[gauge.total], gauge.shown_mode, gauges[i].stamp, gauges[i].value);
    }
  }
}

void read_gauge_spill(const SlotCells& slot, const Catalog& catalog, Totals& totals) {
  const auto& gauges = catalog.gauges();
  for (std::size_t i = 0; i < gauges.size(); ++i) {
    if (!is_in_spill(gauges[i].mode) || gauges[i].generation > 0) continue;
    const SharedWord* cells = gauge_cells(slot, gauges[i]);
    if (cells == nullptr) continue;
    const std::uint64_t bits = cells[shm::kGaugeValue].load_relaxed();
    // Zero bits are "nothing there"; a 0 is stored as -0, which adding 0 turns back.
    if (bits != 0) add_gauge(totals.gauges[gauges[i].total], gauges[i].mode, 1, std::bit_cast<double>(bits) + 0.0);
  }
}

}  // namespace shmetrics::collector
