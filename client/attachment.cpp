#include "client/attachment.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "client/writer.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

constexpr auto kForkWait = std::chrono::milliseconds(200);  // then fork goes on without the lock
constexpr auto kPage = shm::kPageBytes;

std::atomic<Attachment*> attachments[kMaxRegistries] = {};
bool fork_holds_control = false;  // between prepare and parent or child, in the forking thread

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

template <typename Do>
void for_each_attachment(Do act) {
  for (auto& place : attachments) {
    if (Attachment* attachment = place.load(std::memory_order_acquire)) act(*attachment);
  }
}

template <typename Fits>
Attachment* find_attachment(Fits fits) {
  for (auto& place : attachments) {
    Attachment* attachment = place.load(std::memory_order_acquire);
    if (attachment != nullptr && fits(*attachment)) return attachment;
  }
  return nullptr;
}

// In turn, so that a stale handle of a detached segment finds nothing at its index for as long as possible.
std::uint32_t free_index() {
  static std::uint32_t next = 0;  // control lock
  for (std::uint32_t tried = 0; tried < kMaxRegistries; ++tried) {
    const std::uint32_t index = next++ % kMaxRegistries;
    if (attachments[index].load(std::memory_order_acquire) == nullptr) return index;
  }
  return kMaxRegistries;
}

void before_fork() {
  fork_holds_control = control_lock().try_lock_for(kForkWait);
}

void after_fork_in_parent() {
  if (std::exchange(fork_holds_control, false)) control_lock().unlock();
}

void after_fork_in_child() {
  control_lock().start_anew();
  const bool whole = std::exchange(fork_holds_control, false);
  forget_threads();
  for_each_attachment([whole](Attachment& attachment) {
    attachment.forget_process(whole);
    // A worker that drops its privileges later could not open the file any more.
    if (geteuid() == 0) attachment.claim_entry();
  });
}

void at_exit() {
  for_each_attachment([](Attachment& attachment) {
    if (const auto claim = attachment.entry(std::chrono::milliseconds(-1))) shm::release_entry(attachment.view, *claim);
  });
}

void install_process_hooks() {
  static const int installed = [] {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    std::atexit(at_exit);
    return 0;
  }();
  static_cast<void>(installed);
}

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
  return static_cast<std::byte*>(base);
}

void open_fixed_part(std::byte* base, const shm::Geometry& geometry, const std::string& path) {
  const std::uint64_t tables = geometry.worker_table();
  const std::uint64_t directory = geometry.directory();
  const bool done = mprotect(base, tables, PROT_READ) == 0 &&
                    mprotect(base + tables, directory - tables, PROT_READ | PROT_WRITE) == 0 &&
                    mprotect(base + directory, kPage, PROT_READ) == 0;
  if (!done) throw shm::from_errno(errno, "mprotect " + path);
}

shm::CreationOptions creation_options(const Options& options) {
  shm::CreationOptions creation;
  creation.geometry = {options.workers, options.slots, options.cells, options.directory_bytes};
  creation.mode = options.mode;
  if (options.group) creation.group = *options.group;
  return creation;
}

}  // namespace

ControlLock& control_lock() {
  static ControlLock& lock = *new ControlLock;  // outlives static destructors
  return lock;
}

Attachment::Attachment(std::uint32_t index, std::string file_path, const shm::OpenedSegment& opened, std::byte* base,
                       std::uint32_t limit)
    : registry(index),
      path(std::move(file_path)),
      id(opened.id),
      view(base, opened.geometry),
      series_per_family(limit),
      mirror(*this, opened.geometry, view.directory_bytes(), index),
      kept_fd_(-1) {}

Attachment& Attachment::open(const Options& options) {
  install_process_hooks();
  const std::string path =
      std::filesystem::absolute(options.path.empty() ? shm::default_path() : options.path).string();
  shm::OpenedSegment opened = shm::open_or_create(path, creation_options(options), options.start == Start::fresh);
  if (Attachment* known = find_attachment([&](const Attachment& at) { return at.id == opened.id; })) return *known;
  const std::uint32_t index = free_index();
  if (index == kMaxRegistries) {
    throw shm::Error(shm::Fault::kFull,
                     std::to_string(kMaxRegistries) + " segments are open in this process, no more fit: share them");
  }
  std::byte* base = map(opened, path);
  try {
    open_fixed_part(base, opened.geometry, path);
    auto* made = new Attachment(index, path, opened, base, options.series_per_family);
    made->widen_spill();
    made->kept_fd_ = opened.file.release();
    attachments[index].store(made, std::memory_order_release);
    if (!made->refresh_directory()) {
      throw shm::Error(shm::Fault::kDamaged,
                       path + " has a damaged directory: nothing can be declared, see shmetrics check");
    }
    return *made;
  } catch (...) {
    if (attachments[index].load(std::memory_order_relaxed) == nullptr) munmap(base, opened.geometry.file_bytes());
    throw;
  }
}

