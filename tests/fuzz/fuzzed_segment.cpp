#include "tests/fuzz/fuzzed_segment.hpp"

#include <fcntl.h>

#include <cstring>

#include "shm/exemplar.hpp"
#include "shm/native_window.hpp"
#include "tests/fuzz/oracle.hpp"

namespace shmetrics::fuzz {
namespace {

constexpr std::uint64_t kRegionBytes = shm::kPageBytes;  // of a slot's cells: a hole takes as much
constexpr std::uint64_t kLogBytes = 16384;               // of the heap: the sound records, and room to append

// Words that stand for something somewhere, more often than chance would have them.
std::uint64_t telling_word(Input& input) {
  static constexpr std::uint64_t kWords[] = {0,
                                             1,
                                             2,
                                             3,
                                             UINT64_MAX,
                                             std::uint64_t{1} << 63,
                                             (std::uint64_t{1} << 48) - 1,
                                             std::uint64_t{1} << 48,
                                             shm::kGrowthCells,
                                             2 * shm::kGrowthCells,
                                             shm::kMaxCells,
                                             0x7ff0000000000000,   // +Inf
                                             0xfff0000000000000,   // -Inf
                                             0x7ff8000000000000,   // NaN
                                             0xbff0000000000000,   // -1
                                             0x7fefffffffffffff};  // the largest double
  const auto choice = input.take<std::uint8_t>();
  return choice < std::size(kWords) ? kWords[choice] : input.take<std::uint64_t>();
}

}  // namespace

FuzzedSegment::FuzzedSegment() {
  fill();
  heap_end_ = sound_heap_end_ = segment_.view().directory().space.load_relaxed();
  for (std::uint32_t entry = 0; entry < owners_.size(); ++entry) records_.push_back(segment_.record(entry));
  const shm::Geometry& shape = segment_.geometry();
  regions_ = {{shape.worker_table(), shape.directory() - shape.worker_table()},
              {shape.directory(), shape.heap()},
              {shape.directory() + shape.heap(), kLogBytes}};
  for (const std::uint64_t offset :
       {shape.spill_cells(), shape.gauge_spill_cells(), shape.process_slot(0), shape.process_slot(1),
        shape.process_slot(2), shape.thread_slot(0), shape.thread_slot(1), shape.thread_slot(2)}) {
    regions_.push_back({offset, kRegionBytes});
  }
  for (const Region& region : regions_) {
    const std::byte* from = segment_.base() + region.offset;
    images_.emplace_back(from, from + region.bytes);
  }
}

void FuzzedSegment::fill() {
  const auto requests = add_family(tests::counter("requests_total", {"method", "route"}));
  const auto times = add_family(tests::histogram("seconds", {0.1, 1, 10}, {"route"}));
  const auto below = add_family(tests::histogram("degrees", {-5, 0}));
  const auto cost = add_family(tests::counter("cost_total", {}, shm::CellKind::kDouble));
  const auto sizes = add_family(tests::plain(shm::MetricType::kSummary, "bytes"));
  const auto build = add_family(tests::plain(shm::MetricType::kInfo, "build_info", {"version"}));
  for (const char* route : {"/", "/users", "a\\b\"c\n"}) {
    segment_.thread(0, add_series(requests, "requests_total", {"GET", route})).store_relaxed(3);
    const std::uint32_t first = add_series(times, "seconds", {route});
    for (std::uint32_t i = 0; i < 4; ++i) segment_.thread(i % 3, first + 2 + i).store_relaxed(i);
  }
  segment_.set_gauge(0, add_series(build, "build_info", {"1.2.3"}), 1);
  segment_.thread(1, cost.cell).store_double_relaxed(1.5);
  segment_.thread(1, sizes.cell + 1).store_double_relaxed(7);
  segment_.thread(1, sizes.cell + 2).store_relaxed(2);
  segment_.thread(2, below.cell + 3).store_relaxed(9);
  segment_.spill(cost.cell).store_double_relaxed(0.25);
  for (int mode = 0; mode <= static_cast<int>(shm::GaugeMode::kShared); ++mode) {
    const std::string name = "gauge_" + std::to_string(mode);
    const auto family = add_family(tests::gauge(name, static_cast<shm::GaugeMode>(mode)));
    for (std::uint32_t worker = 0; worker < 3; ++worker) segment_.set_gauge(worker, family.cell, worker, worker + 1);
    if (mode == static_cast<int>(shm::GaugeMode::kShared)) {
      segment_.gauge_spill(family.cell + shm::kGaugeValue).store_double_relaxed(mode);
    }
  }
  // Another release of three of them.
  const auto swapped = add_family(tests::counter("requests_total", {"route", "method"}));
  segment_.thread(1, add_series(swapped, "requests_total", {"/", "GET"})).store_relaxed(4);
  segment_.thread(1, add_family(tests::histogram("degrees", {0, 7})).cell + 4).store_relaxed(2);
  // Native buckets of two windows, and classic ones beside native ones.
  for (const double high : {4.0, 64.0}) {
    const auto native = add_family(tests::native_histogram("wait", 0.5, high, 1.1, {"route"}));
    const std::uint32_t first = add_series(native, "wait", {"/"});
    for (std::uint32_t i = 0; i < 20; ++i) segment_.thread(i % 3, first + 2 + i).store_relaxed(i);
  }
  segment_.thread(0, add_family(tests::native_histogram("seconds", 1, 2, 2, {"route"})).cell + 3).store_relaxed(5);
  const auto mode = add_family(tests::gauge("gauge_9", shm::GaugeMode::kLiveall));
  segment_.set_gauge(0, mode.cell, 8, 9);
  fill_exemplars();
  segment_.gauge_spill(0);
  segment_.dead(1);
  segment_.dead(2);
  alive_ = segment_.live(0);
}

void FuzzedSegment::fill_exemplars() {
  shm::Schema schema = tests::histogram("traced", {1, 2});
  schema.has_exemplars = true;
  const auto traced = add_family(schema);
  shm::ExemplarLabels labels;
  labels.add("trace_id", "0af7651916cd43dd8448eb211c80319c");
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    const std::uint32_t cell = traced.cell + 5 + slot * shm::kExemplarCells;
    segment_.thread(slot, cell + shm::kExemplarCells);
    shm::store_exemplar(&segment_.thread(slot, cell), slot + 1, slot, labels.words(), labels.text().size());
  }
}

