#include "shm/directory.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace shmetrics::shm {
namespace {

constexpr std::uint32_t kMaxRecordBytes = 32768;
static_assert(kMaxRecordBytes > sizeof(FamilyRecord) + kMaxBounds * 8 + kMaxLabels * (2 + kMaxNameBytes) +
                                    kMaxNameBytes + kMaxHelpBytes + kMaxUnitBytes);
static_assert(kMaxRecordBytes > sizeof(SeriesRecord) + kMaxLabels * (2 + kMaxLabelValueBytes));

// Of checksums tried behind one damaged record: a hostile log asks for a long one at every word.
constexpr std::size_t kMaxSearchedBytes = 1u << 20;

bool is_length(std::uint32_t length, std::size_t room) {
  return length >= sizeof(RecordHead) && length % 8 == 0 && length <= kMaxRecordBytes && length <= room;
}

// Records lie at multiples of 8, and a checksum does not hold by chance: so one damaged record costs itself alone.
std::size_t next_sound_record(std::span<const std::byte> directory, std::size_t behind) {
  std::size_t searched_bytes = 0;
  for (std::size_t at = behind + 8; at + sizeof(RecordHead) <= directory.size(); at += 8) {
    RecordHead head;
    std::memcpy(&head, directory.data() + at, sizeof head);
    if (!is_length(head.length, directory.size() - at)) continue;
    searched_bytes += head.length;
    if (searched_bytes > kMaxSearchedBytes) break;
    if (record_checksum(directory.subspan(at, head.length)) == head.checksum) return at;
  }
  return directory.size();
}

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

// Pads the record, then fills in its head, which needs the final length.
void seal(std::string& record, RecordKind kind) {
  record.resize((record.size() + 7) / 8 * 8);
  RecordHead head{static_cast<std::uint32_t>(record.size()), static_cast<std::uint32_t>(kind), 0};
  std::memcpy(record.data(), &head, sizeof head);
  head.checksum = record_checksum(std::as_bytes(std::span(record)));
  std::memcpy(record.data(), &head, sizeof head);
}

bool in_range(const FamilyRecord& family) {
  return family.type >= 1 && family.type <= static_cast<std::uint32_t>(MetricType::kInfo) && family.cell_kind >= 1 &&
         family.cell_kind <= static_cast<std::uint32_t>(CellKind::kDouble) &&
         family.gauge_mode <= static_cast<std::uint32_t>(GaugeMode::kAll) && family.label_count <= kMaxLabels &&
         family.bound_count <= kMaxBounds && family.reserved == 0;
}

}  // namespace

std::uint64_t record_checksum(std::span<const std::byte> record) {
  RecordHead head;
  std::memcpy(&head, record.data(), sizeof head);
  return XXH3_64bits_withSeed(record.data() + sizeof head, record.size() - sizeof head,
                              std::uint64_t{head.length} << 32 | head.kind);
}

DirectoryParser::Step DirectoryParser::reject(std::string problem, bool is_series) {
  return Defect{position_, std::move(problem), is_series, true};
}

// Checks the cells of a record and moves the cursor behind them. Says what is wrong, or nothing.
std::string DirectoryParser::place(MetricType type, std::uint32_t first_cell, std::uint32_t count) {
  std::uint32_t& cursor = cells_.of(type);
  if (first_cell < cursor) {
    return "first cell " + std::to_string(first_cell) + " belongs to an earlier record, free from " +
           std::to_string(cursor);
  }
  if (first_cell > geometry_.cells || count > geometry_.cells - first_cell) {
    return "cells up to " + std::to_string(std::uint64_t{first_cell} + count) + ", limit " +
           std::to_string(geometry_.cells);
  }
  // Behind a defect the cursor cannot know what the lost record had: a gap is taken as it comes, and `check` names it.
  gap_ = gap_ || first_cell != cursor;
  cursor = first_cell + count;
  return {};
}

DirectoryParser::Step DirectoryParser::next(std::span<const std::byte> directory) {
  if (position_ + sizeof(RecordHead) > directory.size()) {
    if (position_ >= directory.size()) return std::monostate{};
    Defect defect{position_, "record cut off at the committed length", false, false};
    position_ = static_cast<std::uint32_t>(directory.size());
    return defect;
  }
  gap_ = false;
  RecordHead head;
  std::memcpy(&head, directory.data() + position_, sizeof head);
  if (!is_length(head.length, directory.size() - position_) ||
      record_checksum(directory.subspan(position_, head.length)) != head.checksum) {
    // Nothing of it is to be believed, its length least of all.
    Step step = reject("record of " + std::to_string(head.length) + " bytes does not match its checksum",
                       head.kind == static_cast<std::uint32_t>(RecordKind::kSeries));
    position_ = static_cast<std::uint32_t>(next_sound_record(directory, position_));
    return step;
  }
  const auto record = directory.subspan(position_, head.length);
  Step step;
  if (head.kind == static_cast<std::uint32_t>(RecordKind::kFamily)) {
    step = parse_family(record);
  } else if (head.kind == static_cast<std::uint32_t>(RecordKind::kSeries)) {
    step = parse_series(record);
  } else {
    step = reject("record kind " + std::to_string(head.kind) + " is unknown", false);
  }
  position_ += head.length;
  return step;
}

