#include "shm/worker_entry.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "shm/failpoint.hpp"
#include "shm/segment.hpp"

namespace shmetrics::shm {
namespace {

// A mapping through the locked descriptor keeps the open file description, and with it the locks, when the descriptor
// is closed. DONTFORK: in a child the mapping would keep the lock of its dead parent.
void* pin(int fd) {
  void* page = mmap(nullptr, kPageBytes, PROT_NONE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) return nullptr;
  if (keep_from_children(page, kPageBytes)) return page;
  munmap(page, kPageBytes);
  return nullptr;
}

std::atomic<const char*> program_name{nullptr};

void write_owner(WorkerEntry& entry) {
  entry.pid.store_relaxed(static_cast<std::uint64_t>(getpid()));
  entry.start_unix_ns.store_relaxed(unix_now_ns());
  std::uint64_t words[kProgramBytes / 8] = {};
  const char* name = program_name.load(std::memory_order_acquire);  // pairs with name_program
  if (name == nullptr) name = program_invocation_short_name;
  std::memcpy(words, name, std::min(std::strlen(name), sizeof words - 1));
  for (std::size_t i = 0; i < std::size(words); ++i) entry.program[i].store_relaxed(words[i]);
}

}  // namespace

void name_program(const char* name) noexcept {
  program_name.store(name, std::memory_order_release);
}

BegunClaim::BegunClaim(const SegmentView& view, const SegmentFile& file) noexcept : view_(view) {
  const std::uint32_t workers = view.geometry().workers;
  const std::uint32_t hint = static_cast<std::uint32_t>(getpid()) % workers;  // siblings forked together start apart
  for (const bool virgin : {false, true}) {
    for (std::uint32_t i = 0; i < workers; ++i) {
      worker_ = virgin ? i : (hint + i) % workers;  // used entries first, and the table stays dense
      if ((view.worker(worker_).epoch.load_relaxed() == 0) != virgin) continue;
      if (!own_) own_ = reopen(file.kept_fd, file.path, file.id);
      if (!own_ && file.spare != nullptr) {
        lender_ = file.spare;
        own_ = std::move(*lender_);
      }
      if (!own_) return;
      if (!try_lock(own_.get(), claim_byte(worker_))) continue;
      SHMETRICS_FAILPOINT(claim_entry_byte_locked);
      page_ = pin(own_.get());
      // A file system whose locks do not conflict would give every entry to everybody. Only another description sees a
      // conflict: where own_ is the spare, there is none to ask through, and the creator's check has to do.
      const bool is_held = file.kept_fd < 0 || probe(file.kept_fd, claim_byte(worker_)) == Held::kYes;
      if (page_ == nullptr || !is_held) {
        drop_lock();
        return;
      }
      SHMETRICS_FAILPOINT(claim_entry_pinned);
      if (begin()) return;
      drop_lock();
    }
  }
}

bool BegunClaim::begin() noexcept {
  WorkerEntry& entry = view_.worker(worker_);
  const std::uint64_t old = entry.epoch.load_relaxed();
  // No correct writer leaves this epoch. It would reach into the worker bits of an owner word, so the entry is never
  // used again.
  if (old >= kMostEpoch - 1) return false;
  // A process that may read the file can lock the byte. Then finish() would fail, and so would every later claim that
  // begins at this entry.
  if (!can_lock(own_.get(), live_byte(worker_))) return false;
  odd_ = old | 1;
  // Release: a process that finds the former owner's epoch gone takes its slots, and must see all of its counts.
  entry.epoch.store_release(odd_);
  // From here on no reader may show a gauge of the former owner as live, so the odd epoch is stored before anything
  // else changes.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  SHMETRICS_FAILPOINT(claim_entry_epoch_odd);
  // An owner that never updated anything leaves no trace. If a claimer is killed in here, the former owner may have
  // been counted or not.
  if (entry.counted.load_relaxed() != 0) {
    entry.adoptions.store_relaxed(entry.adoptions.load_relaxed() + 1);
    SHMETRICS_FAILPOINT(claim_entry_adoption_counted);
    if (entry.released.load_relaxed() == 0) entry.deaths.store_relaxed(entry.deaths.load_relaxed() + 1);
    SHMETRICS_FAILPOINT(claim_entry_death_counted);
    entry.counted.store_relaxed(0);
  }
  entry.released.store_relaxed(0);
  SHMETRICS_FAILPOINT(claim_entry_released_cleared);
  return true;
}

std::optional<EntryClaim> BegunClaim::finish() noexcept {
  SHMETRICS_FAILPOINT(claim_entry_prepared);
  WorkerEntry& entry = view_.worker(worker_);
  write_owner(entry);
  SHMETRICS_FAILPOINT(claim_entry_owner_described);
  if (!try_lock(own_.get(), live_byte(worker_))) return std::nullopt;
  SHMETRICS_FAILPOINT(claim_entry_live_byte_locked);
  own_.reset();
  SHMETRICS_FAILPOINT(claim_entry_descriptor_closed);
  entry.epoch.store_release(odd_ + 1);
  page_ = nullptr;  // stays mapped, and holds both locks, until the process ends
  SHMETRICS_FAILPOINT(claim_entry_epoch_even);
  return EntryClaim{worker_, odd_ + 1};
}

BegunClaim::~BegunClaim() {
  if (page_ != nullptr) drop_lock();  // the epoch stays odd for the next claimer
  if (lender_ != nullptr) *lender_ = std::move(own_);
}

void BegunClaim::drop_lock() noexcept {
  if (page_ != nullptr) munmap(std::exchange(page_, nullptr), kPageBytes);
  unlock(own_.get(), claim_byte(worker_));
}

bool other_worker_alive(int fd, std::optional<std::uint32_t> self) noexcept {
  if (!self) return probe(fd, kClaimLocks, 2 * kMaxWorkers) != Held::kNo;
  const std::uint64_t own = claim_byte(*self);
  const bool before = own > kClaimLocks && probe(fd, kClaimLocks, own - kClaimLocks) != Held::kNo;
  return before || probe(fd, own + 2, kClaimLocks + 2 * kMaxWorkers - own - 2) != Held::kNo;
}

namespace {

void fold(SharedWord& kept, double found, ClaimAction action) noexcept {
  kept.update_relaxed([found, action](std::uint64_t bits) {
    const double value = std::bit_cast<double>(bits);
    const bool wins =
        bits == 0 || std::isnan(value) || (action == ClaimAction::kFoldMin ? found < value : found > value);
    return wins ? spilled(found) : bits;
  });
  SHMETRICS_FAILPOINT(claim_entry_gauge_folded);
}

}  // namespace

void reset_gauges(SharedWord* slot, std::uint32_t limit, SharedWord* spill, std::uint32_t spill_limit,
                  std::span<const GaugeCells> gauges) noexcept {
  for (const GaugeCells& gauge : gauges) {
    const bool folds = gauge.action == ClaimAction::kFoldMin || gauge.action == ClaimAction::kFoldMax;
    if (gauge.action == ClaimAction::kLeave) continue;
    const std::uint64_t end = std::min<std::uint64_t>(std::uint64_t{gauge.first_cell} + gauge.cells, limit);
    for (std::uint64_t cell = gauge.first_cell; cell < end; cell += kGaugeCells) {
      SharedWord& stamp = slot[cell + kGaugeStamp];
      const bool is_whole = cell + kGaugeCells <= end;
      if (folds && is_whole && stamp.load_relaxed() != 0 && cell + kGaugeCells <= spill_limit) {
        fold(spill[cell + kGaugeValue], slot[cell + kGaugeValue].load_double_relaxed(), gauge.action);
      }
      stamp.store_release(0);  // a reader that sees it also sees the fold
      SHMETRICS_FAILPOINT(claim_entry_stamp_cleared);
      // A reader that sees the value gone also sees the stamp gone, or a made-up 0 would win a minimum. copy_gauge()
      // relies on that.
      std::atomic_thread_fence(std::memory_order_release);
      if (is_whole) slot[cell + kGaugeValue].store_relaxed(0);
    }
  }
}

}  // namespace shmetrics::shm