tests::SegmentBuilder::Family FuzzedSegment::add_family(const shm::Schema& schema) {
  const auto family = segment_.family(schema);
  const std::string name(schema.name);
  owners_.push_back(name);
  const std::uint32_t width = shm::series_cells(schema);
  if (schema.labels.empty() || !shm::in_process_slots(schema.type)) note_cells(family.cell, width, name, schema.type);
  if (!schema.labels.empty()) note_cells(family.tally, shm::kOverflowReasons, name, shm::MetricType::kCounter);
  return family;
}

std::uint32_t FuzzedSegment::add_series(const tests::SegmentBuilder::Family& family, const std::string& name,
                                        std::vector<std::string_view> values) {
  const std::uint32_t first = segment_.series(family, std::move(values));
  owners_.push_back(name);
  note_cells(first, family.series_cells, name, family.type);
  return first;
}

void FuzzedSegment::note_cells(std::uint32_t first, std::uint32_t count, const std::string& family,
                               shm::MetricType type) {
  const bool is_observed = type == shm::MetricType::kHistogram || type == shm::MetricType::kSummary;
  cells_.push_back({first, count, family, shm::in_process_slots(type), is_observed});
}

void FuzzedSegment::hit_all(bool gauges, bool others) {
  for (const Cells& cells : cells_) {
    if (cells.is_gauge ? gauges : others) hit_.insert(cells.family);
  }
}

void FuzzedSegment::hit_observed() {
  for (const Cells& cells : cells_) {
    if (cells.is_observed) hit_.insert(cells.family);
  }
}

void FuzzedSegment::store(std::uint64_t offset, std::uint64_t word) {
  std::memcpy(segment_.base() + offset, &word, sizeof word);
}

void FuzzedSegment::damage(Input& input) {
  switch (input.take<std::uint8_t>() % 14) {
    case 0:
    case 1:
      return damage_record(input, false);
    case 2:
      return damage_worker(input);
    case 3:
      return damage_slot(input);
    case 4:
      return damage_cell(input, false);
    case 5:
      return damage_cell(input, true);
    case 6:
      return damage_record(input, true);
    case 7:
      return append_family(input);
    case 8:
      return append_series(input);
    case 9:
      return append_raw(input);
    case 10:
      is_wild_ = true;
      return store(segment_.geometry().directory(), telling_word(input));
    case 11:
      return damage_index(input);
    case 12:
      return damage_ends(input);
    default: {
      // A hole, as truncating and growing the file leaves them.
      const Region& region = regions_[input.take<std::uint8_t>() % regions_.size()];
      is_wild_ = true;
      const shm::Descriptor file(open(path().c_str(), O_RDWR | O_CLOEXEC));
      fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(region.offset / shm::kPageBytes * shm::kPageBytes), shm::kPageBytes);
    }
  }
}