DirectoryParser::Step DirectoryParser::parse_family(std::span<const std::byte> record) {
  Taker taker(record);
  ParsedFamily family;
  family.offset = position_;
  family.record = taker.take<FamilyRecord>();
  const FamilyRecord& fields = family.record;
  if (!in_range(fields)) return reject("family record with a field out of range", false);

  Schema& schema = family.schema;
  schema.type = static_cast<MetricType>(fields.type);
  schema.cell_kind = static_cast<CellKind>(fields.cell_kind);
  schema.gauge_mode = static_cast<GaugeMode>(fields.gauge_mode);
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

  const std::uint32_t cells = series_cells(schema.type, schema.bounds.size());
  std::string problem;
  const bool has_own_cells = schema.labels.empty() || !in_process_slots(schema.type);
  if ((!has_own_cells && fields.first_cell != 0) || (schema.labels.empty() && fields.overflow_tally != 0)) {
    return reject("family record names a cell that it does not have", false);
  }
  if (has_own_cells) problem = place(schema.type, fields.first_cell, cells);
  if (problem.empty() && !schema.labels.empty()) problem = place(MetricType::kCounter, fields.overflow_tally, 1);
  if (!problem.empty()) return reject(problem, false);
  family.gap = gap_;
  families_[position_] = {schema.type, fields.label_count, fields.bound_count};
  return family;
}

DirectoryParser::Step DirectoryParser::parse_series(std::span<const std::byte> record) {
  Taker taker(record);
  ParsedSeries series;
  series.offset = position_;
  series.record = taker.take<SeriesRecord>();
  const auto known = families_.find(series.record.family);
  if (known == families_.end()) {
    return reject("series of an unknown family at " + std::to_string(series.record.family), true);
  }
  const Known& family = known->second;
  std::array<std::uint16_t, kMaxLabels> lengths{};
  for (std::uint16_t i = 0; i < family.label_count; ++i) lengths[i] = taker.take<std::uint16_t>();
  for (std::uint16_t i = 0; i < family.label_count; ++i) series.value_storage[i] = taker.text(lengths[i]);
  series.value_count = family.label_count;
  if (family.label_count == 0 || !taker.finished()) return reject("series record and its lengths disagree", true);
  for (const std::string_view value : series.values()) {
    if (!is_valid_label_value(value)) return reject("label value that is too long or not UTF-8", true);
  }
  std::string problem = place(family.type, series.record.first_cell, series_cells(family.type, family.bound_count));
  if (!problem.empty()) return reject(problem, true);
  series.gap = gap_;
  return series;
}

std::string encode_family(const Schema& schema, const FamilyPlacement& placement, CellCursor& cells) {
  FamilyRecord fields{};
  fields.created_unix_ns = placement.created_unix_ns;
  fields.type = static_cast<std::uint32_t>(schema.type);
  fields.cell_kind = static_cast<std::uint32_t>(schema.cell_kind);
  fields.gauge_mode = static_cast<std::uint32_t>(schema.gauge_mode);
  fields.series_limit = placement.series_limit;
  fields.supersedes = placement.supersedes;
  fields.label_count = static_cast<std::uint16_t>(schema.labels.size());
  fields.bound_count = static_cast<std::uint16_t>(schema.bounds.size());
  fields.name_bytes = length16(schema.name);
  fields.help_bytes = length16(schema.help);
  fields.unit_bytes = length16(schema.unit);
  const bool own_cells = schema.labels.empty() || !in_process_slots(schema.type);
  if (own_cells) {
    fields.first_cell = cells.of(schema.type);
    cells.of(schema.type) += series_cells(schema.type, schema.bounds.size());
  }
  if (!schema.labels.empty()) fields.overflow_tally = cells.thread_cells++;

  std::string record;
  put(record, fields);
  for (const double bound : schema.bounds) put(record, std::bit_cast<std::uint64_t>(bound));
  for (const std::string_view label : schema.labels) put(record, length16(label));
  record.append(schema.name).append(schema.help).append(schema.unit);
  for (const std::string_view label : schema.labels) record.append(label);
  seal(record, RecordKind::kFamily);
  return record;
}

std::string encode_series(std::uint32_t family_offset, MetricType type, std::size_t bound_count,
                          std::span<const std::string_view> values, std::uint64_t created_unix_ns, CellCursor& cells) {
  SeriesRecord fields{};
  fields.created_unix_ns = created_unix_ns;
  fields.family = family_offset;
  fields.first_cell = cells.of(type);
  cells.of(type) += series_cells(type, bound_count);

  std::string record;
  put(record, fields);
  for (const std::string_view value : values) put(record, length16(value));
  for (const std::string_view value : values) record.append(value);
  seal(record, RecordKind::kSeries);
  return record;
}

}  // namespace shmetrics::shm
