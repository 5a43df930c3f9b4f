// Copies the cells of one slot and adds them to the totals. Part of the snapshot: it sees shared memory, under the
// caller's guard.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collector/catalog.hpp"
#include "collector/merge.hpp"
#include "collector/sigbus_guard.hpp"
#include "shm/shared_word.hpp"

namespace shmetrics::collector {

inline constexpr int kObservedTries = 16;         // of a consistent copy of one histogram; then a torn one is taken
inline constexpr std::size_t kBlockCells = 1024;  // read between two looks at the guard, while in the nearest cache

/// What went wrong in one slot.
struct SlotReport {
  std::uint64_t torn_reads = 0;
  std::uint64_t refused_values = 0;
};

/// Adds the first `limit` cells of a thread slot, or of the spill slot. Stops at the first damage.
SlotReport read_thread_cells(const shm::SharedWord* slot, std::uint32_t limit, const Catalog& catalog,
                             const SigbusGuard& guard, Totals& totals);

struct GaugeCopy {
  std::uint64_t stamp = 0;  // 0 = not set, or not read
  double value = 0;
};

/// A gauge of a process slot; not set, too, if a claim resets it meanwhile.
GaugeCopy copy_gauge(const shm::SharedWord* cells);

/// Copies the gauges within the first `limit` cells of a process slot. If `and_live` is false, gauges of live modes are
/// left out.
void copy_gauges(const shm::SharedWord* slot, std::uint32_t limit, const Catalog& catalog, bool and_live,
                 std::span<GaugeCopy> to);

/// Adds the gauges that copy_gauges() found in the slot of a worker.
void add_gauges(std::span<const GaugeCopy> gauges, const Catalog& catalog, std::uint32_t worker,
                WorkerStanding standing, Totals& totals);

/// Adds the spill's process cells: the least and greatest values of dead workers.
void read_gauge_spill(const shm::SharedWord* slot, std::uint32_t limit, const Catalog& catalog, Totals& totals);

}  // namespace shmetrics::collector
