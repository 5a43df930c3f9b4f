#include "shm/directory.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "shm/xxh3.hpp"

namespace shmetrics::shm {
namespace {

static_assert(kMaxRecordBytes > sizeof(FamilyRecord) + kMaxBounds * 8 + kMaxLabels * (2 + kMaxNameBytes) +
                                    kMaxNameBytes + kMaxHelpBytes + kMaxUnitBytes);
static_assert(kMaxRecordBytes > sizeof(SeriesRecord) + kMaxLabels * (2 + kMaxLabelValueBytes));

/// Takes fields and texts off the front of a record; every read is checked, and a failed one leaves `ok` false.
class Taker {
 public:
  explicit Taker(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (rest_.size() < sizeof(T)) {
      ok_ = false;
    } else {
      std::memcpy(&value, rest_.data(), sizeof(T));
      rest_ = rest_.subspan(sizeof(T));
    }
    return value;
  }
  std::string_view text(std::size_t length) {
    if (rest_.size() < length) {
      ok_ = false;
      return {};
    }
    const std::string_view taken(reinterpret_cast<const char*>(rest_.data()), length);
    rest_ = rest_.subspan(length);
    return taken;
  }
  /// Whether all went well and nothing is left but zeros up to the next multiple of 8.
  bool finished() const {
    return ok_ && rest_.size() < 8 &&
           std::all_of(rest_.begin(), rest_.end(), [](std::byte b) { return b == std::byte{0}; });
  }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

template <typename T>
void put(std::string& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

std::uint16_t length16(std::string_view text) {
  return static_cast<std::uint16_t>(text.size());
}

bool is_unknown(const FamilyRecord& family) {
  return family.type > static_cast<std::uint32_t>(MetricType::kInfo) ||
         family.cell_kind > static_cast<std::uint32_t>(CellKind::kDouble) ||
         family.gauge_mode > static_cast<std::uint32_t>(GaugeMode::kShared) || (family.flags & ~kKnownFamilyFlags) != 0;
}

bool in_range(const FamilyRecord& family) {
  return family.type >= 1 && family.cell_kind >= 1 && family.label_count <= kMaxLabels &&
         family.bound_count <= kMaxBounds;
}

ClaimAction known_action(std::uint16_t word) {
  return word > static_cast<std::uint16_t>(ClaimAction::kFoldMax) ? ClaimAction::kZero : static_cast<ClaimAction>(word);
}

}  // namespace

std::uint64_t record_checksum(std::span<const std::byte> record) {
  RecordHead head;
  std::memcpy(&head, record.data(), sizeof head);
  constexpr std::size_t kBegin = offsetof(RecordHead, thread_end);
  return xxh3(record.data() + kBegin, record.size() - kBegin, std::uint64_t{head.length} << 32 | head.kind);
}

void seal(std::string& record, RecordKind kind, const CellCursor& ends) {
  record.resize((record.size() + 7) / 8 * 8);
  RecordHead head{static_cast<std::uint32_t>(record.size()), static_cast<std::uint32_t>(kind), 0, ends.thread_cells,
                  ends.process_cells};
  std::memcpy(record.data(), &head, sizeof head);
  head.checksum = record_checksum(std::as_bytes(std::span(record)));
  std::memcpy(record.data(), &head, sizeof head);
}

DirectoryParser::Step DirectoryParser::reject(std::string problem, bool is_series) const {
  return Defect{entries_, std::move(problem), is_series};
}

// Says what is wrong with a record's cells in one space, or nothing. They follow the cells of the record before it.
// After a defect they may begin later, because the cells of the lost record are not known.
std::string DirectoryParser::refuse_cells(OwnCells own, std::uint32_t free, std::uint32_t end) const {
  const std::uint32_t first = own.count > 0 ? own.first : is_behind_defect_ ? end : free;
  const bool follows = is_behind_defect_ ? first >= free : first == free;
  if (follows && std::uint64_t{first} + own.count == end && end <= geometry_.cells) return {};
  return "cells " + std::to_string(first) + " to " + std::to_string(std::uint64_t{first} + own.count) +
         " of a record that ends at " + std::to_string(end) + ", free from " + std::to_string(free) + ", limit " +
         std::to_string(geometry_.cells);
}

// Checks the cells of a record and moves behind them. Says what is wrong, or nothing.
std::string DirectoryParser::place(OwnCells thread, OwnCells process, const RecordHead& head) {
  std::string problem = refuse_cells(thread, cells_.thread_cells, head.thread_end);
  if (problem.empty()) problem = refuse_cells(process, cells_.process_cells, head.process_end);
  if (problem.empty()) cells_ = {head.thread_end, head.process_end};
  return problem;
}

Defect DirectoryParser::skip(std::string problem) {
  is_behind_defect_ = true;
  return {entries_++, std::move(problem), false};
}

DirectoryParser::Step DirectoryParser::next(std::span<const std::byte> record) {
  const CellCursor before = cells_;
  try {
    Step step = parse(record);
    is_behind_defect_ = std::holds_alternative<Defect>(step);
    ++entries_;
    return step;
  } catch (...) {
    cells_ = before;
    throw;
  }
}

DirectoryParser::Step DirectoryParser::parse(std::span<const std::byte> record) {
  RecordHead head;
  if (record.size() < sizeof head) return reject("record cut off", false);
  std::memcpy(&head, record.data(), sizeof head);
  const bool is_series = head.kind == static_cast<std::uint32_t>(RecordKind::kSeries);
  if (head.length != record.size() || record_checksum(record) != head.checksum) {
    return reject("record of " + std::to_string(record.size()) + " bytes does not match its checksum", is_series);
  }
  if (is_series) return parse_series(record, head);
  if (head.kind == static_cast<std::uint32_t>(RecordKind::kFamily)) return parse_family(record, head);
  if (head.kind == 0) return reject("record of no kind", false);
  return unknown(head, false, ClaimAction::kZero);
}

// Its own cells cannot be told: all cells between the ends before it and its own ends are taken to be.
DirectoryParser::Step DirectoryParser::unknown(const RecordHead& head, bool is_series, ClaimAction action) {
  const auto up_to = [](std::uint32_t free, std::uint32_t end) { return OwnCells{free, end > free ? end - free : 0}; };
  const OwnCells process = up_to(cells_.process_cells, head.process_end);
  if (std::string problem = place(up_to(cells_.thread_cells, head.thread_end), process, head); !problem.empty()) {
    return reject(problem, is_series);
  }
  UnknownRecord record;
  record.entry = entries_;
  record.is_series = is_series;
  record.first_process_cell = process.first;
  record.process_cells = process.count;
  record.claim_action = action;
  return record;
}

// Its fixed fields keep their places in every release, and so its name can be read.
DirectoryParser::Step DirectoryParser::unknown_family(std::span<const std::byte> record, const FamilyRecord& fields) {
  const ClaimAction action = known_action(fields.claim_action);
  Step step = unknown(fields.head, false, action);
  auto* const family = std::get_if<UnknownRecord>(&step);
  if (family == nullptr) return step;
  family->type = fields.type;
  const std::size_t name_at = sizeof fields + std::size_t{fields.bound_count} * 8 + std::size_t{fields.label_count} * 2;
  if (name_at + fields.name_bytes <= record.size()) {
    family->family_name = {reinterpret_cast<const char*>(record.data()) + name_at, fields.name_bytes};
  }
  families_[entries_] = {MetricType{}, 0, true, action, 0};
  return step;
}

DirectoryParser::Step DirectoryParser::parse_family(std::span<const std::byte> record, const RecordHead& head) {
  Taker taker(record);
  ParsedFamily family;
  family.entry = entries_;
  family.record = taker.take<FamilyRecord>();
  const FamilyRecord& fields = family.record;
  if (is_unknown(fields)) return unknown_family(record, fields);
  if (!in_range(fields)) return reject("family record with a field out of range", false);

  Schema& schema = family.schema;
  schema.naming = Naming::kLenient;  // the record does not say how its worker was asked to name
  schema.type = static_cast<MetricType>(fields.type);
  schema.cell_kind = static_cast<CellKind>(fields.cell_kind);
  schema.gauge_mode = static_cast<GaugeMode>(fields.gauge_mode);
  schema.is_native = (fields.flags & kFamilyNative) != 0;
  schema.has_exemplars = (fields.flags & kFamilyExemplars) != 0;
  for (std::uint16_t i = 0; i < fields.bound_count; ++i) {
    schema.bounds.push_back(std::bit_cast<double>(taker.take<std::uint64_t>()));
  }
  std::array<std::uint16_t, kMaxLabels> lengths{};
  for (std::uint16_t i = 0; i < fields.label_count; ++i) lengths[i] = taker.take<std::uint16_t>();
  schema.name = taker.text(fields.name_bytes);
  schema.help = taker.text(fields.help_bytes);
  schema.unit = taker.text(fields.unit_bytes);
  for (std::uint16_t i = 0; i < fields.label_count; ++i) schema.labels.push_back(taker.text(lengths[i]));
  if (!taker.finished()) return reject("family record and its lengths disagree", false);
  if (std::string problem = refusal(schema); !problem.empty()) return reject(problem, false);

  const bool is_labelled = !schema.labels.empty();
  const bool is_gauge = in_process_slots(schema.type);
  OwnCells thread, process;
  OwnCells& own = is_gauge ? process : thread;
  const std::uint32_t cells = series_cells(schema);
  if (!is_labelled || !is_gauge) own = {fields.first_cell, cells};
  if (is_labelled && is_gauge) thread.first = fields.overflow_tally;
  if (is_labelled && fields.overflow_tally != thread.first + thread.count) {
    return reject("family record whose overflow tallies do not follow its overflow series", false);
  }
  if (is_labelled) thread.count += kOverflowReasons;
  if ((own.count == 0 && fields.first_cell != 0) || (!is_labelled && fields.overflow_tally != 0)) {
    return reject("family record names a cell that it does not have", false);
  }
  if (std::string problem = place(thread, process, head); !problem.empty()) return reject(problem, false);
  families_[entries_] = {schema.type, fields.label_count, false, ClaimAction::kZero, cells};
  return family;
}

DirectoryParser::Step DirectoryParser::parse_series(std::span<const std::byte> record, const RecordHead& head) {
  // Filled in where it is returned: a copy of its views costs as much as the parse.
  Step step(std::in_place_type<ParsedSeries>);
  ParsedSeries& series = std::get<ParsedSeries>(step);
  const auto rejected = [&](std::string problem) { step = reject(std::move(problem), true); };
  Taker taker(record);
  series.entry = entries_;
  series.record = taker.take<SeriesRecord>();
  const auto known = families_.find(series.record.family);
  if (known == families_.end()) {
    rejected("series of an unknown family, entry " + std::to_string(series.record.family));
    return step;
  }
  const Known& family = known->second;
  if (family.is_unknown) {
    step = unknown(head, true, family.claim_action);
    return step;
  }
  std::array<std::uint16_t, kMaxLabels> lengths{};
  for (std::uint16_t i = 0; i < family.label_count; ++i) lengths[i] = taker.take<std::uint16_t>();
  for (std::uint16_t i = 0; i < family.label_count; ++i) series.value_storage[i] = taker.text(lengths[i]);
  series.value_count = family.label_count;
  if (family.label_count == 0 || !taker.finished()) {
    rejected("series record and its lengths disagree");
    return step;
  }
  const auto values = series.values();
  if (!std::all_of(values.begin(), values.end(), is_valid_label_value)) {
    rejected("label value that is too long or not UTF-8");
    return step;
  }
  const OwnCells own{series.record.first_cell, family.series_cells};
  const bool is_gauge = in_process_slots(family.type);
  std::string problem = place(is_gauge ? OwnCells{} : own, is_gauge ? own : OwnCells{}, head);
  if (!problem.empty()) rejected(std::move(problem));
  return step;
}

std::string encode_family(const Schema& schema, std::uint64_t created_unix_ns, std::uint32_t series_limit,
                          CellCursor& cells) {
  FamilyRecord fields{};
  fields.created_unix_ns = created_unix_ns;
  fields.type = static_cast<std::uint32_t>(schema.type);
  fields.cell_kind = static_cast<std::uint32_t>(schema.cell_kind);
  fields.gauge_mode = static_cast<std::uint32_t>(schema.gauge_mode);
  fields.series_limit = series_limit;
  fields.flags = (schema.is_native ? kFamilyNative : 0) | (schema.has_exemplars ? kFamilyExemplars : 0);
  fields.label_count = static_cast<std::uint16_t>(schema.labels.size());
  fields.bound_count = static_cast<std::uint16_t>(schema.bounds.size());
  fields.name_bytes = length16(schema.name);
  fields.help_bytes = length16(schema.help);
  fields.unit_bytes = length16(schema.unit);
  fields.claim_action = static_cast<std::uint16_t>(claim_action(schema.type, schema.gauge_mode));
  const bool own_cells = schema.labels.empty() || !in_process_slots(schema.type);
  if (own_cells) {
    fields.first_cell = cells.of(schema.type);
    cells.of(schema.type) += series_cells(schema);
  }
  if (!schema.labels.empty()) {
    fields.overflow_tally = cells.thread_cells;
    cells.thread_cells += kOverflowReasons;
  }

  std::string record;
  put(record, fields);
  for (const double bound : schema.bounds) put(record, std::bit_cast<std::uint64_t>(bound));
  for (const std::string_view label : schema.labels) put(record, length16(label));
  record.append(schema.name).append(schema.help).append(schema.unit);
  for (const std::string_view label : schema.labels) record.append(label);
  seal(record, RecordKind::kFamily, cells);
  return record;
}

std::string encode_series(std::uint32_t family_entry, MetricType type, std::uint32_t series_cells,
                          std::span<const std::string_view> values, std::uint64_t created_unix_ns, CellCursor& cells) {
  SeriesRecord fields{};
  fields.created_unix_ns = created_unix_ns;
  fields.family = family_entry;
  fields.first_cell = cells.of(type);
  cells.of(type) += series_cells;

  std::string record;
  put(record, fields);
  for (const std::string_view value : values) put(record, length16(value));
  for (const std::string_view value : values) record.append(value);
  seal(record, RecordKind::kSeries, cells);
  return record;
}

}  // namespace shmetrics::shm
