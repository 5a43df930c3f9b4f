// A worker's entry in the table, held by two locks that live exactly as long as the process's address space.
//
// Steps and reasons: docs/segment-format.md, "Locks" and "Crash table". One claim a process and segment; the caller
// serialises claims within the process and keeps fork out while one runs.
//
// Threads: claims one at a time, all else any. Failure: by result; nothing throws. Lifetime: a claimed entry until the
// process ends.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>

#include "shm/failpoint.hpp"
#include "shm/lock_byte.hpp"
#include "shm/segment_file.hpp"
#include "shm/segment_view.hpp"

namespace shmetrics::shm {

/// An owner as thread slots name it.
struct EntryClaim {
  std::uint32_t worker = 0;
  std::uint64_t epoch = 0;  // even
  std::uint64_t owner_word() const { return std::uint64_t{worker + 1} << kOwnerEpochBits | epoch; }
  /// The owner in a word, which may hold anything. If it is 0, the slot is free and `worker` is beyond every limit.
  static EntryClaim of(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word >> kOwnerEpochBits) - 1, word & kMostEpoch};
  }
};

/// What the table calls this process from its next claim on. `name` must live as long as the process; null: as the
/// executable is called. Any thread.
void name_program(const char* name) noexcept;

/// A worker entry in the middle of being claimed: this process holds its claim byte, and its epoch is odd, so no reader
/// counts it as live. In between, its claimer makes the process slot behind it ready. Without finish(), or killed in
/// here, it leaves the entry to the next claimer, who begins anew.
///
/// Async-signal-safe, so it also runs in a freshly forked child. Not to be moved: the fork handlers know its place.
class BegunClaim {
 public:
  /// Begins to claim a free entry. False afterwards: all are taken, or the file cannot be opened again, or its locks do
  /// not lock.
  BegunClaim(const SegmentView& view, const SegmentFile& file) noexcept;
  ~BegunClaim();
  BegunClaim(const BegunClaim&) = delete;
  BegunClaim& operator=(const BegunClaim&) = delete;

  explicit operator bool() const noexcept { return page_ != nullptr; }
  std::uint32_t worker() const noexcept { return worker_; }
  /// The process slot is ready. Nothing: somebody else has taken the entry's live byte.
  std::optional<EntryClaim> finish() noexcept;

 private:
  bool begin() noexcept;
  void drop_lock() noexcept;

  const SegmentView view_;
  Descriptor* lender_ = nullptr;  // whose descriptor own_ is, until it is used up
  Descriptor own_;                // carries the locks until they hang on page_ alone
  const InLockWindow window_{own_};
  void* page_ = nullptr;  // null: nothing has begun, or all is done
  std::uint32_t worker_ = 0;
  std::uint64_t odd_ = 0;
};

/// Marks the owner as one that has updated something: from then on it is shown, and its end counts. Any thread.
inline void mark_counted(const SegmentView& view, std::uint32_t worker) noexcept {
  view.worker(worker).counted.store_relaxed(1);
}

/// Marks an orderly end. The locks stay: other threads may still count, and the kernel drops both with the address
/// space.
inline void release_entry(const SegmentView& view, EntryClaim claim) noexcept {
  SHMETRICS_FAILPOINT(release_entry_began);
  view.worker(claim.worker).released.store_release(1);
  SHMETRICS_FAILPOINT(release_entry_said);
}

/// Takes that back, while the owner lives. Any thread.
inline void resume_entry(const SegmentView& view, EntryClaim claim) noexcept {
  view.worker(claim.worker).released.store_release(0);
}

/// Whether any worker but `self` holds an entry of the segment behind `fd`.
bool other_worker_alive(int fd, std::optional<std::uint32_t> self) noexcept;

/// Neighbouring gauges of one family in a process slot, and how a claim treats them.
struct GaugeCells {
  std::uint32_t first_cell = 0;
  std::uint32_t cells = kGaugeCells;
  ClaimAction action = ClaimAction::kZero;
};
/// A gauge's value as one word of the spill, so that no kill leaves half of it. 0 means no value; +0.0 becomes -0.0.
constexpr std::uint64_t spilled(double value) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  return bits == 0 ? std::bit_cast<std::uint64_t>(-0.0) : bits;
}

/// What a new owner does with the gauges that it finds in cells [0, limit) of its process slot: folds them into the
/// spill, leaves them, or lets them start anew. Repeatable: a kill inside leaves it to the next claimer.
void reset_gauges(SharedWord* slot, std::uint32_t limit, SharedWord* spill, std::uint32_t spill_limit,
                  std::span<const GaugeCells> gauges) noexcept;

}  // namespace shmetrics::shm
