#include "client/writer.hpp"

#include <algorithm>
#include <utility>

#include "client/process_hooks.hpp"
#include "shm/failpoint.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {

constinit thread_local ThreadSlot thread_slots[kMaxRegistries] = {};

namespace {

// Slow updates before the next look for a slot, doubling up to kLastRetry
constexpr std::uint32_t kFirstRetry = 1u << 10;
constexpr std::uint32_t kLastRetry = 1u << 20;

enum class Phase : std::uint8_t { kNone, kOwned, kExited };

// A thread's state for one segment, beside the two words of the fast path.
struct ThreadState {
  Attachment* attachment;  // not found by its number again: a test may have taken it away by then
  std::uint32_t slot;
  std::uint32_t retry;  // last pause between looks for a slot
  std::uint32_t pause;  // slow updates left until the next look
  Phase phase;
  Clock::rep no_growth_before;
};
constinit thread_local ThreadState thread_states[kMaxRegistries] = {};

void pause_before_retry(ThreadState& state) {
  state.retry = std::clamp(state.retry * 2, kFirstRetry, kLastRetry);
  state.pause = state.retry;
}

bool claim_slot(Attachment& attachment, ThreadState& state, ThreadSlot& fast) noexcept {
  if (state.pause > 0) {
    --state.pause;
    return false;
  }
  const auto entry = attachment.entry.claimed_if_free();
  if (!entry) return false;
  attachment.entry.note_update(*entry);
  const shm::SegmentView& view = attachment.mapping.view;
  const shm::SegmentFile file = attachment.mapping.file();
  const auto slot = shm::claim_thread_slot(view, *entry, file);
  if (!slot) {
    pause_before_retry(state);
    return false;
  }
  SHMETRICS_FAILPOINT(claim_slot_owner_stored);
  if (!attachment.mapping.hold_slot(*slot)) {
    pause_before_retry(state);
    return false;
  }
  shm::SlotEntry& claimed = view.slot(*slot);
  const std::uint32_t limit = std::max(shm::cells_said(claimed.cells_allocated, view.geometry()), shm::kGrowthCells);
  shm::SharedWord* const cells = view.thread_cells(*slot);
  if (!watch_thread_end() ||
      !shm::make_accessible(shm::bytes_of(cells), shm::bytes_of(cells) + std::uint64_t{limit} * 8, view, file)) {
    attachment.mapping.let_go_of_slot(*slot);
    claimed.owner.store_release(0);
    pause_before_retry(state);
    return false;
  }
  SHMETRICS_FAILPOINT(claim_slot_memory_allocated);
  claimed.cells_allocated.raise_to_release(limit);
  SHMETRICS_FAILPOINT(claim_slot_cells_said);
  shm::complete_redo(cells, limit);
  state = {&attachment, *slot, 0, 0, Phase::kOwned, 0};
  fast.cells = reinterpret_cast<std::atomic<std::uint64_t>*>(cells);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // base first, limit last: a signal handler may count in between
  fast.limit = limit;
  return true;
}

bool grow_slot(Attachment& attachment, ThreadState& state, ThreadSlot& fast, std::uint32_t last_cell) noexcept {
  const std::uint32_t wanted = shm::cells_to_hold(last_cell, attachment.mapping.view.geometry());
  if (wanted == 0 || Clock::now().time_since_epoch().count() < state.no_growth_before) return false;
  std::byte* const cells = reinterpret_cast<std::byte*>(fast.cells);
  if (!shm::make_accessible(cells + std::uint64_t{fast.limit} * 8, cells + std::uint64_t{wanted} * 8,
                            attachment.mapping.view, attachment.mapping.file())) {
    state.no_growth_before = (Clock::now() + Breaker::kPause).time_since_epoch().count();
    return false;
  }
  SHMETRICS_FAILPOINT(grow_slot_allocated);
  attachment.mapping.view.slot(state.slot).cells_allocated.store_release(wanted);
  SHMETRICS_FAILPOINT(grow_slot_said);
  fast.limit = wanted;
  return true;
}

}  // namespace

shm::SharedWord* own_cells(Attachment& attachment, std::uint32_t last_cell) noexcept {
  ThreadSlot& fast = thread_slots[attachment.registry];
  ThreadState& state = thread_states[attachment.registry];
  if (state.phase == Phase::kExited) return nullptr;
  if (state.phase == Phase::kNone && !claim_slot(attachment, state, fast)) return nullptr;
  if (last_cell >= fast.limit && !grow_slot(attachment, state, fast, last_cell)) return nullptr;
  return reinterpret_cast<shm::SharedWord*>(fast.cells);
}

void give_back_slot(std::uint32_t registry) noexcept {
  ThreadState& state = thread_states[registry];
  if (state.phase != Phase::kOwned) return;
  const std::uint32_t limit = std::exchange(thread_slots[registry].limit, 0);
  state.phase = Phase::kExited;
  // A signal handler that counts from here on finds no slot, not one that is being given away.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  Attachment& attachment = *state.attachment;
  const shm::SegmentView& view = attachment.mapping.view;
  std::byte* const cells = shm::bytes_of(view.thread_cells(state.slot));
  shm::make_inaccessible(cells, cells + std::uint64_t{limit} * 8);
  SHMETRICS_FAILPOINT(release_slot_closed);
  attachment.mapping.let_go_of_slot(state.slot);
  view.slot(state.slot).owner.store_release(0);
  SHMETRICS_FAILPOINT(release_slot_owner_cleared);
  state = {};
}

void give_back_all_slots() noexcept {
  for (std::uint32_t registry = 0; registry < kMaxRegistries; ++registry) {
    give_back_slot(registry);
    thread_states[registry].phase = Phase::kExited;  // destructors of the application that run later count in the spill
  }
}

void forget_threads() noexcept {
  for (std::uint32_t registry = 0; registry < kMaxRegistries; ++registry) {
    thread_slots[registry] = {};
    thread_states[registry] = {};
  }
}

}  // namespace shmetrics::detail
