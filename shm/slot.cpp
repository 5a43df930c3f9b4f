#include "shm/slot.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>

#include "shm/failpoint.hpp"
#include "shm/lock_byte.hpp"
#include "shm/populate.hpp"

namespace shmetrics::shm {
namespace {

/// Tells dead owners from living ones. For one scan it remembers which owners live. It never remembers dead ones:
/// meanwhile the entry may have a new owner, which lives.
class Obituary {
 public:
  Obituary(const SegmentView& view, const SegmentFile& file) : view_(view), file_(file) {}

  bool is_dead(EntryClaim owner) {
    if (owner.worker >= view_.geometry().workers) return true;  // no such owner can exist
    if (view_.worker(owner.worker).epoch.load_acquire() != owner.epoch) return true;
    if (file_.kept_fd < 0) return false;  // cannot ask: better a slot unused than one with two writers
    bool& lives = lives_[owner.worker];
    if (lives) return false;
    const bool is_free = probe(file_.kept_fd, live_byte(owner.worker)) == Held::kNo;
    // Checked after the probe: the application may have closed the descriptor, and its number may lead to another file,
    // on which no lock is held.
    lives = !is_free || file_id(file_.kept_fd) != file_.id;
    return !lives;
  }

 private:
  const SegmentView& view_;
  const SegmentFile& file_;
  bool lives_[kMaxWorkers] = {};
};

}  // namespace

std::optional<std::uint32_t> claim_thread_slot(const SegmentView& view, EntryClaim self,
                                               const SegmentFile& file) noexcept {
  enum Pass { kReleased, kDead, kVirgin, kPasses };
  Obituary obituary(view, file);
  for (int pass = kReleased; pass < kPasses; ++pass) {
    for (std::uint32_t slot = 0; slot < view.geometry().thread_slots; ++slot) {
      SlotEntry& entry = view.slot(slot);
      const std::uint64_t owner = entry.owner.load_acquire();
      if (owner == self.owner_word()) continue;  // another thread of this process
      const bool used = entry.cells_allocated.load_relaxed() > 0;
      const bool fits = pass == kDead ? owner != 0 && obituary.is_dead(EntryClaim::of(owner))
                                      : owner == 0 && used == (pass == kReleased);
      // The whole word is exchanged, epoch and all: a claimer that slept between looking and taking just loses.
      if (fits && entry.owner.exchange_if_equal_acq_rel(owner, self.owner_word())) return slot;
    }
  }
  return std::nullopt;
}

void complete_redo(SharedWord* cells, std::uint32_t limit) noexcept {
  if (limit < kPrefixCells) return;
  const SlotPrefix& prefix = *reinterpret_cast<const SlotPrefix*>(cells);
  const std::uint64_t position = prefix.redo_position.load_relaxed();
  const std::uint64_t first_cell = position & 0xffffffff;
  const std::uint64_t bucket_cell = position >> 32;
  if (first_cell < kPrefixCells || bucket_cell < first_cell + kHistogramBuckets || bucket_cell >= limit) return;
  const std::uint64_t sequence = cells[first_cell + kHistogramSequence].load_acquire();
  if (sequence % 2 == 0) return;
  // Release, as in observe(): a reader that sees a new cell sees the odd word before it, which another thread stored.
  std::atomic_thread_fence(std::memory_order_release);
  cells[bucket_cell].store_relaxed(prefix.redo_bucket.load_relaxed());
  SHMETRICS_FAILPOINT(claim_slot_redo_bucket_stored);
  cells[first_cell + kHistogramSum].store_relaxed(prefix.redo_sum.load_relaxed());
  SHMETRICS_FAILPOINT(claim_slot_redo_sum_stored);
  cells[first_cell + kHistogramSequence].store_release(sequence + 1);
  SHMETRICS_FAILPOINT(claim_slot_redo_even);
}

bool take_memory(std::byte* from, std::byte* to, std::uint64_t offset, const SegmentFile& file) noexcept {
  const auto bytes = static_cast<std::size_t>(to - from);
  int result = 0;
  do {
    result = madvise(from, bytes, MADV_POPULATE_WRITE);  // full: EFAULT or ENOMEM
  } while (result != 0 && errno == EINTR);
  if (result == 0 || errno != EINVAL) return result == 0;

  // Linux before 5.14. The kept descriptor will do: with one opened for the purpose, a process without a free
  // descriptor could not even reach the spill.
  const bool is_kept = file.kept_fd >= 0 && file_id(file.kept_fd) == file.id;
  const Descriptor own = is_kept ? Descriptor() : reopen(-1, file.path, file.id);
  do {
    result = fallocate(is_kept ? file.kept_fd : own.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return false;
  // Until they are touched, such pages look like holes. A reader copies a slot with holes first, and in the copy it
  // cannot see that a histogram changes while it is read.
  for (std::byte* page = from; page < to; page += kPageBytes) reinterpret_cast<SharedWord*>(page)->add_relaxed(0);
  return true;
}

bool allocate_and_open(std::byte* from, std::byte* to, const SegmentView& view, const SegmentFile& file) noexcept {
  if (from == to) return true;
  return mprotect(from, static_cast<std::size_t>(to - from), PROT_READ | PROT_WRITE) == 0 &&
         take_memory(from, to, static_cast<std::uint64_t>(from - view.base()), file);
}

bool make_accessible(std::byte* from, std::byte* to, const SegmentView& view, const SegmentFile& file) noexcept {
  if (allocate_and_open(from, to, view, file)) return true;
  make_inaccessible(from, to);
  return false;
}

void make_inaccessible(std::byte* from, std::byte* to) noexcept {
  if (to > from) mprotect(from, static_cast<std::size_t>(to - from), PROT_NONE);
}

}  // namespace shmetrics::shm
