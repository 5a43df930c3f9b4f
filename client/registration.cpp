#include "client/registration.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "client/append.hpp"
#include "client/declaration.hpp"
#include "client/slow_path.hpp"
#include "shm/naming.hpp"

namespace shmetrics::detail {
namespace {

HandleParts handle(const FamilyState& family, std::uint32_t cell) noexcept {
  return {family.registry, cell, &family};
}

// The label set has no series of its own.
HandleParts overflow(const FamilyState& family, shm::Overflow why) noexcept {
  if (!family.is_declared()) return handle(family, family.first_cell);
  Attachment& attachment = *family.attachment;
  const std::uint32_t cell = family.overflow_tally + static_cast<std::uint32_t>(why);
  if (shm::SharedWord* spill = attachment.mapping.spill_cells(cell)) spill[cell].add_relaxed(1);
  if (!family.in_process_slots()) return handle(family, family.first_cell);
  return handle(family, dropped_cell(why == shm::Overflow::kNoMemory ? shm::Tally::kDroppedNoMemory
                                     : why == shm::Overflow::kBusy   ? shm::Tally::kDroppedBusy
                                                                     : shm::Tally::kDroppedSeriesLimit));
}

bool is_label_set(std::span<const std::string_view> values) {
  // `__overflow__` as a label value gives the overflow series; another series of that name would be there twice.
  return std::all_of(values.begin(), values.end(), shm::is_valid_label_value) &&
         !std::all_of(values.begin(), values.end(), [](auto value) { return value == shm::kOverflowValue; });
}

shm::Overflow overflow_of(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::kLimit:
      return shm::Overflow::kSeriesLimit;
    case Obstacle::kCells:
      return shm::Overflow::kCells;
    case Obstacle::kNoMemory:
      return shm::Overflow::kNoMemory;
    case Obstacle::kBusy:
      return shm::Overflow::kBusy;
    default:
      return shm::Overflow::kDirectory;
  }
}

// Control lock held.
std::optional<std::uint32_t> find_or_append_series(const FamilyState& family, std::span<const std::string_view> values,
                                                   const Deadline& deadline, Obstacle& obstacle) {
  Attachment& attachment = *family.attachment;
  const auto look = [&]() -> std::optional<std::uint32_t> {
    const std::uint32_t cell = attachment.mirror.series().find(family.entry, values);
    if (cell != SeriesTable::kUnknown) return cell;
    const FamilyState* counted = attachment.mirror.family(family.entry);
    if (counted != nullptr && counted->has_ended) obstacle = Obstacle::kEnded;
    if (counted == nullptr) obstacle = Obstacle::kDamaged;  // another log has taken the place of ours
    if (counted != nullptr && !counted->has_ended && counted->series_count >= family.series_limit) {
      obstacle = Obstacle::kLimit;
    }
    return std::nullopt;
  };
  return find_or_append(attachment, deadline, obstacle, look, [&](shm::CellCursor& cells) {
    return shm::encode_series(family.entry, family.schema.type, family.series_cells, values, shm::unix_now_ns(), cells);
  });
}

}  // namespace

HandleParts register_series(const FamilyState& given, std::span<const std::string_view> values) noexcept {
  const SlowPath slow;
  const FamilyState* const declared = given.is_declared() ? &given : heal(given);
  if (declared == nullptr) return handle(given, given.first_cell);
  const FamilyState& family = *declared;
  if (values.empty()) return only_series(&family);
  if (!is_label_set(values)) return overflow(family, shm::Overflow::kInvalidValue);
  Attachment& attachment = *family.attachment;
  // If the family has healed, its series have not been looked up yet.
  if (const std::uint32_t cell = attachment.mirror.series().find(family.entry, values); cell != SeriesTable::kUnknown) {
    return handle(family, cell);
  }
  if (family.series_count >= family.series_limit) return overflow(family, shm::Overflow::kSeriesLimit);
  if (attachment.memory_breaker.is_open()) return overflow(family, shm::Overflow::kNoMemory);
  const Deadline deadline;
  const ControlGuard control(deadline);
  if (!control) return overflow(family, shm::Overflow::kBusy);
  Obstacle obstacle = Obstacle::kNone;
  try {
    if (const auto cell = find_or_append_series(family, values, deadline, obstacle)) return handle(family, *cell);
  } catch (const std::exception&) {
    obstacle = Obstacle::kNoMemory;
  }
  // Its series are not shown any more.
  if (obstacle == Obstacle::kEnded) return handle(family, dropped_cell(shm::Tally::kDroppedRefusedFamily));
  // Full: no use in trying at every update.
  if (obstacle == Obstacle::kNoMemory) attachment.memory_breaker.open();
  return overflow(family, overflow_of(obstacle));
}

HandleParts refuse_labels(const FamilyState& family, std::size_t values) noexcept {
  if (!family.is_declared()) return handle(family, family.first_cell);
  const HandleParts dropped = handle(family, dropped_cell(shm::Tally::kDroppedSeriesLimit));
  const shm::Schema& schema = family.schema;
  if (!schema.labels.empty()) overflow(family, shm::Overflow::kInvalidValue);  // without labels there is no tally
  if (family.attachment->has_said(kWrongLabels)) return dropped;
  const SlowPath slow;
  char line[shm::kMaxNameBytes + 100];
  std::snprintf(line, sizeof line, "'%.*s' takes %zu label values and was given %zu: such updates are dropped",
                static_cast<int>(schema.name.size()), schema.name.data(), schema.labels.size(), values);
  family.attachment->say_once(kWrongLabels, line);
  return dropped;
}

}  // namespace shmetrics::detail
