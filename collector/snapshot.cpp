#include "collector/snapshot.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <iterator>
#include <new>

#include "collector/foreign_locks.hpp"
#include "shm/lock_byte.hpp"

namespace shmetrics::collector {
namespace {

// A count that no correct writer leaves is not used at all: below it there may be holes.
bool is_allocation(std::uint64_t cells, const shm::Geometry& geometry) {
  return cells % shm::kGrowthCells == 0 && cells <= geometry.cells;
}

shm::Error truncated(const std::string& path) {
  return {shm::Fault::kDamaged, path + " was truncated while it was read; if no worker uses it, remove it"};
}

}  // namespace

SnapshotReader::SnapshotReader(shm::OpenedSegment opened, std::string path)
    : path_(std::move(path)), follows_path_(false) {
  use(std::make_unique<MappedSegment>(std::move(opened), path_, MissingPages::kNotCaught));
}

void SnapshotReader::read(const ReadShare& share) {
  share_ = share;
  started_ = std::chrono::steady_clock::now();
  if (follows_path_) follow_path();
  if (!mapped_) throw truncated(path_);
  // The second try is for a directory that is not the one that was parsed: then all knowledge of it is dropped.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const SigbusGuard guard = mapped_->guard();
    bool is_complete = false;
    try {
      is_complete = copy_all(guard);
    } catch (const std::bad_alloc&) {
      close();  // what was parsed so far may be half a record
      throw;
    }
    // The end of a shorter file looks like a hole: nothing of it may be taken for zeros.
    if (guard.is_damaged() || !mapped_->has_its_size()) break;
    if (is_complete) return;
    directory_ = std::make_unique<DirectoryReader>(geometry(), segment_);
  }
  close();
  throw truncated(path_);
}

void SnapshotReader::open() {
  auto next = std::make_unique<MappedSegment>(path_);
  const std::string refusal = admission_ ? admission_(next->fd()) : std::string();
  if (!refusal.empty()) throw shm::Error(shm::Fault::kRefused, refusal);
  use(std::move(next));
}

void SnapshotReader::use(std::unique_ptr<MappedSegment> next) {
  count_locks_ = {};
  directory_ = std::make_unique<DirectoryReader>(next->geometry(), segment_);
  mapped_ = std::move(next);
  orphaned_by_.clear();
}

void SnapshotReader::close() {
  mapped_.reset();
  forget();
}

void SnapshotReader::forget() {
  directory_ = mapped_ ? std::make_unique<DirectoryReader>(geometry(), segment_) : nullptr;
  const std::uint64_t torn_reads = snapshot_.torn_reads;
  snapshot_ = {};
  snapshot_.torn_reads = torn_reads;
  count_locks_ = {};
}

void SnapshotReader::follow_path() {
  if (!mapped_) return open();
  orphaned_by_.clear();
  if (shm::file_id(path_) != mapped_->id()) {
    try {
      return open();  // the path decides
    } catch (const shm::Error& error) {
      // Removed, out of reach, or not yet a segment: workers that are alive go on in the file that we have.
      if (!mapped_->has_workers()) {
        close();
        throw;
      }
      orphaned_by_ =
          error.fault() == shm::Fault::kNotReady
              ? path_ + " was removed while in use: restart the application, with the master that forks the workers"
              : std::string(error.what()) + "; what was open before is served while its workers live";
    }
  }
  bool is_unchanged = false;
  try {
    is_unchanged = mapped_->is_unchanged(path_);
  } catch (const shm::Error&) {
    close();
    throw;
  }
  if (is_unchanged) return;
  close();
  open();
}

std::uint64_t SnapshotReader::held_bytes() const {
  if (directory_ == nullptr) return 0;
  return directory_->held_bytes() + snapshot_.totals.per_worker.capacity() * sizeof(WorkerValue);
}

bool SnapshotReader::has_workers() const {
  return mapped_ != nullptr && mapped_->has_workers();
}

bool SnapshotReader::has_time() const {
  const bool is_stopped = share_.is_stopped != nullptr && share_.is_stopped->load(std::memory_order_relaxed);
  return !is_stopped && std::chrono::steady_clock::now() < share_.deadline;
}

