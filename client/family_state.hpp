// A family in this process: what handles and families of the public API point to.
//
// Threads: any, for what is constant once it is made; else as each field says. Failure: std::bad_alloc alone. Lifetime:
// as long as the process, also in static storage.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <shmetrics/shmetrics.hpp>
#include "client/control_lock.hpp"
#include "shm/naming.hpp"
#include "shm/native_window.hpp"

namespace shmetrics::detail {

inline constexpr std::uint32_t kNoEntry = 0xffffffff;

/// Constant once it is made, except the atomics and the fields under the control lock.
struct FamilyState {
  Attachment* attachment = nullptr;
  std::uint32_t entry = kNoEntry;  // its identity in the segment; kNoEntry: its declaration was refused
  std::uint32_t registry = 0;      // its handles'; of a shared gauge kMaxRegistries more, where no update finds a slot
  std::uint32_t first_cell = 0;    // of the only or the overflow series; of a refused family, dropped_cell()
  std::uint32_t overflow_tally = 0;
  std::uint32_t series_limit = 0;
  shm::Schema schema;                            // its views are of `texts`
  std::uint32_t bound_count = 0;                 // of its buckets, +Inf not among them
  std::uint32_t compared_bounds = 0;             // so many of `bounds` are compared with a value; none if it is native
  std::array<double, shm::kMaxBounds> bounds{};  // of these; +Inf behind the last
  shm::NativeWindow window;                      // if it is native
  std::int32_t native_steps = 0;                 // from the finest schema to that of the window
  std::uint32_t series_cells = 0;
  std::uint32_t exemplar_cell = 0;  // of the first exemplar of each series, from the series' first cell on; 0 = none
  std::vector<std::string> texts;
  mutable std::atomic<std::uint32_t> series_count{0};
  mutable bool declared_here = false;          // by this process or one that it was forked from; control lock
  mutable std::atomic<bool> has_ended{false};  // another type has taken the name

  // Of a family whose declaration was refused.
  bool may_heal = false;                                    // not for good: with() declares it again, once a second
  mutable std::atomic<const FamilyState*> healed{nullptr};  // the family, once it could be declared
  mutable Breaker retry;
  const FamilyState* next_refused = nullptr;

  /// `given` must have been checked by shm::refusal(), or be as it stands in a record. Once.
  void describe(const shm::Schema& given);
  bool is_declared() const { return entry != kNoEntry; }
  bool in_process_slots() const { return shm::in_process_slots(schema.type); }
};

/// The cell of a handle whose updates only count in a tally.
constexpr std::uint32_t dropped_cell(shm::Tally tally) {
  return kDroppedCells | static_cast<std::uint32_t>(tally);
}
constexpr bool is_dropped(std::uint32_t cell) {
  return cell >= kDroppedCells;
}

}  // namespace shmetrics::detail
