// A segment in this process: the mapping, what of it is accessible, and the process's entry. Made once a segment, never
// freed, found again after fork.
//
// The whole file is mapped PROT_NONE; opened with mprotect is what is allocated and this process's business, nothing
// else: a wild write cannot reach another worker's numbers, and no touch can hit a hole. Fork: the atfork handlers of
// attachment.cpp.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <shmetrics/shmetrics.hpp>
#include "client/control_lock.hpp"
#include "client/directory_mirror.hpp"
#include "shm/segment.hpp"
#include "shm/segment_view.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {

using Clock = std::chrono::steady_clock;
inline constexpr auto kDeclareWait = std::chrono::milliseconds(100);
inline constexpr auto kUpdateWait = std::chrono::milliseconds(1);
inline constexpr auto kBreakerPause = std::chrono::seconds(1);

/// A moment before which something is not tried again.
class Breaker {
 public:
  bool is_open() const noexcept {
    return Clock::now().time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }
  void open() noexcept {
    until_.store((Clock::now() + kBreakerPause).time_since_epoch().count(), std::memory_order_relaxed);
  }
  void close() noexcept { until_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<Clock::rep> until_{0};
};

struct Attachment final : shm::EntryPreparer {
  Attachment(std::uint32_t index, std::string file_path, const shm::OpenedSegment& opened, std::byte* base,
             std::uint32_t limit);

  /// Finds or makes the attachment of the options' segment. Control lock held. Throws shm::Error, std::bad_alloc.
  static Attachment& open(const Options& options);
  /// For tests: takes the segment out of this process, as far as that can be. Handles and families do nothing
  /// afterwards; their memory stays, and so do the slots of other threads, which must have ended. No segment of that
  /// path: does nothing.
  static void detach(const std::string& path) noexcept;
  /// The attachment of a handle's registry index; null when there is none.
  static Attachment* at(std::uint32_t registry) noexcept;

  /// Makes what is committed readable and parses it. Control lock held. False: damaged, or no memory.
  bool refresh_directory() noexcept;

  /// This process's entry, claimed at first need. Waits at most `patience` for the control lock.
  std::optional<shm::EntryClaim> entry(std::chrono::milliseconds patience) noexcept;
  /// Claims an entry. Control lock held, or in a freshly forked child.
  void claim_entry() noexcept;
  void prepare(std::uint32_t worker) noexcept override;

  /// Keeps an info series set to 1 in this process's entry, now if it has one and whenever it claims one. Control lock
  /// held.
  void show_info(std::uint32_t first_cell);

  /// Cells of the process slot, with `last_cell` accessible; null: no entry or no room.
  shm::SharedWord* gauge_cells(std::uint32_t last_cell) noexcept;
  /// Cells of the spill, with `last_cell` accessible; null: no such cell is allocated.
  shm::SharedWord* spill_cells(std::uint32_t last_cell) noexcept;
  /// Opens what other processes have allocated in the spill. Idempotent, any thread.
  void widen_spill() noexcept;
  void tally(shm::Tally which) noexcept;

  /// For opening the file again; its descriptor is verified to be the segment's still. Any thread.
  shm::SegmentFile file() noexcept;
  /// In a forked child: nothing of the parent's is ours. Unless `whole`, the parent was in the middle of a
  /// registration: then this process registers nothing more and claims nothing; what it knows goes on by the spill.
  void forget_process(bool whole) noexcept;

  const std::uint32_t registry;
  const std::string path;
  const shm::FileId id;
  const shm::SegmentView view;
  const std::uint32_t series_per_family;
  DirectoryMirror mirror;  // control lock
  Breaker directory_breaker;

 private:
  bool broken_ = false;  // forked in the middle of a registration
  void set_info(std::uint32_t first_cell) noexcept;
  bool grow_process_slot(std::uint32_t worker, std::uint32_t last_cell) noexcept;

  std::atomic<int> kept_fd_;
  std::atomic<std::uint64_t> owner_word_{0};              // of the claimed entry; 0 = none
  std::atomic<shm::SharedWord*> process_cells_{nullptr};  // of the claimed entry; before process_limit_
  std::atomic<std::uint32_t> process_limit_{0};           // release, pairs with gauge_cells' acquire
  std::atomic<std::uint32_t> spill_limit_{0};
  std::atomic<std::uint32_t> gauge_spill_limit_{0};
  std::uint64_t readable_directory_ = 0;  // control lock
  std::vector<std::uint32_t> infos_;      // first cells; control lock
  Breaker entry_breaker_;
  Breaker growth_breaker_;
};

}  // namespace shmetrics::detail
