// A segment in this process: the mapping, what of it is accessible, and the process's entry. Made once a segment, never
// freed, found again after fork.
//
// The whole file is mapped PROT_NONE; opened with mprotect is what is allocated and this process's business, nothing
// else: a wild write cannot reach another worker's numbers, and no touch can hit a hole. Fork: process_hooks.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <shmetrics/shmetrics.hpp>
#include "client/control_lock.hpp"
#include "client/directory_mirror.hpp"
#include "client/directory_pages.hpp"
#include "shm/segment.hpp"
#include "shm/segment_view.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {

/// Causes of Attachment::say_once beside the tallies of refused declarations, which have their own numbers.
inline constexpr std::uint32_t kNarrowerMode = 30;
inline constexpr std::uint32_t kGaugesDropped = 31;
static_assert(shm::kUsedTallies <= kNarrowerMode);

struct Attachment final : shm::EntryPreparer {
  Attachment(std::uint32_t index, std::string file_path, const shm::OpenedSegment& opened, std::byte* base,
             const Options& options);

  /// Finds or makes the attachment of the options' segment. Control lock held. Throws shm::Error, std::bad_alloc.
  static Attachment& open(const Options& options);
  /// For tests: takes the segment out of this process, as far as that can be. Handles and families do nothing
  /// afterwards; their memory stays, and so do the slots of other threads, which must have ended. No segment of that
  /// path: does nothing.
  static void detach(const std::string& path) noexcept;
  /// The attachment of a handle's registry index; null when there is none.
  static Attachment* at(std::uint32_t index) noexcept {
    return index < kMaxRegistries ? table[index].load(std::memory_order_acquire) : nullptr;
  }
  template <typename Do>
  static void for_each(Do act) {
    for (std::uint32_t index = 0; index < kMaxRegistries; ++index) {
      if (Attachment* attachment = at(index)) act(*attachment);
    }
  }

  /// Steps to the end of the log. Control lock held.
  DirectoryMirror::Refreshed refresh_directory() noexcept;

  /// This process's entry. Claimed at first need: at once or not at all, or within the deadline.
  std::optional<shm::EntryClaim> claimed_entry() const noexcept;
  std::optional<shm::EntryClaim> entry_if_free() noexcept;
  std::optional<shm::EntryClaim> entry(const Deadline& deadline) noexcept;
  /// The same, control lock held.
  void claim_entry_if_free() noexcept;
  /// Claims an entry. Control lock held, or in a freshly forked child.
  void claim_entry() noexcept;
  bool prepare(std::uint32_t worker) noexcept override;
  void release() noexcept;
  /// Marks this process's entry as one that has updated something, if it is not marked. Any thread.
  void note_update(shm::EntryClaim claim) noexcept;
  /// In a forked child: nothing of the parent's is ours. Unless `is_whole`, the parent was in the middle of a
  /// registration, and what it knew of the directory is read again.
  void forget_process(bool is_whole) noexcept;

  /// Keeps an info series set to 1 in this process's entry, now if it has one and whenever it claims one. Control lock
  /// held. Throws shm::Error when there is no room for it now.
  void show_info(std::uint32_t first_cell);

  /// Cells of the process slot, with `last_cell` accessible. Null: a dropped update is counted with its reason.
  shm::SharedWord* gauge_cells(std::uint32_t last_cell) noexcept;
  /// Cells of the spill, with `last_cell` accessible. Null: this process cannot reach that cell, and a dropped update
  /// is counted.
  shm::SharedWord* spill_cells(std::uint32_t last_cell) noexcept;
  /// Opens what has been allocated in the spill. Idempotent, any thread.
  void widen_spill() noexcept;
  /// The same; whether that many cells of either space are open then.
  bool spill_holds(std::uint32_t thread_cells, std::uint32_t process_cells) noexcept;
  void tally(shm::Tally which) noexcept;
  /// Counts an update of a handle without a cell; see dropped_cell().
  void drop(std::uint32_t cell) noexcept { tally(static_cast<shm::Tally>(cell - kDroppedCells)); }

  /// Says a mistake, once a cause: any number below 32.
  void say_once(std::uint32_t cause, const char* line) noexcept;

  /// Marks a claimed thread slot as some thread's of this process. False: it is already. Then somebody wiped the owner
  /// word under that thread, and a second one that came and went would take the memory from under the first.
  bool hold_slot(std::uint32_t slot) noexcept { return !held_slots_[slot].exchange(true, std::memory_order_acq_rel); }
  void let_go_of_slot(std::uint32_t slot) noexcept { held_slots_[slot].store(false, std::memory_order_release); }

  /// For opening the file again; its descriptor is verified to be the segment's still. Any thread.
  shm::SegmentFile file() noexcept;
  /// The same without a system call, and so not verified: for allocate_and_open(), which looks for itself.
  shm::SegmentFile last_file() const noexcept { return {kept_fd_.load(std::memory_order_relaxed), path.c_str(), id}; }

  const std::uint32_t registry;
  const std::string path;
  const shm::FileId id;
  const shm::SegmentView view;
  const std::uint32_t series_per_family;
  DirectoryPages pages;                              // control lock
  DirectoryMirror mirror;                            // control lock
  Breaker memory_breaker;                            // open for a second after a registration found no memory
  std::atomic<const FamilyState*> refused{nullptr};  // families whose declaration was refused, by next_refused

 private:
  static Attachment& attach(const std::string& path, shm::OpenedSegment& opened, const Options& options);
  static std::uint32_t free_index();
  template <typename Fits>
  static Attachment* find(Fits fits) {
    Attachment* found = nullptr;
    for_each([&](Attachment& attachment) {
      if (fits(attachment)) found = &attachment;
    });
    return found;
  }
  // A list, because a fork at any point must leave the child a whole one.
  struct Info {
    std::uint32_t first_cell;
    const Info* next;
  };
  shm::Descriptor take_spare() noexcept;
  void set_infos() noexcept;
  void set_info(std::uint32_t first_cell) noexcept;
  void close_process_slot() noexcept;
  bool grow_process_slot(std::uint32_t worker, std::uint32_t last_cell) noexcept;

  static std::atomic<Attachment*> table[kMaxRegistries];
  static Attachment* last_detached;  // kept for families that outlive it; control lock

  std::atomic<int> kept_fd_;
  int spare_fd_ = -1;                                     // for a claim after privileges are dropped; control lock
  std::atomic<std::uint64_t> owner_word_{0};              // of the claimed entry; 0 = none
  std::atomic<shm::SharedWord*> process_cells_{nullptr};  // of the claimed entry; before process_limit_
  std::atomic<std::uint32_t> process_limit_{0};           // release, pairs with gauge_cells' acquire
  std::atomic<std::uint32_t> spill_limit_{0};
  std::atomic<std::uint32_t> gauge_spill_limit_{0};
  std::uint32_t process_open_ = 0;        // cells of the process slot that are accessible; control lock
  std::atomic<bool> has_counted_{false};  // the entry is marked; until then process_limit_ is 0
  std::atomic<const Info*> infos_{nullptr};
  const std::unique_ptr<std::atomic<bool>[]> held_slots_;  // one a thread slot of the segment
  const bool is_quiet_;
  void (*const on_error_)(const char* line);
  std::atomic<std::uint32_t> said_{0};  // bits by cause
  bool is_detached_ = false;
  Attachment* next_detached_ = nullptr;
  Breaker entry_breaker_;
  Breaker growth_breaker_;
};

}  // namespace shmetrics::detail
