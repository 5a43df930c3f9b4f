// A segment's file in this process: all of it mapped, a descriptor or two, and what of the spill is open.
//
// The whole file is mapped PROT_NONE. Opened with mprotect is what is allocated and this process's business, nothing
// else: a wild write cannot reach another worker's numbers, and no touch can hit a hole.
//
// Threads: any, but for what says "control lock". Failure: the constructor throws, all else by result. Lifetime: that
// of its Attachment, so as long as the process.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "shm/directory.hpp"
#include "shm/segment.hpp"
#include "shm/segment_view.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {

class Mapping {
 public:
  /// Maps the file and opens its fixed part; takes the descriptor over. Throws shm::Error, std::bad_alloc.
  Mapping(const std::string& path, shm::OpenedSegment&& opened);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  const std::string path;
  const shm::FileId id;
  const shm::SegmentView view;

  /// For opening the file again; its descriptor is verified to be the segment's still.
  shm::SegmentFile file() noexcept;
  /// The same without a system call, and so not verified: for allocate_and_open(), which looks for itself.
  shm::SegmentFile last_file() const noexcept { return {kept_fd_.load(std::memory_order_relaxed), path.c_str(), id}; }
  /// A second descriptor, for a claim after the process dropped its privileges; empty when there is none. Control lock.
  shm::Descriptor take_spare() noexcept;
  void keep_spare(shm::Descriptor spare) noexcept { spare_fd_ = spare.release(); }

  /// Cells of the spill, with `last_cell` accessible. Null: this process cannot reach that cell, and a dropped update
  /// is counted.
  shm::SharedWord* spill_cells(std::uint32_t last_cell) noexcept;
  /// Process cells of the spill, likewise.
  shm::SharedWord* shared_gauge_cells(std::uint32_t last_cell) noexcept {
    return last_cell < spill_[1].limit.load(std::memory_order_acquire) ? spill_[1].cells
                                                                       : widened(spill_[1], last_cell);
  }
  /// The spill's process cells; behind `limit` they are not accessible.
  shm::SharedWord* gauge_spill_cells(std::uint32_t& limit) noexcept;
  /// Takes memory for the spill up to these cells of either space. False: there is none. Control lock.
  bool grow_spill(const shm::CellCursor& ends) noexcept;
  void tally(shm::Tally which) noexcept;

  /// Marks a claimed thread slot as used by a thread of this process. False: another thread here already uses it,
  /// because its owner word was overwritten. Then do not use it: at its end, one of the two would close the memory that
  /// the other writes to.
  bool hold_slot(std::uint32_t slot) noexcept { return !held_slots_[slot].exchange(true, std::memory_order_acq_rel); }
  void let_go_of_slot(std::uint32_t slot) noexcept { held_slots_[slot].store(false, std::memory_order_release); }

  /// In a forked child: nothing of the parent's is ours.
  void forget_in_child() noexcept;

 private:
  // One for thread cells, one for process cells.
  struct SpillPart {
    const std::uint32_t slot;
    shm::SharedWord* const cells;
    std::atomic<std::uint32_t> limit{0};
  };
  using HeldSlots = std::unique_ptr<std::atomic<bool>[]>;  // one a thread slot of the segment
  Mapping(const std::string& path, const shm::OpenedSegment& opened, HeldSlots none_held);
  void widen_spill() noexcept;
  shm::SharedWord* widened(const SpillPart& part, std::uint32_t last_cell) noexcept;
  bool spill_holds(const shm::CellCursor& ends) noexcept;
  bool allocate(const SpillPart& part, std::uint32_t from, std::uint32_t to) noexcept;

  std::atomic<int> kept_fd_{-1};
  int spare_fd_ = -1;
  std::array<SpillPart, 2> spill_;
  const HeldSlots held_slots_;
};

}  // namespace shmetrics::detail
