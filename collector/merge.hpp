// Columns -> values: merges the same cell of many slots. Pure: private copies in, totals out;
// docs/merge-rules.md says the same in words.
//
// Threads: any, on totals of its own. Failure: none. Lifetime: values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collector/exemplar.hpp"
#include "shm/layout.hpp"

namespace shmetrics::collector {

/// The sum of two counts. It stops at 2^64 - 1 and does not wrap, because an exposed value must not go down.
constexpr std::uint64_t accumulate(std::uint64_t below, std::uint64_t more) {
  return below > UINT64_MAX - more ? UINT64_MAX : below + more;
}

/// The same for float counters, whose largest is the largest double.
double accumulate_double(double below, double more);

/// How many values no writer leaves (negative, NaN); these add nothing. And how many are beyond the largest double.
struct AddedDoubles {
  std::uint64_t refused = 0;
  std::uint64_t infinite = 0;
};
/// Float counters, cells and totals as bits of doubles. Called in slot order, so that the same numbers are always
/// rounded in the same way.
AddedDoubles add_doubles(std::span<std::uint64_t> totals, std::span<const std::uint64_t> values);

/// One histogram or summary, all of its cells: sums as doubles, buckets as counters; the sequence word is left alone.
void add_observations(std::span<std::uint64_t> totals, std::span<const std::uint64_t> values);

/// The state of the worker whose gauges were copied.
struct WorkerStanding {
  bool is_settled = false;  // its epoch was even, and the same before and after the copy
  bool is_live = false;     // and its owner was alive
  bool has_moved = false;   // its epoch was another after the copy
};

/// Whether the mode takes values of such a worker.
bool takes(shm::GaugeMode mode, WorkerStanding worker);

struct GaugeTotal {
  double value = 0;
  std::uint64_t stamp = 0;  // of the value, for the most recent
  bool is_seen = false;     // somebody contributed
};

/// Adds one contribution. `all` and `liveall` do not add up: their contributions are kept as WorkerValue.
void add_gauge(GaugeTotal& total, shm::GaugeMode mode, std::uint64_t stamp, double value);

constexpr bool is_per_worker(shm::GaugeMode mode) {
  return mode == shm::GaugeMode::kAll || mode == shm::GaugeMode::kLiveall;
}
/// Whether values lie in the spill: of min and max those that dead workers left.
constexpr bool is_in_spill(shm::GaugeMode mode) {
  return mode == shm::GaugeMode::kMin || mode == shm::GaugeMode::kMax || mode == shm::GaugeMode::kShared;
}
/// Whether a series without a contribution shows 0; in all other modes it is left out.
constexpr bool shows_zero(shm::GaugeMode mode) {
  return mode == shm::GaugeMode::kSum || mode == shm::GaugeMode::kLivesum;
}

struct WorkerValue {
  std::uint32_t gauge = 0;
  std::uint32_t worker = 0;
  double value = 0;
  std::uint32_t generation = 0;  // as GaugePlace has it
};

/// All that a scrape adds up.
struct Totals {
  std::vector<std::uint64_t> cells;     // of the runs, then those of the sums of generations; u64, bits of a double, or
                                        // numbers of exemplars, counted from 1
  std::vector<Exemplar> exemplars;      // the newest of all slots of each place
  std::vector<GaugeTotal> gauges;       // by gauge, in the catalog's numbering
  std::vector<WorkerValue> per_worker;  // by gauge, then worker

  /// Zero for everything.
  void reset(std::size_t cell_count, std::size_t gauge_count);
  /// Those of one gauge. Valid after sort_per_worker().
  std::span<const WorkerValue> workers_of(std::uint32_t gauge) const;
  /// Of several generations' values of one gauge and worker the newest stays.
  void sort_per_worker();
};

}  // namespace shmetrics::collector
