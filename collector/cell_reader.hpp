// Copies the cells of one slot and adds them to the totals. Part of the snapshot: it sees shared memory, under the
// caller's guard.
//
// Threads: one thread: it moves what the mapped segment remembers of the file. Failure: std::bad_alloc alone. Lifetime:
// mapping and totals must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collector/catalog.hpp"
#include "collector/mapped_segment.hpp"
#include "collector/merge.hpp"
#include "collector/sigbus_guard.hpp"

namespace shmetrics::collector {

inline constexpr int kObservedTries = 16;           // of a consistent copy of one histogram; then a torn one is taken
inline constexpr std::uint32_t kBlockCells = 1024;  // read between two looks at the guard, while in the nearest cache

/// What went wrong in one slot.
struct SlotReport {
  std::uint64_t torn_reads = 0;
  std::uint64_t refused_values = 0;
  std::uint64_t infinite_values = 0;
};

/// The first cells of one slot. Those that lie in a hole of the file are 0, and cost nothing: no memory is taken for
/// them, whatever the slot says that it has.
class SlotCells {
 public:
  /// From byte `offset` of the file on.
  SlotCells(const MappedSegment& mapped, std::uint64_t offset, std::uint32_t count)
      : mapped_(&mapped), offset_(offset), count_(count) {
    if (has(0, count)) whole_ = mapped.words(offset);
  }
  /// All of them are in memory.
  SlotCells(const shm::SharedWord* whole, std::uint32_t count) : whole_(whole), count_(count) {}

  std::uint32_t count() const { return count_; }
  /// Whether the file has memory for all of these.
  bool has(std::uint32_t cell, std::uint32_t cells) const {
    return whole_ != nullptr || mapped_->data_bytes(at(cell), std::uint64_t{cells} * 8) == std::uint64_t{cells} * 8;
  }
  const shm::SharedWord* words(std::uint32_t cell) const {
    return whole_ != nullptr ? whole_ + cell : mapped_->words(at(cell));
  }
  /// These, or a copy of them in `room` where there is a hole among them.
  const shm::SharedWord* backed(std::uint32_t cell, std::uint32_t cells, std::vector<std::uint64_t>& room) const {
    return whole_ != nullptr ? whole_ + cell : mapped_->backed(at(cell), cells, room);
  }
  /// The first series from `cell` on, in steps of `width`, that does not lie in a hole as a whole. From `end` on, there
  /// is none.
  std::uint32_t next(std::uint32_t cell, std::uint32_t end, std::uint32_t width) const {
    if (whole_ != nullptr || cell >= end) return cell;
    return cell + static_cast<std::uint32_t>((mapped_->next_data(at(cell), at(end)) - at(cell)) / 8 / width * width);
  }

 private:
  std::uint64_t at(std::uint32_t cell) const { return offset_ + std::uint64_t{cell} * 8; }

  const shm::SharedWord* whole_ = nullptr;
  const MappedSegment* mapped_ = nullptr;
  std::uint64_t offset_ = 0;
  std::uint32_t count_ = 0;
};

/// Adds the cells of a thread slot, or of the spill slot. Stops at the first damage.
SlotReport read_thread_cells(const SlotCells& slot, const Catalog& catalog, const SigbusGuard& guard, Totals& totals);

/// Keeps the exemplars of a thread slot that are newer than those of the slots before it.
void read_exemplars(const SlotCells& slot, const Catalog& catalog, const SigbusGuard& guard, Totals& totals);

struct GaugeCopy {
  std::uint64_t stamp = 0;  // 0 = not set, or not read
  double value = 0;
};

/// A gauge of a process slot; not set, too, if a claim resets it meanwhile.
GaugeCopy copy_gauge(const shm::SharedWord* cells);

/// Copies the gauges of a process slot. If `and_live` is false, leaves out gauges that count only while a worker lives.
void copy_gauges(const SlotCells& slot, const Catalog& catalog, bool and_live, std::span<GaugeCopy> to);

/// Adds the gauges that copy_gauges() found in the slot of a worker.
void add_gauges(std::span<const GaugeCopy> gauges, const Catalog& catalog, std::uint32_t worker,
                WorkerStanding standing, Totals& totals);

/// Adds what lies in the spill's process cells: least and greatest values of dead workers, and shared values.
void read_gauge_spill(const SlotCells& slot, const Catalog& catalog, Totals& totals);

}  // namespace shmetrics::collector
