// A thread's slot: claim one, grow it, observe in it, and finish what its dead owner began.
//
// A slot is written by the thread that owns it and by nobody else; the compare-and-swap on the owner word decides.
// Steps and reasons: docs/segment-format.md, "Who may write" and "Crash table".
//
// Threads: as each function says; observe() by the slot's owner alone. Failure: by result; nothing throws. Lifetime:
// the mapping must outlive the call.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "shm/failpoint.hpp"
#include "shm/segment_view.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::shm {

/// Takes a slot that has no living owner, released and dead ones before virgin ones. Nothing: all owners live. `file`
/// is for asking who is alive; without a descriptor only moved epochs and empty owner words show that an owner is gone.
/// Lock-free, bounded by slots + workers.
std::optional<std::uint32_t> claim_thread_slot(const SegmentView& view, EntryClaim self,
                                               const SegmentFile& file) noexcept;

/// Completes the observation that the former owner was killed in. Cells [0, limit) must be accessible. Repeatable.
void complete_redo(SharedWord* cells, std::uint32_t limit) noexcept;

/// Cells as the memory that they are.
inline std::byte* bytes_of(SharedWord* cells) noexcept {
  return reinterpret_cast<std::byte*>(cells);
}

/// Takes memory for [from, to), whole pages of a writable mapping that begin at `offset` of the file. False: no room,
/// where a touch would be SIGBUS. `file` is for kernels before 5.14 alone.
bool take_memory(std::byte* from, std::byte* to, std::uint64_t offset, const SegmentFile& file) noexcept;
/// Makes [from, to) of the mapping writable, and its memory allocated. False: no room; then the range may or may not be
/// accessible.
bool allocate_and_open(std::byte* from, std::byte* to, const SegmentView& view, const SegmentFile& file) noexcept;
/// The same, but when there is no room the range is inaccessible afterwards.
bool make_accessible(std::byte* from, std::byte* to, const SegmentView& view, const SegmentFile& file) noexcept;
/// Takes the access away again; the memory stays.
void make_inaccessible(std::byte* from, std::byte* to) noexcept;

/// Cells in whole growth steps, so that `last_cell` is among them; 0 when the geometry has no such cell.
constexpr std::uint32_t cells_to_hold(std::uint32_t last_cell, const Geometry& geometry) {
  if (last_cell >= geometry.cells) return 0;
  return (last_cell / kGrowthCells + 1) * kGrowthCells;
}

/// Cells that have memory according to a shared word, in whole growth steps. Any process can write that word, so a
/// caller that needs the memory asks for it again.
inline std::uint32_t cells_said(const SharedWord& cells_allocated, const Geometry& geometry) {
  const auto cells =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(cells_allocated.load_acquire(), geometry.cells));
  return cells == 0 ? 0 : cells_to_hold(cells - 1, geometry);
}

/// Adds one observation to a histogram (or summary) in the caller's own slot: all of it or nothing, also under SIGKILL.
/// `bucket` counts from the histogram's first bucket.
inline void observe(SharedWord* cells, std::uint32_t first_cell, std::uint32_t bucket, double value) noexcept {
  const std::uint32_t bucket_cell = first_cell + kHistogramBuckets + bucket;
  SlotPrefix& prefix = *reinterpret_cast<SlotPrefix*>(cells);
  SharedWord& sequence = cells[first_cell + kHistogramSequence];
  SharedWord& sum = cells[first_cell + kHistogramSum];

  const std::uint64_t odd = (sequence.load_relaxed() + 1) | 1;  // | 1 heals a stray odd word
  const std::uint64_t new_bucket = cells[bucket_cell].load_relaxed() + 1;
  const double new_sum = sum.load_double_relaxed() + value;
  // Release: a reader that sees a word of this record also sees that the previous observation is over. The release
  // store of the even sequence does not ensure that: on arm64 later stores may overtake it. Then a reader could find
  // the odd word of the previous observation on both sides of its copy, and lay this record over that copy. The partner
  // is the acquire fence of copy_observed() in collector/cell_reader.cpp.
  std::atomic_thread_fence(std::memory_order_release);
  prefix.redo_position.store_relaxed(first_cell | std::uint64_t{bucket_cell} << 32);
  SHMETRICS_FAILPOINT(observe_position_stored);
  prefix.redo_bucket.store_relaxed(new_bucket);
  SHMETRICS_FAILPOINT(observe_redo_bucket_stored);
  prefix.redo_sum.store_double_relaxed(new_sum);
  SHMETRICS_FAILPOINT(observe_redo_sum_stored);
  sequence.store_release(odd);  // the record is complete before anyone may use it
  // Release: a reader that sees a new cell also sees the odd word before it, and so knows of the record.
  std::atomic_thread_fence(std::memory_order_release);
  SHMETRICS_FAILPOINT(observe_sequence_odd);
  cells[bucket_cell].store_relaxed(new_bucket);
  SHMETRICS_FAILPOINT(observe_bucket_stored);
  sum.store_double_relaxed(new_sum);
  SHMETRICS_FAILPOINT(observe_sum_stored);
  sequence.store_release(odd + 1);
  SHMETRICS_FAILPOINT(observe_sequence_even);
}

/// The same in the spill, where many write: no sequence word, so a kill between the two leaves a bucket without its
/// sum.
inline void observe_shared(SharedWord* cells, std::uint32_t first_cell, std::uint32_t bucket, double value) noexcept {
  cells[first_cell + kHistogramBuckets + bucket].add_relaxed(1);
  SHMETRICS_FAILPOINT(observe_spill_bucket_added);
  cells[first_cell + kHistogramSum].add_double_relaxed(value);
  SHMETRICS_FAILPOINT(observe_spill_sum_added);
}

}  // namespace shmetrics::shm
