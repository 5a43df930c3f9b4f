// This process's worker entry, and behind it its process slot: the gauges and infos of this process.
//
// Claimed when it is first needed. After a failed claim, the next one comes a second later.
//
// Threads: any, but for what says "control lock". Failure: by result. Lifetime: that of its Attachment, so as long as
// the process; a child claims an entry of its own.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "client/control_lock.hpp"
#include "client/directory_mirror.hpp"
#include "client/mapping.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {

class ProcessEntry {
 public:
  /// Both must outlive it.
  ProcessEntry(Mapping& mapping, DirectoryMirror& mirror) : mapping_(mapping), mirror_(mirror) {}

  std::optional<shm::EntryClaim> claimed() const noexcept;
  /// Claimed now, if need be, unless that would have to wait.
  std::optional<shm::EntryClaim> claimed_if_free() noexcept;
  /// Control lock.
  void claim_if_free() noexcept;
  /// Control lock, or in a freshly forked child.
  void claim() noexcept;
  /// Also in a signal handler.
  void release() noexcept;
  /// Takes that back.
  void resume() noexcept;
  /// Marks the entry as one whose owner has updated something, if it is not marked.
  void note_update(shm::EntryClaim claim) noexcept;

  /// The cells of the process slot if `last_cell` is accessible already, else null.
  shm::SharedWord* open_cells(std::uint32_t last_cell) const noexcept {
    return has_cell(last_cell) ? cells_.load(std::memory_order_relaxed) : nullptr;
  }
  /// The cells of the process slot, with `last_cell` accessible. Null: there is none, for the reason in `dropped`.
  shm::SharedWord* cells(std::uint32_t last_cell, shm::Tally& dropped) noexcept {
    shm::SharedWord* const open = open_cells(last_cell);
    return open != nullptr ? open : cells_slowly(last_cell, dropped);
  }
  /// Keeps an info series set to 1: now if there is an entry, and whenever one is claimed. False: it has no room now,
  /// and is set once it has. Control lock. Throws std::bad_alloc.
  bool show_info(std::uint32_t first_cell);

  /// In a forked child: the entry is the parent's.
  void forget_in_child() noexcept;

 private:
  // A list, because a fork at any point must leave the child a whole one.
  struct Info {
    std::uint32_t first_cell;
    const Info* next;
  };
  // The entry first: from then on the limit belongs to it, and only grows.
  bool has_cell(std::uint32_t cell) const noexcept {
    return owner_word_.load(std::memory_order_acquire) != 0 && cell < limit_.load(std::memory_order_acquire);
  }
  shm::SharedWord* cells_slowly(std::uint32_t last_cell, shm::Tally& dropped) noexcept;
  std::optional<shm::EntryClaim> claim_through(const shm::SegmentFile& file) noexcept;
  bool prepare(std::uint32_t worker) noexcept;
  bool grow(std::uint32_t worker, std::uint32_t last_cell) noexcept;
  void close() noexcept;
  void set_infos() noexcept;

  Mapping& mapping_;
  DirectoryMirror& mirror_;
  std::atomic<std::uint64_t> owner_word_{0};      // of the claimed entry; 0 = none
  std::atomic<pid_t> owner_pid_{0};               // of who claimed it; before owner_word_
  std::atomic<shm::SharedWord*> cells_{nullptr};  // of the claimed entry; before limit_
  std::atomic<std::uint32_t> limit_{0};           // release, pairs with the acquire of has_cell()
  std::uint32_t open_ = 0;                        // cells that are accessible; control lock
  std::atomic<bool> has_counted_{false};          // the entry is marked; until then limit_ is 0
  std::atomic<const Info*> infos_{nullptr};
  Breaker entry_breaker_;
  Breaker growth_breaker_;
};

}  // namespace shmetrics::detail
