// Exemplars of updates: handles and labels in, cells of the thread's slot out.
#include "shm/exemplar.hpp"

#include <time.h>

#include "client/attachment.hpp"
#include "client/slow_path.hpp"
#include "client/writer.hpp"
#include "shm/native_window.hpp"

namespace shmetrics::detail {
namespace {

// Coarse: some milliseconds late, and with no clock of any machine a system call.
std::uint64_t unix_now_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

bool is_none(const Exemplar& exemplar) {
  return exemplar.trace_id.empty() && exemplar.span_id.empty() && exemplar.labels.empty();
}

// The number of the exemplar of a bucket.
std::uint32_t exemplar_of(const FamilyState& family, std::uint32_t bucket) noexcept {
  const auto octave = [&](std::int32_t key) { return shm::coarser_native_key(key, family.octave_steps); };
  const std::int32_t first = family.native_low_key;
  return static_cast<std::uint32_t>(octave(first + static_cast<std::int32_t>(bucket)) - octave(first));
}

// The thread's cells, with `last_cell` among them; null: it has none.
shm::SharedWord* thread_cells(Attachment& attachment, std::uint32_t last_cell) noexcept {
  const ThreadSlot& slot = thread_slots[attachment.registry];
  if (last_cell < slot.limit) return reinterpret_cast<shm::SharedWord*>(slot.cells);
  const SlowPath slow;
  return own_cells(attachment, last_cell);
}

}  // namespace

void keep_exemplar(const HandleParts& series, std::uint32_t bucket, double value, const Exemplar& exemplar) noexcept {
  // Without a trace there is nothing to keep. And what the update does not change has no example of it.
  if (is_none(exemplar) || series.family == nullptr || is_dropped(series.cell)) return;
  const FamilyState& family = *series.family;
  // Of a test's segment that is gone, while another one has its number.
  if (Attachment::at(series.registry) != family.attachment) return;
  Attachment& attachment = *family.attachment;
  if (family.exemplar_cell == 0) return attachment.mapping.tally(shm::Tally::kExemplarNotDeclared);

  shm::ExemplarLabels labels;
  labels.add("trace_id", exemplar.trace_id);
  labels.add("span_id", exemplar.span_id);
  for (const auto& [name, label_value] : exemplar.labels) labels.add(name, label_value);
  if (labels.refusal() != shm::ExemplarLabels::Refusal::kNone) {
    const bool is_too_long = labels.refusal() == shm::ExemplarLabels::Refusal::kTooLong;
    return attachment.mapping.tally(is_too_long ? shm::Tally::kExemplarTooLong : shm::Tally::kExemplarInvalid);
  }
  if (labels.text().empty()) return;

  const std::uint32_t first_cell =
      series.cell + family.exemplar_cell + exemplar_of(family, bucket) * shm::kExemplarCells;
  shm::SharedWord* const cells = thread_cells(attachment, first_cell + shm::kExemplarCells - 1);
  if (cells == nullptr) return attachment.mapping.tally(shm::Tally::kExemplarNoSlot);
  shm::store_exemplar(cells + first_cell, unix_now_ns(), value, labels.words(), labels.text().size());
}

}  // namespace shmetrics::detail
