#include "tests/simulation/mutants.hpp"

#include <sys/mman.h>

#include "client/attachment.hpp"
#include "shm/lock_byte.hpp"
#include "shm/segment.hpp"
#include "shm/slot.hpp"
#include "tests/simulation/stage.hpp"

namespace shmetrics::simulation {
namespace {

constinit thread_local bool is_mutating = false;

// "The entry claimer completes the redo records of thread slots": of those that the entry's dead owner had, while the
// epoch is odd. A concurrent adopter writes to the same slot.
void complete_redo_of_former_owner(const shm::SegmentView& view, std::uint32_t worker, std::uint64_t epoch) {
  const std::uint64_t former = shm::EntryClaim{worker, epoch - 1}.owner_word();
  const shm::OpenedSegment opened = shm::open_for_reading(stage().path);
  const shm::Descriptor file(open(stage().path, O_RDWR | O_CLOEXEC));
  void* base = mmap(nullptr, view.geometry().file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (base == MAP_FAILED) return;
  const shm::SegmentView whole(static_cast<std::byte*>(base), view.geometry());
  for (std::uint32_t slot = 0; slot < view.geometry().thread_slots; ++slot) {
    if (whole.slot(slot).owner.load_acquire() != former) continue;
    shm::complete_redo(whole.thread_cells(slot),
                       static_cast<std::uint32_t>(whole.slot(slot).cells_allocated.load_acquire()));
  }
  munmap(base, view.geometry().file_bytes());
}

}  // namespace

void mutate_before(const void* word) noexcept {
  if (stage().mutant != Mutant::kClaimerCompletesRedo || is_mutating) return;
  const detail::Attachment* attachment = detail::Attachment::at(0);
  if (attachment == nullptr) return;
  const shm::SegmentView& view = attachment->mapping.view;
  for (std::uint32_t worker = 0; worker < view.geometry().workers; ++worker) {
    if (word != &view.worker(worker).pid) continue;  // written once a claim, between the two locks
    is_mutating = true;
    complete_redo_of_former_owner(view, worker, view.worker(worker).epoch.load_relaxed());
    is_mutating = false;
  }
}

void mutate_lock(struct flock& request) noexcept {
  if (stage().mutant != Mutant::kOneLockByte || request.l_len != 1) return;
  const auto byte = static_cast<std::uint64_t>(request.l_start);
  if (byte >= shm::kClaimLocks && byte % 2 == 1) request.l_start -= 1;  // the live byte is the claim byte
}

}  // namespace shmetrics::simulation
