#include "client/append.hpp"

#include <algorithm>
#include <cstring>

#include "shm/failpoint.hpp"

namespace shmetrics::detail {

Obstacle append(Attachment& attachment, const std::string& record, const shm::CellCursor& cells) noexcept {
  const shm::SegmentView& view = attachment.mapping.view;
  const shm::Geometry& geometry = view.geometry();
  const std::uint32_t entry = attachment.mirror.entries();
  if (std::max(cells.thread_cells, cells.process_cells) > geometry.cells) return Obstacle::kCells;
  if (entry >= geometry.index_entries()) return Obstacle::kDirectory;

  const shm::SegmentFile file = attachment.mapping.last_file();
  DirectoryPages& pages = attachment.mirror.pages;
  if (!pages.open_index(entry, file)) return Obstacle::kNoMemory;
  SHMETRICS_FAILPOINT(append_index_allocated);
  // Every registered series has a home in the spill before an entry names it.
  if (!attachment.mapping.grow_spill(cells)) return Obstacle::kNoMemory;
  const auto length = static_cast<std::uint32_t>(record.size());
  const DirectoryPages::Room room = pages.take_room(length, file);
  if (room != DirectoryPages::Room::kTaken) {
    return room == DirectoryPages::Room::kFull ? Obstacle::kDirectory : Obstacle::kNoMemory;
  }
  std::memcpy(view.directory_bytes() + pages.room(), record.data(), record.size());
  SHMETRICS_FAILPOINT(append_record_written);
  // Release: a process that sees the entry also sees the record and the memory that was taken for it.
  if (!view.index(entry).exchange_if_equal_release(0, shm::IndexEntry{pages.room(), length}.word())) {
    SHMETRICS_FAILPOINT(append_lost);
    return Obstacle::kNone;
  }
  SHMETRICS_FAILPOINT(append_published);
  pages.use_up_room();
  return Obstacle::kNone;
}

}  // namespace shmetrics::detail
