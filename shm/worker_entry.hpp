// A worker's entry in the table, held by two locks that live exactly as long as the process's address space.
//
// Steps and reasons: docs/segment-format.md, "Claiming an entry". One claim a process and segment; the caller
// serialises claims within the process and keeps fork out while one runs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "shm/failpoint.hpp"
#include "shm/segment.hpp"
#include "shm/segment_view.hpp"

namespace shmetrics::shm {

/// An owner as thread slots name it.
struct EntryClaim {
  std::uint32_t worker = 0;
  std::uint64_t epoch = 0;  // even
  std::uint64_t owner_word() const { return std::uint64_t{worker + 1} << kOwnerEpochBits | epoch; }
};

/// The mapping's file, as needed to open it again.
struct SegmentFile {
  int kept_fd = -1;  // never carries a lock
  const char* path = nullptr;
  FileId id;
  Descriptor* spare = nullptr;  // of the same file, never locked: used up by a claim that cannot open it again
};

/// What a claim needs from its process between the two locks. Called with the entry odd, hence seen by nobody.
class EntryPreparer {
 public:
  /// Makes the process slot writable and resets its gauges, all of them. False: it cannot, and the claim is given up.
  virtual bool prepare(std::uint32_t worker) noexcept = 0;

 protected:
  ~EntryPreparer() = default;
};

/// Claims a free entry. Nothing: all are taken, or the file cannot be opened again, or its locks do not lock.
/// Async-signal-safe but for what `preparer` does, so it also runs in a freshly forked child.
std::optional<EntryClaim> claim_entry(const SegmentView& view, const SegmentFile& file,
                                      EntryPreparer& preparer) noexcept;

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

/// Whether any worker but `self` holds an entry of the segment behind `fd`.
bool other_worker_alive(int fd, std::optional<std::uint32_t> self) noexcept;

/// Neighbouring gauges of one family in a process slot, and what a claim does with them.
struct GaugeCells {
  std::uint32_t first_cell = 0;
  std::uint32_t cells = kGaugeCells;
  ClaimAction action = ClaimAction::kZero;
};
/// What a new owner does with the gauges that it finds in cells [0, limit) of its process slot: folds them into the
/// spill, leaves them, or lets them start anew. Repeatable: a kill inside leaves it to the next claimer.
void reset_gauges(SharedWord* slot, std::uint32_t limit, SharedWord* spill, std::uint32_t spill_limit,
                  std::span<const GaugeCells> gauges) noexcept;

}  // namespace shmetrics::shm
