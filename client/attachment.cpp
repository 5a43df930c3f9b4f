#include "client/attachment.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "client/creation_options.hpp"
#include "client/process_hooks.hpp"
#include "client/writer.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

constexpr auto kPage = shm::kPageBytes;

std::byte* map(const shm::OpenedSegment& opened, const std::string& path) {
  if (sysconf(_SC_PAGESIZE) != static_cast<long>(kPage)) {
    throw shm::Error(shm::Fault::kRefused, "this machine's page has " + std::to_string(sysconf(_SC_PAGESIZE)) +
                                               " bytes, segments need pages of " + std::to_string(kPage));
  }
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

// A creator leaves no hole in here; who copies or punches the file does.
void open_fixed_part(const shm::SegmentView& view, const shm::SegmentFile& file) {
  std::byte* const base = view.base();
  const std::uint64_t directory = view.geometry().directory();
  const bool done = shm::allocate_and_open(base, base + directory + kPage, view, file) &&
                    mprotect(base, view.geometry().worker_table(), PROT_READ) == 0 &&
                    mprotect(base + directory, kPage, PROT_READ) == 0;
  if (!done) throw shm::from_errno(ENOSPC, std::string("no memory for the tables of ") + file.path);
}

}  // namespace

constinit Attachment* Attachment::last_detached = nullptr;
constinit std::atomic<Attachment*> Attachment::table[kMaxRegistries] = {};

Attachment::Attachment(std::uint32_t index, std::string file_path, const shm::OpenedSegment& opened, std::byte* base,
                       const Options& options)
    : registry(index),
      path(std::move(file_path)),
      id(opened.id),
      view(base, opened.geometry),
      series_per_family(options.series_per_family),
      pages(view),
      mirror(*this, view, index),
      kept_fd_(-1),
      held_slots_(std::make_unique<std::atomic<bool>[]>(opened.geometry.thread_slots)),
      is_quiet_(is_quiet(options)),
      on_error_(options.on_error) {}

Attachment& Attachment::open(const Options& options) {
  if (!process_hooks_work()) {
    throw shm::Error(shm::Fault::kFull, "no room for the fork handlers of this library: open no segment");
  }
  const std::string path =
      std::filesystem::absolute(options.path.empty() ? shm::default_path() : options.path).string();
  const bool is_fresh = options.start == Start::fresh;
  // Before opening: a process that has dropped its privileges still has what it opened before.
  const auto present = shm::file_id(path);
  const bool is_hidden = !present && errno == EACCES;
  Attachment* known =
      find([&](const Attachment& at) { return !is_fresh && (at.id == present || (is_hidden && at.path == path)); });
  if (known == nullptr) {
    shm::OpenedSegment opened = shm::open_or_create(path, creation_options(options), is_fresh);
    known = find([&](const Attachment& at) { return at.id == opened.id; });
    if (known == nullptr) known = &attach(path, opened, options);
  }
  if (known->refresh_directory() == DirectoryMirror::Refreshed::kDamaged) {
    throw shm::Error(shm::Fault::kDamaged, known->path + " has a damaged directory, see shmetrics check");
  }
  return *known;
}

Attachment& Attachment::attach(const std::string& path, shm::OpenedSegment& opened, const Options& options) {
  const std::uint32_t index = free_index();
  if (index == kMaxRegistries) {
    throw shm::Error(shm::Fault::kFull,
                     std::to_string(kMaxRegistries) + " segments are open in this process, no more fit: share them");
  }
  std::byte* base = map(opened, path);
  try {
    open_fixed_part({base, opened.geometry}, {opened.file.get(), path.c_str(), opened.id});
    auto made = std::make_unique<Attachment>(index, path, opened, base, options);
    made->kept_fd_ = opened.file.get();
    if (!made->spill_holds(shm::kGrowthCells, 0)) {
      throw shm::Error(shm::Fault::kFull, path +
                                              " has no memory for its spill slot: free space there; if there is some, "
                                              "the file is damaged, see shmetrics check");
    }
    const std::string narrower = narrower_mode(path, opened.file.get(), options);
    if (!narrower.empty()) made->say_once(kNarrowerMode, narrower.c_str());
    opened.file.release();
    // Who is root may drop it, or change its root, before it counts for the first time: too late to open the file.
    if (geteuid() == 0) made->spare_fd_ = shm::reopen(made->kept_fd_, path.c_str(), made->id).release();
    table[index].store(made.get(), std::memory_order_release);
    return *made.release();
  } catch (...) {
    munmap(base, opened.geometry.file_bytes());
    throw;
  }
}