void FuzzedSegment::damage_record(Input& input, bool is_sealed) {
  const std::uint32_t entry = input.take<std::uint8_t>() % owners_.size();
  const auto record = records_[entry];
  const std::size_t at = input.take<std::uint16_t>() % record.size();
  const std::string fresh = input.text(16);
  std::memcpy(&record[at], fresh.data(), std::min(fresh.size(), record.size() - at));
  hit_.insert(owners_[entry]);
  if (is_sealed) seal(record);
}

void FuzzedSegment::seal(std::span<std::byte> record) {
  is_wild_ = true;
  const std::uint64_t checksum = shm::record_checksum(record);
  std::memcpy(&record[offsetof(shm::RecordHead, checksum)], &checksum, sizeof checksum);
}

// Another word as an entry: any, an empty one, one that names something near by, or what another names.
void FuzzedSegment::damage_index(Input& input) {
  is_wild_ = true;
  const std::uint32_t entry = input.take<std::uint8_t>() % (owners_.size() + 3);
  shm::SharedWord& word = segment_.view().index(entry);
  auto named = shm::IndexEntry::of(word.load_relaxed());
  switch (input.take<std::uint8_t>() % 4) {
    case 0:
      return word.store_relaxed(telling_word(input));
    case 1:
      named.offset += input.take<std::uint8_t>() - 128u;
      return word.store_relaxed(named.word());
    case 2:
      named.length += input.take<std::uint8_t>() - 128u;
      return word.store_relaxed(named.word());
    default:
      return word.store_relaxed(segment_.view().index(input.take<std::uint8_t>() % owners_.size()).load_relaxed());
  }
}

// The ends of a record, or the first cell that it names, sealed: as somebody writes it who knows the format.
void FuzzedSegment::damage_ends(Input& input) {
  static constexpr std::size_t kFields[] = {
      offsetof(shm::RecordHead, thread_end),   offsetof(shm::RecordHead, process_end),
      offsetof(shm::FamilyRecord, first_cell), offsetof(shm::FamilyRecord, overflow_tally),
      offsetof(shm::SeriesRecord, family),     offsetof(shm::SeriesRecord, first_cell)};
  const auto record = records_[input.take<std::uint8_t>() % owners_.size()];
  const std::size_t at = kFields[input.take<std::uint8_t>() % std::size(kFields)];
  if (at + 4 > record.size()) return;
  std::uint32_t word = 0;
  std::memcpy(&word, &record[at], sizeof word);
  word = input.take<std::uint8_t>() % 2 == 0 ? static_cast<std::uint32_t>(telling_word(input))
                                             : word + input.take<std::uint8_t>() - 128u;
  std::memcpy(&record[at], &word, sizeof word);
  seal(record);
}

void FuzzedSegment::damage_worker(Input& input) {
  const shm::Geometry& shape = segment_.geometry();
  const std::uint64_t words = shape.workers * sizeof(shm::WorkerEntry) / 8;
  store(shape.worker_table() + input.take<std::uint8_t>() % words * 8, telling_word(input));
  hit_all(true, false);
}

void FuzzedSegment::damage_slot(Input& input) {
  const shm::Geometry& shape = segment_.geometry();
  const std::uint64_t words = (shape.thread_slots + 2) * sizeof(shm::SlotEntry) / 8;
  const std::uint64_t word = input.take<std::uint8_t>() % words;
  store(shape.slot_table() + word * 8, telling_word(input));
  const bool is_gauge_spill = word / 8 == shape.gauge_spill();
  hit_all(is_gauge_spill, !is_gauge_spill);
}

