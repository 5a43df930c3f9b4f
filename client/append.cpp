#include "client/append.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "shm/failpoint.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

// Every registered series has a home in the spill before an entry names it.
bool grow_spill(Attachment& attachment, std::uint32_t slot, shm::SharedWord* cells, std::uint32_t end) noexcept {
  if (end == 0) return true;
  const shm::Geometry& geometry = attachment.view.geometry();
  const std::uint32_t wanted = shm::cells_to_hold(end - 1, geometry);
  shm::SharedWord& allocated = attachment.view.slot(slot).cells_allocated;
  const std::uint64_t have =
      std::min<std::uint64_t>(allocated.load_acquire(), geometry.cells) / shm::kGrowthCells * shm::kGrowthCells;
  if (wanted <= have) return true;
  // On failure the range stays accessible but out of use: another thread may be just as far with the same range.
  if (!shm::allocate_and_open(reinterpret_cast<std::byte*>(cells + have), reinterpret_cast<std::byte*>(cells + wanted),
                              attachment.view, attachment.file())) {
    return false;
  }
  SHMETRICS_FAILPOINT(append_spill_allocated);
  allocated.raise_to_release(wanted);
  SHMETRICS_FAILPOINT(append_spill_said);
  return true;
}

// The word that says how much of the spill is allocated is anybody's; the memory itself is what counts.
bool take_spill(Attachment& attachment, const shm::CellCursor& cells) noexcept {
  const shm::SegmentView& view = attachment.view;
  return grow_spill(attachment, view.geometry().spill(), view.spill_cells(), cells.thread_cells) &&
         grow_spill(attachment, view.geometry().gauge_spill(), view.gauge_spill_cells(), cells.process_cells) &&
         attachment.spill_holds(cells.thread_cells, cells.process_cells);
}

}  // namespace

std::uint64_t unix_now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

Appended append(Attachment& attachment, const std::string& record, const shm::CellCursor& cells) noexcept {
  const shm::Geometry& geometry = attachment.view.geometry();
  const std::uint32_t entry = attachment.mirror.entries();
  if (std::max(cells.thread_cells, cells.process_cells) > geometry.cells) return Appended::kNoCells;
  if (entry >= geometry.index_entries()) return Appended::kNoDirectory;

  const shm::SegmentFile file = attachment.last_file();
  DirectoryPages& pages = attachment.pages;
  if (!pages.open_index(entry, file)) return Appended::kNoMemory;
  SHMETRICS_FAILPOINT(append_index_allocated);
  if (!take_spill(attachment, cells)) return Appended::kNoMemory;
  const auto length = static_cast<std::uint32_t>(record.size());
  const DirectoryPages::Room room = pages.take_room(length, file);
  if (room != DirectoryPages::Room::kTaken) {
    return room == DirectoryPages::Room::kFull ? Appended::kNoDirectory : Appended::kNoMemory;
  }
  std::memcpy(attachment.view.directory_bytes() + pages.room(), record.data(), record.size());
  SHMETRICS_FAILPOINT(append_record_written);
  // Release: who sees the entry sees the record and the memory that was taken for it.
  if (!attachment.view.index(entry).exchange_if_equal_release(0, shm::IndexEntry{pages.room(), length}.word())) {
    SHMETRICS_FAILPOINT(append_lost);
    return Appended::kLost;
  }
  SHMETRICS_FAILPOINT(append_published);
  pages.use_up_room();
  return Appended::kPublished;
}

}  // namespace shmetrics::detail
