#include "client/mapping.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "client/slow_path.hpp"
#include "shm/failpoint.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

constexpr auto kPage = shm::kPageBytes;

std::byte* reserve(const shm::OpenedSegment& opened, const std::string& path) {
  // Plain mmap: Boost.Interprocess has no mode for a reservation without access.
  void* base = mmap(nullptr, opened.geometry.file_bytes(), PROT_NONE, MAP_SHARED | MAP_NORESERVE, opened.file.get(), 0);
  if (base == MAP_FAILED) {
    throw shm::from_errno(
        errno, "map " + path + ", " + std::to_string(opened.geometry.file_bytes()) + " bytes of address space");
  }
  // Dumped with a core (coredump_filter, or because the file has lost its name) it would fill all its holes.
  madvise(base, opened.geometry.file_bytes(), MADV_DONTDUMP);
  return static_cast<std::byte*>(base);
}

// A creator leaves no hole in here; a copy of the file or a punched one may have holes.
bool open_fixed_part(const shm::SegmentView& view, const shm::SegmentFile& file) {
  std::byte* const base = view.base();
  const std::uint64_t directory = view.geometry().directory();
  return shm::allocate_and_open(base, base + directory + kPage, view, file) &&
         mprotect(base, view.geometry().worker_table(), PROT_READ) == 0 &&
         mprotect(base + directory, kPage, PROT_READ) == 0;
}

}  // namespace

// Nothing that comes after the reservation can fail.
Mapping::Mapping(const std::string& file_path, const shm::OpenedSegment& opened, HeldSlots none_held)
    : path(file_path),
      id(opened.id),
      view(reserve(opened, file_path), opened.geometry),
      spill_{SpillPart{view.geometry().spill(), view.spill_cells()},
             SpillPart{view.geometry().gauge_spill(), view.gauge_spill_cells()}},
      held_slots_(std::move(none_held)) {}

// In two steps: from here on the destructor puts away what the first one has taken.
Mapping::Mapping(const std::string& file_path, shm::OpenedSegment&& opened)
    : Mapping(file_path, opened, std::make_unique<std::atomic<bool>[]>(opened.geometry.thread_slots)) {
  kept_fd_ = opened.file.release();
  if (!open_fixed_part(view, last_file())) throw shm::from_errno(ENOSPC, "no memory for the tables of " + path);
  if (!spill_holds({shm::kGrowthCells, 0})) {
    throw shm::Error(shm::Fault::kFull, path +
                                            " has no memory for its spill slot: free space there; if there is some, "
                                            "the file is damaged, see shmetrics check");
  }
  // A process that is root may drop that, or change its root, before its first update. Then it cannot open the file.
  if (geteuid() == 0) keep_spare(shm::reopen(kept_fd_, path.c_str(), id));
}

Mapping::~Mapping() {
  take_spare();
  const shm::Descriptor kept(kept_fd_);
  munmap(view.base(), view.geometry().file_bytes());
}

shm::SegmentFile Mapping::file() noexcept {
  int kept = kept_fd_.load(std::memory_order_relaxed);
  if (kept < 0 || shm::file_id(kept) != id) {
    // The application closed it, and perhaps got the number for a file of its own: forgotten, not closed.
    shm::Descriptor next = shm::reopen(-1, path.c_str(), id);
    if (kept_fd_.compare_exchange_strong(kept, next.get(), std::memory_order_relaxed)) kept = next.release();
  }
  return {kept, path.c_str(), id};
}

shm::Descriptor Mapping::take_spare() noexcept {
  shm::Descriptor spare(std::exchange(spare_fd_, -1));
  // The application may have closed it, and the number may be its own file's: forgotten, not closed.
  if (spare && shm::file_id(spare.get()) != id) static_cast<void>(spare.release());
  return spare;
}

// On failure the range stays accessible but unused: another thread may be doing the same with it.
bool Mapping::allocate(const SpillPart& part, std::uint32_t from, std::uint32_t to) noexcept {
  return shm::allocate_and_open(shm::bytes_of(part.cells + from), shm::bytes_of(part.cells + to), view, file());
}

// Opens what has been allocated. Idempotent.
void Mapping::widen_spill() noexcept {
  for (SpillPart& part : spill_) {
    const std::uint32_t allocated = shm::cells_said(view.slot(part.slot).cells_allocated, view.geometry());
    std::uint32_t seen = part.limit.load(std::memory_order_relaxed);
    // Any process can write that word, so the memory is asked for again.
    if (allocated <= seen || !allocate(part, seen, allocated)) continue;
    while (seen < allocated && !part.limit.compare_exchange_weak(seen, allocated, std::memory_order_release)) {
    }
  }
}

bool Mapping::spill_holds(const shm::CellCursor& ends) noexcept {
  widen_spill();
  return ends.thread_cells <= spill_[0].limit.load(std::memory_order_relaxed) &&
         ends.process_cells <= spill_[1].limit.load(std::memory_order_relaxed);
}

bool Mapping::grow_spill(const shm::CellCursor& ends) noexcept {
  for (const SpillPart& part : spill_) {
    const std::uint32_t end = &part == &spill_[0] ? ends.thread_cells : ends.process_cells;
    const std::uint32_t wanted = end == 0 ? 0 : shm::cells_to_hold(end - 1, view.geometry());
    shm::SharedWord& allocated = view.slot(part.slot).cells_allocated;
    const std::uint32_t have = shm::cells_said(allocated, view.geometry());
    if (wanted <= have) continue;
    if (!allocate(part, have, wanted)) return false;
    SHMETRICS_FAILPOINT(append_spill_allocated);
    allocated.raise_to_release(wanted);
    SHMETRICS_FAILPOINT(append_spill_said);
  }
  return spill_holds(ends);
}

shm::SharedWord* Mapping::spill_cells(std::uint32_t last_cell) noexcept {
  const bool is_open = last_cell < spill_[0].limit.load(std::memory_order_acquire);
  return is_open ? spill_[0].cells : widened(spill_[0], last_cell);
}

shm::SharedWord* Mapping::widened(const SpillPart& part, std::uint32_t last_cell) noexcept {
  const SlowPath slow;
  widen_spill();
  if (last_cell < part.limit.load(std::memory_order_acquire)) return part.cells;
  tally(shm::Tally::kDroppedNoMemory);  // an update that has no place at all is not lost without a trace
  return nullptr;
}

shm::SharedWord* Mapping::gauge_spill_cells(std::uint32_t& limit) noexcept {
  widen_spill();
  limit = spill_[1].limit.load(std::memory_order_relaxed);
  return spill_[1].cells;
}

void Mapping::tally(shm::Tally which) noexcept {
  view.prefix(view.spill_cells()).tallies[static_cast<std::uint32_t>(which)].add_relaxed(1);
}

void Mapping::forget_in_child() noexcept {
  // Shared with the parent, it would keep the parent's locks if that claims through it.
  take_spare();
  for (std::uint32_t slot = 0; slot < view.geometry().thread_slots; ++slot) let_go_of_slot(slot);
  // Process slots and thread slots are the file's last part: all of the parent's is out of reach from here on.
  shm::make_inaccessible(shm::bytes_of(view.process_cells(0)), view.base() + view.geometry().file_bytes());
}

}  // namespace shmetrics::detail
