// The part of an attachment that is one process's: its worker entry and, behind it, its gauges.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "client/attachment.hpp"
#include "client/slow_path.hpp"
#include "shm/failpoint.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

std::byte* bytes(shm::SharedWord* cells) {
  return reinterpret_cast<std::byte*>(cells);
}

}  // namespace

std::optional<shm::EntryClaim> Attachment::claimed_entry() const noexcept {
  constexpr std::uint64_t kEpochMask = (std::uint64_t{1} << shm::kOwnerEpochBits) - 1;
  const std::uint64_t word = owner_word_.load(std::memory_order_acquire);
  if (word == 0) return std::nullopt;
  return shm::EntryClaim{static_cast<std::uint32_t>(word >> shm::kOwnerEpochBits) - 1, word & kEpochMask};
}

std::optional<shm::EntryClaim> Attachment::entry_if_free() noexcept {
  if (const auto claim = claimed_entry()) return claim;
  if (entry_breaker_.is_open()) return std::nullopt;
  if (const ControlGuard control(std::try_to_lock); control) claim_entry_if_free();
  return claimed_entry();
}

void Attachment::claim_entry_if_free() noexcept {
  if (!claimed_entry() && !entry_breaker_.is_open()) claim_entry();
}

std::optional<shm::EntryClaim> Attachment::entry(const Deadline& deadline) noexcept {
  if (const auto claim = claimed_entry()) return claim;
  if (entry_breaker_.is_open()) return std::nullopt;
  const ControlGuard control(deadline);
  if (control) {
    claim_entry_if_free();
  } else {
    entry_breaker_.open();
  }
  return claimed_entry();
}

void Attachment::claim_entry() noexcept {
  shm::SegmentFile segment = file();
  shm::Descriptor spare = take_spare();
  segment.spare = &spare;
  const auto claim = is_detached_ ? std::nullopt : shm::claim_entry(view, segment, *this);
  if (!claim) {
    spare_fd_ = spare.release();
    close_process_slot();
    entry_breaker_.open();
    return;
  }
  owner_word_.store(claim->owner_word(), std::memory_order_release);
}

shm::Descriptor Attachment::take_spare() noexcept {
  shm::Descriptor spare(std::exchange(spare_fd_, -1));
  // The application may have closed it, and the number may be its own file's: forgotten, not closed.
  if (spare && shm::file_id(spare.get()) != id) static_cast<void>(spare.release());
  return spare;
}

void Attachment::release() noexcept {
  if (const auto claim = claimed_entry()) shm::release_entry(view, *claim);
}

void Attachment::note_update(shm::EntryClaim claim) noexcept {
  if (has_counted_.load(std::memory_order_relaxed)) return;
  shm::mark_counted(view, claim.worker);
  has_counted_.store(true, std::memory_order_relaxed);
}

void Attachment::forget_process(bool is_whole) noexcept {
  // Shared with the parent, it would keep the parent's locks if that claims through it.
  take_spare();
  owner_word_.store(0, std::memory_order_relaxed);
  process_limit_.store(0, std::memory_order_relaxed);
  process_open_ = 0;
  process_cells_.store(nullptr, std::memory_order_relaxed);
  has_counted_.store(false, std::memory_order_relaxed);
  entry_breaker_.close();
  growth_breaker_.close();
  memory_breaker.close();
  pages.forget_in_child(is_whole);
  if (!is_whole) mirror.start_anew();
  for (std::uint32_t slot = 0; slot < view.geometry().thread_slots; ++slot) let_go_of_slot(slot);
  // Process slots and thread slots are the file's last part: all of the parent's is out of reach from here on.
  shm::make_inaccessible(bytes(view.process_cells(0)), view.base() + view.geometry().file_bytes());
}

// Of an entry that was not claimed after all: whoever has it now has the slot.
void Attachment::close_process_slot() noexcept {
  process_limit_.store(0, std::memory_order_relaxed);
  shm::SharedWord* const cells = process_cells_.load(std::memory_order_relaxed);
  if (cells != nullptr) shm::make_inaccessible(bytes(cells), bytes(cells + std::exchange(process_open_, 0)));
}