void Attachment::detach(const std::string& path) noexcept {
  const std::unique_lock lock(control_lock(), kDeclareWait);
  Attachment* found = find_attachment([&](const Attachment& at) { return at.path == path; });
  if (!lock || found == nullptr) return;
  give_back_slot(found->registry);
  if (const auto claim = found->entry(std::chrono::milliseconds(-1))) shm::release_entry(found->view, *claim);
  attachments[found->registry].store(nullptr, std::memory_order_release);
  if (const int fd = found->kept_fd_.exchange(-1); fd >= 0) close(fd);
  // Memory of nobody takes the file's place: whoever still has a handle or a family reads zeros and writes in vain.
  mmap(found->view.base(), found->view.geometry().file_bytes(), PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

Attachment* Attachment::at(std::uint32_t index) noexcept {
  return index < kMaxRegistries ? attachments[index].load(std::memory_order_acquire) : nullptr;
}

bool Attachment::refresh_directory() noexcept {
  if (broken_) return false;
  const std::uint64_t committed = view.directory().committed.load_acquire();
  if (committed == 0) return mirror.sound();
  if (committed < mirror.position() || committed > view.geometry().directory_bytes) return false;
  if (const std::uint64_t end = whole_pages(committed); end > readable_directory_) {
    if (mprotect(view.directory_bytes(), end, PROT_READ) != 0) return false;
    readable_directory_ = end;
  }
  try {
    return mirror.refresh(committed);
  } catch (const std::exception&) {
    return false;
  }
}

std::optional<shm::EntryClaim> Attachment::entry(std::chrono::milliseconds patience) noexcept {
  const auto claimed = [this]() -> std::optional<shm::EntryClaim> {
    const std::uint64_t word = owner_word_.load(std::memory_order_acquire);
    if (word == 0) return std::nullopt;
    constexpr std::uint64_t kEpochMask = (std::uint64_t{1} << shm::kOwnerEpochBits) - 1;
    return shm::EntryClaim{static_cast<std::uint32_t>(word >> shm::kOwnerEpochBits) - 1, word & kEpochMask};
  };
  if (auto claim = claimed()) return claim;
  if (patience.count() < 0 || entry_breaker_.is_open()) return std::nullopt;
  std::unique_lock lock(control_lock(), std::defer_lock);
  if (!(lock.try_lock() || (patience.count() > 0 && lock.try_lock_for(patience)))) {
    if (patience.count() > 0) entry_breaker_.open();
    return std::nullopt;
  }
  if (auto claim = claimed()) return claim;
  claim_entry();
  return claimed();
}

void Attachment::claim_entry() noexcept {
  if (broken_) return entry_breaker_.open();
  const auto claim = shm::claim_entry(view, file(), *this);
  if (!claim) {
    process_limit_.store(0, std::memory_order_release);
    entry_breaker_.open();
    return;
  }
  owner_word_.store(claim->owner_word(), std::memory_order_release);
}

void Attachment::prepare(std::uint32_t worker) noexcept {
  refresh_directory();
  widen_spill();
  if (shm::SharedWord* former =
          process_cells_.load(std::memory_order_relaxed)) {  // of an entry that was lost at its second lock
    auto* cells = reinterpret_cast<std::byte*>(former);
    shm::make_inaccessible(cells, cells + std::uint64_t{process_limit_.load(std::memory_order_relaxed)} * 8);
  }
  process_limit_.store(0, std::memory_order_relaxed);
  process_cells_.store(view.process_cells(worker), std::memory_order_relaxed);
  const std::uint32_t used = mirror.cells().process_cells;
  const std::uint32_t allocated =
      std::min(static_cast<std::uint32_t>(view.worker(worker).cells_allocated.load_acquire()), view.geometry().cells);
  const std::uint32_t wanted = std::max(used, allocated);
  if (wanted == 0 || !grow_process_slot(worker, wanted - 1)) return;
  shm::reset_gauges(view.process_cells(worker), process_limit_.load(std::memory_order_relaxed),
                    view.gauge_spill_cells(), gauge_spill_limit_.load(std::memory_order_relaxed), mirror.gauges());
  for (const std::uint32_t first_cell : infos_) set_info(first_cell);
}

void Attachment::show_info(std::uint32_t first_cell) {
  if (std::find(infos_.begin(), infos_.end(), first_cell) == infos_.end()) infos_.push_back(first_cell);
  const auto claim = entry(std::chrono::milliseconds(-1));
  if (claim && grow_process_slot(claim->worker, first_cell + shm::kGaugeCells - 1)) set_info(first_cell);
}

void Attachment::set_info(std::uint32_t first_cell) noexcept {
  if (first_cell + shm::kGaugeCells > process_limit_.load(std::memory_order_relaxed)) return;
  shm::SharedWord* const cells = process_cells_.load(std::memory_order_relaxed) + first_cell;
  cells[shm::kGaugeValue].store_double_relaxed(1);
  cells[shm::kGaugeStamp].store_release(1);
}

bool Attachment::grow_process_slot(std::uint32_t worker, std::uint32_t last_cell) noexcept {
  const std::uint32_t limit = process_limit_.load(std::memory_order_relaxed);
  const std::uint32_t wanted = shm::cells_to_hold(last_cell, view.geometry());
  if (wanted <= limit) return wanted != 0;
  auto* cells = reinterpret_cast<std::byte*>(view.process_cells(worker));
  if (!shm::make_accessible(cells + std::uint64_t{limit} * 8, cells + std::uint64_t{wanted} * 8, view, file()))
    return false;
  view.worker(worker).cells_allocated.raise_to_release(wanted);
  process_limit_.store(wanted, std::memory_order_release);
  return true;
}

shm::SharedWord* Attachment::gauge_cells(std::uint32_t last_cell) noexcept {
  // A gauge has no spill, and what is dropped is lost: the process's first one waits as long as a declaration would.
  const auto claim = entry(kDeclareWait);
  if (!claim) return nullptr;
  if (last_cell >= process_limit_.load(std::memory_order_acquire)) {
    if (growth_breaker_.is_open()) return nullptr;
    const std::unique_lock lock(control_lock(), kDeclareWait);
    if (!lock || !grow_process_slot(claim->worker, last_cell)) {
      growth_breaker_.open();
      return nullptr;
    }
  }
  return process_cells_.load(std::memory_order_relaxed);
}

shm::SharedWord* Attachment::spill_cells(std::uint32_t last_cell) noexcept {
  if (last_cell >= spill_limit_.load(std::memory_order_acquire)) widen_spill();
  return last_cell < spill_limit_.load(std::memory_order_acquire) ? view.spill_cells() : nullptr;
}

void Attachment::widen_spill() noexcept {
  const auto widen = [this](std::uint32_t slot, shm::SharedWord* cells, std::atomic<std::uint32_t>& limit) {
    const std::uint64_t allocated =
        std::min<std::uint64_t>(view.slot(slot).cells_allocated.load_acquire(), view.geometry().cells) /
        shm::kGrowthCells * shm::kGrowthCells;
    std::uint32_t seen = limit.load(std::memory_order_relaxed);
    if (allocated <= seen || mprotect(cells, allocated * 8, PROT_READ | PROT_WRITE) != 0) return;
    while (seen < allocated &&
           !limit.compare_exchange_weak(seen, static_cast<std::uint32_t>(allocated), std::memory_order_release)) {
    }
  };
  widen(view.geometry().spill(), view.spill_cells(), spill_limit_);
  widen(view.geometry().gauge_spill(), view.gauge_spill_cells(), gauge_spill_limit_);
}

void Attachment::tally(shm::Tally which) noexcept {
  view.prefix(view.spill_cells()).tallies[static_cast<std::uint32_t>(which)].add_relaxed(1);
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

void Attachment::forget_process(bool whole) noexcept {
  broken_ = broken_ || !whole;
  owner_word_.store(0, std::memory_order_relaxed);
  process_limit_.store(0, std::memory_order_relaxed);
  process_cells_.store(nullptr, std::memory_order_relaxed);
  entry_breaker_.close();
  // Process slots and thread slots are the file's last part: all of the parent's is out of reach from here on.
  std::byte* const slots = reinterpret_cast<std::byte*>(view.process_cells(0));
  shm::make_inaccessible(slots, view.base() + view.geometry().file_bytes());
}

}  // namespace shmetrics::detail