void SnapshotReader::require_memory() {
  if (held_bytes() > share_.held_bytes) {
    forget();
    throw RanOut(shm::Fault::kDamaged,
                 path_ + " needs more than the " + std::to_string(share_.held_bytes >> 20) +
                     " MiB of memory that are left for it: it has too many series, or is damaged");
  }
}

void SnapshotReader::require_time() const {
  if (has_time()) return;
  const auto share = std::chrono::duration_cast<std::chrono::milliseconds>(share_.deadline - started_);
  throw RanOut(shm::Fault::kDamaged, path_ + " was not read in the " + std::to_string(share.count()) +
                                         " ms that were left for it: it has too many slots and cells, or is damaged");
}

bool SnapshotReader::copy_all(const SigbusGuard& guard) {
  mapped_->forget_extents();
  if (!copy_directory(guard)) return false;
  const shm::Geometry& shape = geometry();
  snapshot_.quarantined_slots = 0;
  snapshot_.infinite_values = 0;
  snapshot_.totals.reset(catalog().total_cells(), catalog().gauges().size());
  snapshot_.owners.assign(shape.thread_slots, 0);
  for (std::uint32_t slot = 0; slot < shape.thread_slots && !guard.is_damaged(); ++slot) {
    snapshot_.owners[slot] = mapped_->slot(slot).owner.load_relaxed();
    add_slot(slot, shape.thread_slot(slot), guard);
  }
  copy_workers(guard);
  // The spill is read last: then it holds every value that a claimer folded out of a process slot before that was read.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (!guard.is_damaged()) add_spill(guard);
  if (started_ >= count_locks_) {
    snapshot_.foreign_locks = count_foreign_locks(mapped_->fd(), shape.workers);
    count_locks_ = started_ + kLockPause;
  }
  snapshot_.totals.sort_per_worker();
  catalog().add_up_generations(snapshot_.totals);
  return !guard.is_damaged();
}

void SnapshotReader::add_slot(std::uint32_t slot, std::uint64_t offset, const SigbusGuard& guard) {
  const std::uint64_t allocated = mapped_->slot(slot).cells_allocated.load_acquire();
  if (allocated == 0) return;
  require_time();  // where there is something to read: to ask for all slots took a tenth of a scrape
  mapped_->forget_holes();
  if (!is_allocation(allocated, geometry())) {
    ++snapshot_.quarantined_slots;
    return;
  }
  const auto limit = std::min(static_cast<std::uint32_t>(allocated), catalog().cells().thread_cells);
  const SlotCells cells(*mapped_, offset, limit);
  const SlotReport report = read_thread_cells(cells, catalog(), guard, snapshot_.totals);
  if (slot != geometry().spill()) read_exemplars(cells, catalog(), guard, snapshot_.totals);
  if (report.refused_values > 0) ++snapshot_.quarantined_slots;
  snapshot_.infinite_values += report.infinite_values;
  snapshot_.torn_reads += report.torn_reads;
}

void SnapshotReader::add_spill(const SigbusGuard& guard) {
  const shm::Geometry& shape = geometry();
  add_slot(shape.spill(), shape.spill_cells(), guard);
  snapshot_.tallies.fill(0);
  if (mapped_->data_bytes(shape.spill_cells(), sizeof(shm::SlotPrefix)) == sizeof(shm::SlotPrefix)) {
    mapped_->copy(shape.spill_cells() + offsetof(shm::SlotPrefix, tallies), snapshot_.tallies);
  }
  const std::uint64_t gauges = mapped_->slot(shape.gauge_spill()).cells_allocated.load_acquire();
  if (!is_allocation(gauges, shape)) {
    ++snapshot_.quarantined_slots;
    return;
  }
  const auto limit = std::min(static_cast<std::uint32_t>(gauges), catalog().cells().process_cells);
  mapped_->forget_holes();
  read_gauge_spill({*mapped_, shape.gauge_spill_cells(), limit}, catalog(), snapshot_.totals);
}

