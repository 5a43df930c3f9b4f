#include "client/directory_pages.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "shm/failpoint.hpp"
#include "shm/populate.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

constexpr std::uint64_t kStepBytes = 16384;  // 2,048 entries, some 200 records

}  // namespace

DirectoryPages::Window DirectoryPages::steps_around(std::uint64_t begin, std::uint64_t end) const {
  return {begin / kStepBytes * kStepBytes,
          std::min((end + kStepBytes - 1) / kStepBytes * kStepBytes, view_.geometry().directory_bytes)};
}

void DirectoryPages::protect(Window window, int access) noexcept {
  if (window.is_open()) mprotect(at(window.begin), window.end - window.begin, access);
}

bool DirectoryPages::read_entry(std::uint32_t entry) noexcept {
  return read_up_to(sizeof(shm::DirectoryHead) + (std::uint64_t{entry} + 1) * sizeof(shm::SharedWord), index_readable_);
}

bool DirectoryPages::read_record(std::uint64_t end) noexcept {
  known_end_ = std::max(known_end_, end);
  return read_up_to(end, heap_readable_);
}

bool DirectoryPages::read_up_to(std::uint64_t end, std::uint64_t& readable) noexcept {
  if (end <= readable) return true;
  const Window fresh{readable, page_of(end + shm::kPageBytes - 1)};
  const auto has_it = [&](const Window& window) { return window.covers(fresh); };
  if (std::none_of(windows_.begin(), windows_.end(), has_it)) {
    for (Window& window : windows_) {
      if (window.overlaps(fresh)) close(window);
    }
    if (mprotect(at(fresh.begin), fresh.end - fresh.begin, PROT_READ) != 0) return false;
    // A hole was punched there, and there is no room to fill it: EFAULT here, SIGBUS at a touch.
    if (madvise(at(fresh.begin), fresh.end - fresh.begin, MADV_POPULATE_READ) != 0 && errno != EINVAL) return false;
  }
  readable = fresh.end;
  return true;
}

// In a small directory, steps overlap: a place that loses its access with another is opened again when it is needed.
void DirectoryPages::forget_overlapping(Window closed) noexcept {
  for (Window& other : windows_) {
    if (!other.overlaps(closed)) continue;
    protect(other, PROT_READ);
    other = {};
  }
}

void DirectoryPages::close(Window& window) noexcept {
  const Window closed = window;
  protect(closed, PROT_READ);
  forget_overlapping(closed);
  for (std::uint64_t* readable : {&index_readable_, &heap_readable_}) {
    if (closed.begin <= *readable) *readable = std::max(*readable, closed.end);
  }
}

bool DirectoryPages::open(Place place, Window wanted, const shm::SegmentFile& file) noexcept {
  if (shm::allocate_and_open(at(wanted.begin), at(wanted.end), view_, file)) {
    windows_[place] = wanted;
    return true;
  }
  forget_overlapping(wanted);
  // Readable pages must stay readable at every moment: other threads look series up there.
  for (std::uint64_t page = wanted.begin; page < wanted.end; page += shm::kPageBytes) {
    const bool was_readable =
        page < index_readable_ || (page >= page_of(view_.geometry().heap()) && page < heap_readable_);
    protect({page, page + shm::kPageBytes}, was_readable ? PROT_READ : PROT_NONE);
  }
  return false;
}

bool DirectoryPages::open_index(std::uint32_t entry, const shm::SegmentFile& file) noexcept {
  const std::uint64_t begin = sizeof(shm::DirectoryHead) + std::uint64_t{entry} * sizeof(shm::SharedWord);
  // The next entry too: a process that steps over this one looks there for the end of the log.
  const std::uint64_t end = std::min(begin + 2 * sizeof(shm::SharedWord), view_.geometry().heap());
  index_wanted_ = {begin, end};
  return open_for_record(spare_, file);
}

// Opens the places that are not open yet: of the room, if there is one already.
bool DirectoryPages::open_for_record(shm::IndexEntry room, const shm::SegmentFile& file) noexcept {
  const std::array<Window, kPlaces> wanted{Window{0, sizeof(shm::DirectoryHead)}, index_wanted_,
                                           Window{room.offset, room.end()}};
  for (std::size_t i = 0; i < kPlaces; ++i) {
    if (wanted[i].is_open() && windows_[i].is_open() && !windows_[i].covers(wanted[i])) close(windows_[i]);
  }
  for (std::size_t i = 0; i < kPlaces; ++i) {
    if (!wanted[i].is_open() || windows_[i].covers(wanted[i])) continue;
    if (!open(static_cast<Place>(i), steps_around(wanted[i].begin, wanted[i].end), file)) return false;
  }
  return true;
}

DirectoryPages::Room DirectoryPages::take_room(std::uint32_t bytes, const shm::SegmentFile& file) noexcept {
  if (spare_.length >= bytes) return open_for_record(spare_, file) ? Room::kTaken : Room::kNoMemory;
  spare_ = {};
  const shm::Geometry& geometry = view_.geometry();
  shm::SharedWord& space = view_.directory().space;
  for (;;) {
    const std::uint64_t seen = space.load_relaxed();
    if (seen > geometry.directory_bytes) return Room::kFull;
    // Any process can write that word: room of a known record is not given out again, whatever the word says.
    const std::uint64_t begin = (std::max({seen, known_end_, geometry.heap()}) + 7) / 8 * 8;
    if (begin + bytes > geometry.directory_bytes) return Room::kFull;
    const shm::IndexEntry room{static_cast<std::uint32_t>(begin), bytes};
    if (!open_for_record(room, file)) return Room::kNoMemory;
    SHMETRICS_FAILPOINT(append_room_allocated);
    if (!space.exchange_if_equal_release(seen, room.end())) continue;  // another process took that room
    SHMETRICS_FAILPOINT(append_space_moved);
    spare_ = room;
    return Room::kTaken;
  }
}

void DirectoryPages::forget_in_child(bool is_whole) noexcept {
  spare_ = {};
  known_end_ = is_whole ? known_end_ : 0;
  if (is_whole) {
    for (Window& window : windows_) {
      if (window.is_open()) close(window);
    }
    return;
  }
  windows_ = {};
  protect({0, view_.geometry().directory_bytes}, PROT_NONE);
  protect({0, index_readable_}, PROT_READ);
  protect({page_of(view_.geometry().heap()), heap_readable_}, PROT_READ);
}

}  // namespace shmetrics::detail
