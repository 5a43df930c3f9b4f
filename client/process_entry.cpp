#include "client/process_entry.hpp"

#include <unistd.h>

#include <utility>

#include "client/slow_path.hpp"
#include "shm/failpoint.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
std::optional<shm::EntryClaim> ProcessEntry::claimed() const noexcept {
  const std::uint64_t word = owner_word_.load(std::memory_order_acquire);
  return word == 0 ? std::nullopt : std::optional(shm::EntryClaim::of(word));
}

std::optional<shm::EntryClaim> ProcessEntry::claimed_if_free() noexcept {
  if (const auto claim = claimed()) return claim;
  if (entry_breaker_.is_open()) return std::nullopt;
  if (const ControlGuard control(std::try_to_lock); control) claim_if_free();
  return claimed();
}

void ProcessEntry::claim_if_free() noexcept {
  if (!claimed() && !entry_breaker_.is_open()) claim();
}

std::optional<shm::EntryClaim> ProcessEntry::claim_through(const shm::SegmentFile& file) noexcept {
  shm::BegunClaim begun(mapping_.view, file);
  return begun && prepare(begun.worker()) ? begun.finish() : std::nullopt;
}

void ProcessEntry::claim() noexcept {
  shm::SegmentFile file = mapping_.file();
  shm::Descriptor spare = mapping_.take_spare();
  file.spare = &spare;
  if (const auto claim = claim_through(file)) {
    owner_pid_.store(getpid(), std::memory_order_relaxed);
    return owner_word_.store(claim->owner_word(), std::memory_order_release);
  }
  mapping_.keep_spare(std::move(spare));
  close();
  entry_breaker_.open();
}

void ProcessEntry::release() noexcept {
  // Before the handlers of fork have run in a child, the entry here is the parent's.
  const auto claim = claimed();
  if (claim && owner_pid_.load(std::memory_order_relaxed) == getpid()) shm::release_entry(mapping_.view, *claim);
}

void ProcessEntry::resume() noexcept {
  const auto claim = claimed();
  if (claim && owner_pid_.load(std::memory_order_relaxed) == getpid()) shm::resume_entry(mapping_.view, *claim);
}

void ProcessEntry::note_update(shm::EntryClaim claim) noexcept {
  if (has_counted_.load(std::memory_order_relaxed)) return;
  shm::mark_counted(mapping_.view, claim.worker);
  has_counted_.store(true, std::memory_order_relaxed);
}

void ProcessEntry::forget_in_child() noexcept {
  owner_word_.store(0, std::memory_order_relaxed);
  limit_.store(0, std::memory_order_relaxed);
  open_ = 0;
  cells_.store(nullptr, std::memory_order_relaxed);
  has_counted_.store(false, std::memory_order_relaxed);
  entry_breaker_.close();
  growth_breaker_.close();
}

// For an entry whose claim failed: its process slot may belong to another process now.
void ProcessEntry::close() noexcept {
  limit_.store(0, std::memory_order_relaxed);
  shm::SharedWord* const cells = cells_.load(std::memory_order_relaxed);
  if (cells != nullptr) shm::make_inaccessible(shm::bytes_of(cells), shm::bytes_of(cells + std::exchange(open_, 0)));
}

// Makes the process slot writable and resets its gauges, all of them. False: it cannot.
bool ProcessEntry::prepare(std::uint32_t worker) noexcept {
  const shm::SegmentView& view = mapping_.view;
  cells_.store(view.process_cells(worker), std::memory_order_relaxed);
  if (mirror_.refresh() != DirectoryMirror::Refreshed::kWhole) return false;
  // All gauges of the former owner must be reset, or they would come back to life as this process's.
  const std::uint32_t left = shm::cells_said(view.worker(worker).cells_allocated, view.geometry());
  if (left > 0 && !grow(worker, left - 1)) return false;
  std::uint32_t spill_limit = 0;
  shm::SharedWord* const spill = mapping_.gauge_spill_cells(spill_limit);
  shm::reset_gauges(view.process_cells(worker), open_, spill, spill_limit, mirror_.gauges());
  SHMETRICS_FAILPOINT(claim_entry_gauges_reset);
  if (const std::uint32_t used = mirror_.cells().process_cells; used > 0) grow(worker, used - 1);
  set_infos();
  return true;
}

bool ProcessEntry::show_info(std::uint32_t first_cell) {
  const Info* info = infos_.load(std::memory_order_relaxed);
  while (info != nullptr && info->first_cell != first_cell) info = info->next;
  if (info == nullptr) infos_ = new Info{first_cell, infos_};
  const auto claim = claimed();
  if (!claim) return true;
  const bool has_room = grow(claim->worker, first_cell + shm::kGaugeCells - 1);
  set_infos();
  return has_room;
}

void ProcessEntry::set_infos() noexcept {
  for (const Info* info = infos_.load(std::memory_order_relaxed); info != nullptr; info = info->next) {
    if (info->first_cell + shm::kGaugeCells > open_) continue;
    shm::SharedWord* const cells = cells_.load(std::memory_order_relaxed) + info->first_cell;
    cells[shm::kGaugeValue].store_double_relaxed(1);
    cells[shm::kGaugeStamp].store_release(1);
  }
}

bool ProcessEntry::grow(std::uint32_t worker, std::uint32_t last_cell) noexcept {
  const std::uint32_t wanted = shm::cells_to_hold(last_cell, mapping_.view.geometry());
  if (wanted <= open_) return wanted != 0;
  shm::SharedWord* const cells = mapping_.view.process_cells(worker);
  if (!shm::make_accessible(shm::bytes_of(cells + open_), shm::bytes_of(cells + wanted), mapping_.view,
                            mapping_.file()))
    return false;
  SHMETRICS_FAILPOINT(grow_process_slot_allocated);
  mapping_.view.worker(worker).cells_allocated.raise_to_release(wanted);
  SHMETRICS_FAILPOINT(grow_process_slot_said);
  open_ = wanted;
  set_infos();  // there may have been no room for them before
  return true;
}

shm::SharedWord* ProcessEntry::cells_slowly(std::uint32_t last_cell, shm::Tally& dropped) noexcept {
  const SlowPath slow;
  const auto drop = [&](shm::Tally why) -> shm::SharedWord* {
    dropped = why;
    return nullptr;
  };
  // A gauge has no spill, and a dropped update is lost. So a process's first gauge waits as long as a declaration.
  const Deadline deadline;
  if (!claimed() && !entry_breaker_.is_open()) {
    const ControlGuard control(deadline);
    if (!control) return drop(shm::Tally::kDroppedBusy);
    claim_if_free();
  }
  const auto claim = claimed();
  if (!claim) return drop(shm::Tally::kDroppedNoEntry);
  if (!has_cell(last_cell)) {
    if (growth_breaker_.is_open()) return drop(shm::Tally::kDroppedNoMemory);
    const ControlGuard control(deadline);
    if (!control) return drop(shm::Tally::kDroppedBusy);
    if (!grow(claim->worker, last_cell)) {
      growth_breaker_.open();
      return drop(shm::Tally::kDroppedNoMemory);
    }
    note_update(*claim);
    limit_.store(open_, std::memory_order_release);
  }
  return cells_.load(std::memory_order_relaxed);
}

}  // namespace shmetrics::detail