// In turn, so that a stale handle of a detached segment finds nothing at its index for as long as possible.
std::uint32_t Attachment::free_index() {
  static std::uint32_t next = 0;  // control lock
  for (std::uint32_t tried = 0; tried < kMaxRegistries; ++tried) {
    const std::uint32_t index = next++ % kMaxRegistries;
    if (at(index) == nullptr) return index;
  }
  return kMaxRegistries;
}

void Attachment::detach(const std::string& path) noexcept {
  const ControlGuard control{Deadline()};
  Attachment* found = find([&](const Attachment& at) { return at.path == path; });
  if (!control || found == nullptr) return;
  give_back_slot(found->registry);
  found->release();
  found->is_detached_ = true;
  table[found->registry].store(nullptr, std::memory_order_release);
  found->next_detached_ = std::exchange(last_detached, found);
  found->take_spare();
  if (const int fd = found->kept_fd_.exchange(-1); fd >= 0) close(fd);
  // Memory of nobody takes the file's place: whoever still has a handle or a family reads zeros and writes in vain.
  static_cast<void>(mmap(found->view.base(), found->view.geometry().file_bytes(), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0));
}

DirectoryMirror::Refreshed Attachment::refresh_directory() noexcept {
  return is_detached_ ? DirectoryMirror::Refreshed::kDamaged : mirror.refresh(pages);
}

shm::SharedWord* Attachment::spill_cells(std::uint32_t last_cell) noexcept {
  if (last_cell >= spill_limit_.load(std::memory_order_acquire)) widen_spill();
  if (last_cell < spill_limit_.load(std::memory_order_acquire)) return view.spill_cells();
  tally(shm::Tally::kDroppedNoMemory);  // an update that has no place at all is not lost without a trace
  return nullptr;
}

void Attachment::widen_spill() noexcept {
  const auto widen = [this](std::uint32_t slot, shm::SharedWord* cells, std::atomic<std::uint32_t>& limit) {
    const std::uint64_t allocated =
        std::min<std::uint64_t>(view.slot(slot).cells_allocated.load_acquire(), view.geometry().cells) /
        shm::kGrowthCells * shm::kGrowthCells;
    std::uint32_t seen = limit.load(std::memory_order_relaxed);
    if (allocated <= seen) return;
    // The word is anybody's, so the memory is asked for and not taken for granted. On failure the range stays
    // accessible but out of use: another thread may be just as far with the same range.
    if (!shm::allocate_and_open(reinterpret_cast<std::byte*>(cells + seen),
                                reinterpret_cast<std::byte*>(cells + allocated), view, file())) {
      return;
    }
    while (seen < allocated &&
           !limit.compare_exchange_weak(seen, static_cast<std::uint32_t>(allocated), std::memory_order_release)) {
    }
  };
  widen(view.geometry().spill(), view.spill_cells(), spill_limit_);
  widen(view.geometry().gauge_spill(), view.gauge_spill_cells(), gauge_spill_limit_);
}

bool Attachment::spill_holds(std::uint32_t thread_cells, std::uint32_t process_cells) noexcept {
  widen_spill();
  return thread_cells <= spill_limit_.load(std::memory_order_relaxed) &&
         process_cells <= gauge_spill_limit_.load(std::memory_order_relaxed);
}

void Attachment::tally(shm::Tally which) noexcept {
  view.prefix(view.spill_cells()).tallies[static_cast<std::uint32_t>(which)].add_relaxed(1);
}

void Attachment::say_once(std::uint32_t cause, const char* line) noexcept {
  const std::uint32_t bit = 1u << cause;
  if ((said_.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) return;
  if (on_error_ != nullptr) return on_error_(line);
  if (!is_quiet_) dprintf(STDERR_FILENO, "shmetrics: %s\n", line);
}

shm::SegmentFile Attachment::file() noexcept {
  int kept = kept_fd_.load(std::memory_order_relaxed);
  if (kept < 0 || shm::file_id(kept) != id) {
    // The application closed it, and perhaps got the number for a file of its own: forgotten, not closed.
    const int next = shm::reopen(-1, path.c_str(), id).release();
    if (!kept_fd_.compare_exchange_strong(kept, next, std::memory_order_relaxed)) {
      if (next >= 0) close(next);
    } else {
      kept = next;
    }
  }
  return {kept, path.c_str(), id};
}

}  // namespace shmetrics::detail
