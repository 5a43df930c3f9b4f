#include "collector/catalog.hpp"

#include <algorithm>
#include <array>

#include "collector/merge.hpp"

namespace shmetrics::collector {
namespace {

constexpr std::size_t kStepsBetweenClocks = 1024;  // some hundred microseconds of parsing

ColumnKind column_kind(const CatalogFamily& family) {
  if (family.type != shm::MetricType::kCounter) return ColumnKind::kObserved;
  return family.cell_kind == shm::CellKind::kUnsigned ? ColumnKind::kUnsigned : ColumnKind::kDouble;
}

}  // namespace

bool Catalog::append(std::span<const std::byte> committed, const HasTime& has_time) {
  if (committed.empty() && !is_behind_) return true;
  is_behind_ = true;
  bytes_.insert(bytes_.end(), committed.begin(), committed.end());
  for (std::size_t steps = 1;; ++steps) {
    if (steps % kStepsBetweenClocks == 0 && has_time && !has_time()) return false;
    // The parser's views live as long as bytes_ stays where it is: until the next append.
    const auto step = parser_.next(bytes_);
    if (const auto* family = std::get_if<shm::ParsedFamily>(&step)) {
      add_family(*family);
    } else if (const auto* series = std::get_if<shm::ParsedSeries>(&step)) {
      add_series(*series);
    } else if (const auto* defect = std::get_if<shm::Defect>(&step)) {
      quarantine(defect->is_series, defect->offset, defect->problem);
    } else {
      break;
    }
  }
  settle();
  is_behind_ = false;
  return true;
}

void Catalog::settle() {
  std::erase_if(families_, [](const CatalogFamily* family) { return family->is_superseded; });
  if (has_new_families_) {
    std::sort(families_.begin(), families_.end(),
              [](const CatalogFamily* a, const CatalogFamily* b) { return a->name < b->name; });
    has_new_families_ = false;
  }
  for (CatalogFamily* family : dirty_) {
    if (family->is_superseded) continue;
    for (std::size_t dropped = family->settle(); dropped > 0; --dropped) {
      quarantine(true, family->offset, "a label set of " + family->name + " is there twice");
    }
  }
  dirty_.clear();
}

void Catalog::quarantine(bool is_series, std::uint32_t offset, const std::string& problem) {
  ++(is_series ? quarantined_series_ : quarantined_families_);
  if (problems_.size() >= kMaxProblems) return;
  problems_.push_back("directory record at " + std::to_string(offset) + ": " + problem);
}

CatalogFamily* Catalog::superseded_by(const shm::ParsedFamily& parsed) {
  const auto old = by_offset_.find(parsed.record.supersedes);
  if (parsed.record.supersedes == 0 || old == by_offset_.end() || old->second == nullptr) return nullptr;
  const bool is_same_name = old->second->name == parsed.schema.name && !old->second->is_superseded;
  return is_same_name ? old->second : nullptr;
}

void Catalog::drop(CatalogFamily& family) {
  for (const std::string& name : shm::claimed_names(family.type, family.name)) claims_.erase(name);
  text_bytes_ -= family.text_bytes;
  family.is_superseded = true;
  family.series = {};
  family.places = {};
  family.prefixes = {};
  family.ends = {};
}

void Catalog::add_family(const shm::ParsedFamily& parsed) {
  by_offset_[parsed.offset] = nullptr;
  if (store_.size() >= kMaxFamilies) {
    return quarantine(false, parsed.offset, "more families than " + std::to_string(kMaxFamilies));
  }
  CatalogFamily* old = superseded_by(parsed);
  const auto names = shm::claimed_names(parsed.schema.type, parsed.schema.name);
  for (const std::string& name : names) {
    const auto claim = claims_.find(name);
    if (claim == claims_.end() || (old != nullptr && claim->second == old->offset)) continue;
    return quarantine(false, parsed.offset,
                      "family " + std::string(parsed.schema.name) + " needs the name " + name + ", which family " +
                          by_offset_[claim->second]->name + " has");
  }
  if (old != nullptr) drop(*old);
  for (const std::string& name : names) claims_.emplace(name, parsed.offset);

  CatalogFamily& family = store_.emplace_back(family_of(parsed, segment_));
  by_offset_[parsed.offset] = &family;
  families_.push_back(&family);
  has_new_families_ = true;
  if (parsed.gap) note_gap(parsed.offset);

  const bool is_labelled = !family.labels.empty();
  if (!is_labelled || !shm::in_process_slots(family.type)) {
    CatalogSeries own;
    own.place = place(family, parsed.record.first_cell);
    own.is_overflow = is_labelled;
    own.created_unix_ns = family.created_unix_ns;
    std::array<std::string_view, shm::kMaxLabels> values;
    values.fill(shm::kOverflowValue);
    own.key = join_values(std::span(values).first(family.labels.size()));
    add_to(family, std::move(own), parsed.offset);
  }
  if (is_labelled) add_run(family.overflow_tally, ColumnKind::kUnsigned, 1);
}

void Catalog::add_series(const shm::ParsedSeries& parsed) {
  const auto found = by_offset_.find(parsed.record.family);
  CatalogFamily* family = found == by_offset_.end() ? nullptr : found->second;
  if (family == nullptr) return quarantine(true, parsed.offset, "series of a family that is not served");
  if (family->is_superseded) return;
  if (parsed.gap) note_gap(parsed.offset);
  CatalogSeries series;
  series.place = place(*family, parsed.record.first_cell);
  series.created_unix_ns = parsed.record.created_unix_ns;
  series.key = join_values(parsed.values());
  add_to(*family, std::move(series), parsed.offset);
}

void Catalog::add_to(CatalogFamily& family, CatalogSeries series, std::uint32_t record_offset) {
  const std::uint64_t needed = family.prefix_bytes(series.key);
  if (text_bytes_ + needed > kMaxPrefixBytes) {
    return quarantine(true, record_offset,
                      "the text of all series would pass " + std::to_string(kMaxPrefixBytes) + " bytes");
  }
  text_bytes_ += needed;
  family.text_bytes += needed;
  if (series.is_overflow) family.overflow_place = series.place;
  family.series.push_back(std::move(series));
  if (family.is_dirty) return;
  family.is_dirty = true;
  dirty_.push_back(&family);
}

std::uint32_t Catalog::place(const CatalogFamily& family, std::uint32_t first_cell) {
  if (shm::in_process_slots(family.type)) {
    gauges_.push_back({first_cell, family.gauge_mode});
    return static_cast<std::uint32_t>(gauges_.size() - 1);
  }
  add_run(first_cell, column_kind(family), shm::series_cells(family.type, family.bounds.size()));
  return first_cell;
}

void Catalog::add_run(std::uint32_t first_cell, ColumnKind kind, std::uint32_t width) {
  // Records come in the order of their cells: the parser refuses others.
  if (!runs_.empty()) {
    Run& last = runs_.back();
    if (last.kind == kind && last.width == width && last.first_cell + last.cells == first_cell) {
      last.cells += width;
      return;
    }
  }
  runs_.push_back({first_cell, width, kind, width});
}

void Catalog::note_gap(std::uint32_t offset) {
  if (gaps_.size() < kMaxProblems) gaps_.push_back(offset);
}

std::uint64_t Catalog::series_count() const {
  std::uint64_t count = 0;
  for (const CatalogFamily* family : families_) {
    count += family->series.size() - (family->overflow_place != kNoPlace ? 1 : 0);
  }
  return count;
}

}  // namespace shmetrics::collector