bool Attachment::prepare(std::uint32_t worker) noexcept {
  close_process_slot();
  process_cells_.store(view.process_cells(worker), std::memory_order_relaxed);
  if (refresh_directory() != DirectoryMirror::Refreshed::kWhole) return false;
  widen_spill();
  // What the former owner left must be reset whole, or its gauges would come back to life as this process's.
  const auto allocated = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(view.worker(worker).cells_allocated.load_acquire(), view.geometry().cells));
  if (allocated > 0 && !grow_process_slot(worker, allocated - 1)) return false;
  shm::reset_gauges(view.process_cells(worker), process_open_, view.gauge_spill_cells(),
                    gauge_spill_limit_.load(std::memory_order_relaxed), mirror.gauges());
  SHMETRICS_FAILPOINT(claim_entry_gauges_reset);
  if (const std::uint32_t used = mirror.cells().process_cells; used > 0) grow_process_slot(worker, used - 1);
  set_infos();
  return true;
}

void Attachment::show_info(std::uint32_t first_cell) {
  const Info* info = infos_.load(std::memory_order_relaxed);
  while (info != nullptr && info->first_cell != first_cell) info = info->next;
  if (info == nullptr) infos_ = new Info{first_cell, infos_};
  const auto claim = claimed_entry();
  if (!claim) return;
  if (!grow_process_slot(claim->worker, first_cell + shm::kGaugeCells - 1)) {
    throw shm::from_errno(ENOSPC, "no memory left for the infos of this process in " + path);
  }
  set_infos();
}

void Attachment::set_infos() noexcept {
  for (const Info* info = infos_.load(std::memory_order_relaxed); info != nullptr; info = info->next) {
    if (info->first_cell + shm::kGaugeCells > process_open_) continue;
    shm::SharedWord* const cells = process_cells_.load(std::memory_order_relaxed) + info->first_cell;
    cells[shm::kGaugeValue].store_double_relaxed(1);
    cells[shm::kGaugeStamp].store_release(1);
  }
}

bool Attachment::grow_process_slot(std::uint32_t worker, std::uint32_t last_cell) noexcept {
  const std::uint32_t wanted = shm::cells_to_hold(last_cell, view.geometry());
  if (wanted <= process_open_) return wanted != 0;
  shm::SharedWord* const cells = view.process_cells(worker);
  if (!shm::make_accessible(bytes(cells + process_open_), bytes(cells + wanted), view, file())) return false;
  SHMETRICS_FAILPOINT(grow_process_slot_allocated);
  view.worker(worker).cells_allocated.raise_to_release(wanted);
  SHMETRICS_FAILPOINT(grow_process_slot_said);
  process_open_ = wanted;
  set_infos();  // there may have been no room for them before
  return true;
}

shm::SharedWord* Attachment::gauge_cells(std::uint32_t last_cell) noexcept {
  // The entry first: from then on the limit belongs to it, and only grows.
  if (claimed_entry() && last_cell < process_limit_.load(std::memory_order_acquire)) {
    return process_cells_.load(std::memory_order_relaxed);
  }
  const SlowPath slow;
  // A gauge has no spill, and what is dropped is lost: the first of a process waits as long as a declaration would.
  const Deadline deadline;
  const auto claim = entry(deadline);
  const auto dropped = [this](shm::Tally why) -> shm::SharedWord* {
    tally(why);
    return nullptr;
  };
  if (!claim) {
    say_once(kGaugesDropped,
             "gauges of this process are dropped: it has no worker entry, because all are taken or it cannot open the "
             "segment any more; see shmetrics_updates_dropped_total");
    return dropped(shm::Tally::kDroppedNoEntry);
  }
  if (last_cell >= process_limit_.load(std::memory_order_acquire)) {
    if (growth_breaker_.is_open()) return dropped(shm::Tally::kDroppedNoMemory);
    const ControlGuard control(deadline);
    if (!control) return dropped(shm::Tally::kDroppedBusy);
    if (!grow_process_slot(claim->worker, last_cell)) {
      growth_breaker_.open();
      return dropped(shm::Tally::kDroppedNoMemory);
    }
    note_update(*claim);
    process_limit_.store(process_open_, std::memory_order_release);
  }
  return process_cells_.load(std::memory_order_relaxed);
}

}  // namespace shmetrics::detail
