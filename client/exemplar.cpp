// Exemplars of updates: handles and labels in, cells of the thread's slot out.
#include "shm/exemplar.hpp"

#include <time.h>

#include "client/attachment.hpp"
#include "client/slow_path.hpp"
#include "client/writer.hpp"

namespace shmetrics::detail {
namespace {

bool is_none(const Exemplar& exemplar) {
  return exemplar.trace_id.empty() && exemplar.span_id.empty() && exemplar.labels.empty();
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
  // Without labels there is nothing to keep. An update that did not count is no example of anything.
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

  // The window of a classic histogram is the default one: an exemplar a bucket.
  const std::uint32_t number = family.window.exemplar_of(bucket);
  const std::uint32_t first_cell = series.cell + family.exemplar_cell + number * shm::kExemplarCells;
  shm::SharedWord* const cells = thread_cells(attachment, first_cell + shm::kExemplarCells - 1);
  if (cells == nullptr) return attachment.mapping.tally(shm::Tally::kExemplarNoSlot);
  // The coarse clock may be some milliseconds late, but on no machine does it need a system call.
  const std::uint64_t now = shm::clock_ns(CLOCK_REALTIME_COARSE);
  shm::store_exemplar(cells + first_cell, now, value, labels.words(), labels.text().size());
}

}  // namespace shmetrics::detail