void FuzzedSegment::damage_cell(Input& input, bool of_gauges) {
  const shm::Geometry& shape = segment_.geometry();
  const std::uint64_t slots[] = {shape.thread_slot(0), shape.thread_slot(1), shape.thread_slot(2), shape.spill_cells()};
  const std::uint64_t gauge_slots[] = {shape.process_slot(0), shape.process_slot(1), shape.process_slot(2),
                                       shape.gauge_spill_cells()};
  const std::uint64_t slot = (of_gauges ? gauge_slots : slots)[input.take<std::uint8_t>() % 4];
  const std::uint32_t cell = input.take<std::uint8_t>() % (kRegionBytes / 8);
  store(slot + cell * 8, telling_word(input));
  // A redo record speaks of any histogram of its slot.
  if (!of_gauges && cell < shm::kPrefixCells) return hit_observed();
  for (const Cells& cells : cells_) {
    if (cells.is_gauge == of_gauges && cell >= cells.first && cell < cells.first + cells.count) {
      hit_.insert(cells.family);
    }
  }
}

void FuzzedSegment::append_family(Input& input) {
  shm::Schema schema;
  const auto type = input.take<std::uint8_t>();
  schema.type = static_cast<shm::MetricType>(type % 7);
  schema.cell_kind = static_cast<shm::CellKind>(input.take<std::uint8_t>() % 4);
  schema.gauge_mode = static_cast<shm::GaugeMode>(input.take<std::uint8_t>() % 13);
  const std::string name = input.text(140), help = input.text(100), unit = input.text(70);
  schema.name = name;
  schema.help = help;
  schema.unit = unit;
  std::vector<std::string> labels(input.take<std::uint8_t>() % 4);
  for (std::string& label : labels) label = input.text(140);
  schema.labels.assign(labels.begin(), labels.end());
  for (int i = input.take<std::uint8_t>() % 4; i > 0; --i) {
    schema.bounds.push_back(std::bit_cast<double>(telling_word(input)));
  }
  schema.is_native = type >= 224;
  if (schema.is_native && schema.bounds.size() == shm::kNativeBounds) {
    const auto bounds = shm::native_bounds(schema.bounds[0], schema.bounds[1], schema.bounds[2]);
    schema.bounds.assign(bounds.begin(), bounds.end());
  }
  shm::CellCursor cells{input.take<std::uint16_t>(), input.take<std::uint16_t>()};
  const std::uint64_t created = telling_word(input);
  append(shm::encode_family(schema, created, input.take<std::uint32_t>(), cells));
}

void FuzzedSegment::append_series(Input& input) {
  const std::uint32_t family = input.take<std::uint8_t>() % static_cast<std::uint32_t>(owners_.size() + 3);
  const auto type = static_cast<shm::MetricType>(input.take<std::uint8_t>() % 7);
  shm::CellCursor cells{input.take<std::uint16_t>(), input.take<std::uint16_t>()};
  std::vector<std::string> values(input.take<std::uint8_t>() % 4);
  for (std::string& value : values) value = input.text(1200);
  const std::vector<std::string_view> views(values.begin(), values.end());
  append(shm::encode_series(family, type, input.take<std::uint8_t>() % 70, views, telling_word(input), cells));
}

void FuzzedSegment::append_raw(Input& input) {
  std::string record = input.text(600);
  if (record.size() < sizeof(shm::RecordHead)) return;
  record.resize(record.size() / 8 * 8);
  shm::RecordHead head;
  std::memcpy(&head, record.data(), sizeof head);
  head.length = static_cast<std::uint32_t>(record.size());
  head.kind %= 4;  // known and unknown ones
  std::memcpy(record.data(), &head, sizeof head);
  head.checksum = shm::record_checksum(std::as_bytes(std::span(record)));
  std::memcpy(record.data(), &head, sizeof head);
  append(std::move(record));
}

void FuzzedSegment::append(std::string record) {
  is_wild_ = true;
  const std::uint64_t end = segment_.geometry().heap() + kLogBytes;
  if (record.size() > end - heap_end_) return;
  std::memcpy(segment_.view().directory_bytes() + heap_end_, record.data(), record.size());
  std::uint32_t entry = 0;
  while (segment_.view().index(entry).load_relaxed() != 0) ++entry;
  const shm::IndexEntry named{static_cast<std::uint32_t>(heap_end_), static_cast<std::uint32_t>(record.size())};
  segment_.view().index(entry).store_release(named.word());
  heap_end_ += record.size();
  segment_.view().directory().space.store_relaxed(heap_end_);
}

void FuzzedSegment::restore() {
  is_wild_ = false;
  hit_.clear();
  heap_end_ = sound_heap_end_;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    std::memcpy(segment_.base() + regions_[i].offset, images_[i].data(), images_[i].size());
  }
}

}  // namespace shmetrics::fuzz
