// Appending to the directory. No append waits for another process: it looks at the whole log, prepares its record where
// nobody else looks, and publishes it by one compare-and-swap of the log's end, which fails if the log has moved on;
// then it decides anew. Steps and reasons: docs/segment-format.md, "Append".
//
// Threads: control lock. Failure: by Obstacle; throws std::bad_alloc. Lifetime: none: what is appended stays in the
// segment.
#pragma once

#include <cstdint>
#include <string>

#include "client/attachment.hpp"
#include "shm/directory.hpp"

namespace shmetrics::detail {

/// Swaps lost in a row before the time counts: to be off the processor for long is no failure.
inline constexpr int kMostLostSwaps = 256;

/// Why there is no record after find_or_append().
enum class Obstacle { kNone, kEnded, kLimit, kCells, kDirectory, kDamaged, kNoMemory, kBusy };

/// One attempt to make `record` the next of the log. `cells` is the cursor behind its own cells. kNone: the log has
/// moved on, by this record or by another process's.
Obstacle append(Attachment& attachment, const std::string& record, const shm::CellCursor& cells) noexcept;

/// Looks at the whole log, and appends until `look()` finds the family or series. Until then `look()` returns null or
/// nothing; it may throw, or end the search by a reason in `obstacle`. `encode(cells)` makes the record with cells from
/// the cursor on, and moves the cursor. Returns null or nothing on failure: `obstacle` says why.
template <typename Look, typename Encode>
auto find_or_append(Attachment& attachment, const Deadline& deadline, Obstacle& obstacle, Look look, Encode encode)
    -> decltype(look()) {
  for (int lost_swaps = 0;; ++lost_swaps) {
    const DirectoryMirror::Refreshed log = attachment.mirror.refresh();
    if (log == DirectoryMirror::Refreshed::kDamaged) obstacle = Obstacle::kDamaged;
    if (log == DirectoryMirror::Refreshed::kNoMemory) obstacle = Obstacle::kNoMemory;
    if (obstacle != Obstacle::kNone) return {};
    if (auto found = look(); found || obstacle != Obstacle::kNone) return found;
    if (lost_swaps >= kMostLostSwaps && deadline.is_over()) {
      obstacle = Obstacle::kBusy;
      return {};
    }
    shm::CellCursor cells = attachment.mirror.cells();
    const std::string record = encode(cells);
    obstacle = append(attachment, record, cells);
    if (obstacle != Obstacle::kNone) return {};
  }
}

}  // namespace shmetrics::detail