// False: another log has taken the place of the one that was parsed, or the guard says no.
bool SnapshotReader::copy_directory(const SigbusGuard& guard) {
  // What there was no time for is parsed by the next scrape: so a directory of any size is served at last.
  const auto goes_on = [this] { return has_time() && held_bytes() <= share_.held_bytes; };
  directory_->limit_text(share_.text_bytes);
  const DirectoryReader::Outcome outcome = directory_->follow(*mapped_, guard, goes_on);
  require_memory();
  if (outcome == DirectoryReader::Outcome::kStopped) require_time();
  if (outcome != DirectoryReader::Outcome::kRead) return false;
  const shm::Geometry& shape = geometry();
  // The head has memory since the file has a name, unless somebody has punched a hole there.
  const bool has_head = mapped_->data_bytes(shape.directory(), sizeof(shm::DirectoryHead)) > 0;
  const std::uint64_t space = has_head ? mapped_->directory().space.load_relaxed() : 0;
  const std::uint64_t given_out = std::clamp(space, shape.heap(), shape.directory_bytes) - shape.heap();
  snapshot_.directory_used_bytes = catalog().entries() * sizeof(shm::SharedWord) + given_out;
  snapshot_.is_directory_cut = directory_->is_cut();
  return true;
}

void SnapshotReader::copy_workers(const SigbusGuard& guard) {
  constexpr int kTries = 3;  // a claim is a matter of system calls, a copy is not
  const shm::Geometry& shape = geometry();
  snapshot_.workers.assign(shape.workers, WorkerCopy{});
  snapshot_.quarantined_workers = 0;
  std::vector<GaugeCopy> gauges(catalog().gauges().size());
  for (std::uint32_t i = 0; i < shape.workers; ++i) {
    std::optional<WorkerStanding> standing = copy_worker(i, gauges);
    // A gauge that was reset and set anew in the middle of its copy may look like one that was 0. Then the epoch moved.
    for (int attempt = 1; standing && standing->has_moved && attempt < kTries; ++attempt) {
      standing = copy_worker(i, gauges);
    }
    if (guard.is_damaged()) return;
    if (!standing) continue;
    add_gauges(gauges, catalog(), i, *standing, snapshot_.totals);
    require_memory();  // each worker may show a value of each gauge
  }
}

std::optional<WorkerStanding> SnapshotReader::copy_worker(std::uint32_t worker, std::span<GaugeCopy> gauges) {
  const shm::Geometry& shape = geometry();
  const shm::WorkerEntry& entry = mapped_->worker(worker);
  WorkerCopy& copy = snapshot_.workers[worker];
  copy.epoch = entry.epoch.load_acquire();  // pairs with the release that ends a claim
  if (copy.epoch == 0) return std::nullopt;
  require_time();
  const std::uint64_t released = entry.released.load_acquire();
  const bool is_even = copy.epoch % 2 == 0;
  copy.is_released = released != 0;
  copy.has_counted = entry.counted.load_relaxed() != 0;
  copy.is_live = is_even && released == 0 && shm::probe(mapped_->fd(), shm::live_byte(worker)) == shm::Held::kYes;
  copy.pid = entry.pid.load_relaxed();
  copy.start_unix_ns = entry.start_unix_ns.load_relaxed();
  copy.adoptions = entry.adoptions.load_relaxed();
  copy.deaths = entry.deaths.load_relaxed();
  for (std::size_t word = 0; word < std::size(entry.program); ++word) {
    const std::uint64_t eight = entry.program[word].load_relaxed();
    std::memcpy(copy.program.data() + word * sizeof eight, &eight, sizeof eight);
  }

  const std::uint64_t allocated = entry.cells_allocated.load_acquire();
  if (released > 1 || copy.epoch > shm::kMostEpoch || !is_allocation(allocated, shape)) {
    ++snapshot_.quarantined_workers;
    return std::nullopt;
  }
  if (allocated == 0 || gauges.empty()) return std::nullopt;
  const auto limit = std::min(static_cast<std::uint32_t>(allocated), catalog().cells().process_cells);
  mapped_->forget_holes();
  copy_gauges({*mapped_, shape.process_slot(worker), limit}, catalog(), copy.is_live, gauges);
  std::atomic_thread_fence(std::memory_order_acquire);  // keeps the copy before the second look at the epoch
  const bool has_moved = entry.epoch.load_relaxed() != copy.epoch;
  return WorkerStanding{.is_settled = is_even && !has_moved, .is_live = copy.is_live, .has_moved = has_moved};
}

}  // namespace shmetrics::collector
