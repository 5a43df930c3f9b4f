// Where a worker can be killed or stopped by a test: a name behind each step that leaves something to be found.
//
// In the build of tests/faults, passing one calls pass(), which kills, stops or holds the caller if a test asked for
// it. In every other build SHMETRICS_FAILPOINT is nothing. What a kill at each leaves, and who repairs it:
// docs/segment-format.md, "Crash table", which names every one of them.
//
// Threads: any. Failure: none: it is nothing, or ends or stops the caller. Lifetime: none.
#pragma once

#ifdef SHMETRICS_FAILPOINTS

// In the order of the crash table.
#define SHMETRICS_EACH_FAILPOINT(X) \
  X(create_opened)                  \
  X(create_sized)                   \
  X(create_allocated)               \
  X(create_spill_said)              \
  X(create_header_written)          \
  X(create_magic_stored)            \
  X(create_mode_set)                \
  X(create_linked)                  \
  X(replace_locked)                 \
  X(replace_built)                  \
  X(replace_linked)                 \
  X(replace_renamed)                \
  X(append_index_allocated)         \
  X(append_spill_allocated)         \
  X(append_spill_said)              \
  X(append_room_allocated)          \
  X(append_space_moved)             \
  X(append_record_written)          \
  X(append_lost)                    \
  X(append_published)               \
  X(claim_entry_byte_locked)        \
  X(claim_entry_pinned)             \
  X(claim_entry_epoch_odd)          \
  X(claim_entry_adoption_counted)   \
  X(claim_entry_death_counted)      \
  X(claim_entry_released_cleared)   \
  X(claim_entry_gauge_folded)       \
  X(claim_entry_stamp_cleared)      \
  X(claim_entry_gauges_reset)       \
  X(claim_entry_prepared)           \
  X(claim_entry_owner_described)    \
  X(claim_entry_live_byte_locked)   \
  X(claim_entry_descriptor_closed)  \
  X(claim_entry_epoch_even)         \
  X(claim_slot_owner_stored)        \
  X(claim_slot_memory_allocated)    \
  X(claim_slot_cells_said)          \
  X(claim_slot_redo_bucket_stored)  \
  X(claim_slot_redo_sum_stored)     \
  X(claim_slot_redo_even)           \
  X(grow_slot_allocated)            \
  X(grow_slot_said)                 \
  X(grow_process_slot_allocated)    \
  X(grow_process_slot_said)         \
  X(observe_position_stored)        \
  X(observe_redo_bucket_stored)     \
  X(observe_redo_sum_stored)        \
  X(observe_sequence_odd)           \
  X(observe_bucket_stored)          \
  X(observe_sum_stored)             \
  X(observe_sequence_even)          \
  X(observe_spill_bucket_added)     \
  X(observe_spill_sum_added)        \
  X(exemplar_sequence_odd)          \
  X(exemplar_value_stored)          \
  X(exemplar_text_stored)           \
  X(exemplar_sequence_even)         \
  X(gauge_value_stored)             \
  X(gauge_stamp_stored)             \
  X(release_slot_closed)            \
  X(release_slot_owner_cleared)     \
  X(release_entry_began)            \
  X(release_entry_said)

namespace shmetrics::shm {

#define SHMETRICS_ENUMERATOR(name) name,
enum class Failpoint { SHMETRICS_EACH_FAILPOINT(SHMETRICS_ENUMERATOR) };
#undef SHMETRICS_ENUMERATOR

/// Defined by the test.
void pass(Failpoint point) noexcept;

}  // namespace shmetrics::shm

#define SHMETRICS_FAILPOINT(name) ::shmetrics::shm::pass(::shmetrics::shm::Failpoint::name)

#else
#define SHMETRICS_FAILPOINT(name) static_cast<void>(0)
#endif
