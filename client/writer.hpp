// The slow path of updates: a thread's slot is claimed, grown and given back here. Updates without a slot go to the
// spill.
//
// Threads: any; a slot is its thread's alone. Failure: by result; nothing throws. Lifetime: a slot until its thread
// ends.
#pragma once

#include <cstdint>

#include "client/attachment.hpp"

namespace shmetrics::detail {

/// The calling thread's slot, with cells up to `last_cell` accessible; claimed and grown as needed. Null: use the
/// spill.
shm::SharedWord* own_cells(Attachment& attachment, std::uint32_t last_cell) noexcept;

/// Gives the calling thread's slot of one segment back; the thread may claim another.
void give_back_slot(std::uint32_t registry) noexcept;
/// At the end of the calling thread: all of them, for good.
void give_back_all_slots() noexcept;

/// In a forked child: the calling thread, its only one, has no slot.
void forget_threads() noexcept;

}  // namespace shmetrics::detail
