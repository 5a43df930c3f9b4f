#include "collector/catalog.hpp"

#include <algorithm>
#include <array>

#include "collector/merge.hpp"

namespace shmetrics::collector {
namespace {

ColumnKind column_kind(const CatalogFamily& family) {
  if (family.type != shm::MetricType::kCounter) return ColumnKind::kObserved;
  return family.cell_kind == shm::CellKind::kUnsigned ? ColumnKind::kUnsigned : ColumnKind::kDouble;
}

}  // namespace

std::string Catalog::no_room() const {
  return "the text of all series would pass " + std::to_string(most_text_bytes_) + " bytes";
}

void Catalog::add(std::span<const std::byte> record) {
  record_bytes_ += record.size();
  const auto step = parser_.next(record);
  if (const auto* series = std::get_if<shm::ParsedSeries>(&step)) {
    add_series(*series);
  } else if (const auto* family = std::get_if<shm::ParsedFamily>(&step)) {
    add_family(*family);
  } else if (const auto* unknown = std::get_if<shm::UnknownRecord>(&step)) {
    add_unknown(*unknown);
  } else {
    quarantine(std::get<shm::Defect>(step));
  }
}

void Catalog::skip(std::string problem) {
  quarantine(parser_.skip(std::move(problem)));
}

void Catalog::settle() {
  const bool has_news = has_new_families_ || !dirty_.empty();
  for (CatalogFamily* family : dirty_) {
    if (family->is_ended) continue;
    for (std::size_t dropped = family->settle(); dropped > 0; --dropped) {
      quarantine({family->entry, "a label set of " + family->name + " is there twice", true});
    }
  }
  dirty_.clear();
  settle_generations();
  if (has_new_families_) list_families();
  if (!has_news) return;
  kept_bytes_ = 0;
  for (const CatalogFamily* family : families_) kept_bytes_ += family->text_bytes / family->lines_per_series();
}

void Catalog::settle_generations() {
  const std::uint64_t left_out = left_out_series_;
  left_out_series_ = 0;
  total_cells_ = run_cells_;
  std::erase_if(merged_, [](const Metric* metric) { return metric->merged == nullptr; });
  for (Metric* metric : merged_) {
    MergedFamily& merged = *metric->merged;
    if (metric->is_dirty) {
      text_bytes_ -= merged.shown().text_bytes;
      merged.merge(metric->generations, gauges_, most_text_bytes_ - std::min(most_text_bytes_, text_bytes_));
      text_bytes_ += merged.shown().text_bytes;
      metric->is_dirty = false;
    }
    merged.move_to(total_cells_);
    total_cells_ += merged.cells();
    left_out_series_ += merged.left_out();
    if (left_out == 0 && merged.left_out() > 0 && problems_.size() < kMaxProblems) {
      problems_.push_back("family " + merged.shown().name + ": " + no_room());
    }
  }
}

void Catalog::list_families() {
  families_.clear();
  for (const Metric& metric : metrics_) {
    if (metric.generations.empty()) continue;
    families_.push_back(metric.merged ? &metric.merged->shown() : metric.generations.front());
  }
  std::sort(families_.begin(), families_.end(),
            [](const CatalogFamily* a, const CatalogFamily* b) { return a->name < b->name; });
  has_new_families_ = false;
}

void Catalog::add_up_generations(Totals& totals) const {
  for (const Metric* metric : merged_) metric->merged->add_up(totals);
}

void Catalog::quarantine(const shm::Defect& defect) {
  ++(defect.is_series ? quarantined_series_ : quarantined_families_);
  if (problems_.size() >= kMaxProblems) return;
  problems_.push_back("directory entry " + std::to_string(defect.entry) + ": " + defect.problem);
}

void Catalog::add_unknown(const shm::UnknownRecord& record) {
  ++(record.is_series ? quarantined_series_ : quarantined_families_);
  ++newer_records_;
  if (record.is_series) return;  // its family has been told of
  const bool has_name = shm::is_valid_name(record.family_name);
  Metric* metric = has_name ? metric_of(record.family_name) : nullptr;
  if (metric != nullptr && static_cast<std::uint32_t>(metric->generations.back()->type) != record.type) end(*metric);
  if (newer_.size() >= kMaxProblems) return;
  newer_.push_back("directory entry " + std::to_string(record.entry) + ": " +
                   (has_name ? "family " + shm::quoted(record.family_name) + " " : "a record ") +
                   "was written by a newer release, and is left out");
}

Catalog::Metric* Catalog::metric_of(std::string_view name) {
  const auto claim = claims_.find(std::string(name));
  const bool is_own = claim != claims_.end() && claim->second->generations.back()->name == name;
  return is_own ? claim->second : nullptr;
}

void Catalog::end(Metric& metric) {
  const CatalogFamily& any = *metric.generations.back();
  for (const std::string& name : any.produced_names()) claims_.erase(name);
  if (metric.merged) text_bytes_ -= metric.merged->shown().text_bytes;
  for (CatalogFamily* family : metric.generations) {
    text_bytes_ -= std::exchange(family->text_bytes, 0);
    family->drop_kept();
    family->is_ended = true;
    family->series = {};
    family->keys = {};
    family->places = {};
  }
  metric.generations.clear();
  metric.merged.reset();
  has_new_families_ = true;
}

// The metric that the family belongs to; null: it is quarantined.
Catalog::Metric* Catalog::claim(const shm::ParsedFamily& parsed) {
  const shm::Schema& schema = parsed.schema;
  Metric* metric = metric_of(schema.name);
  if (metric != nullptr && metric->generations.back()->type == schema.type) {
    if (metric->generations.size() < shm::kMaxGenerations) return metric;
    quarantine({parsed.entry, "family " + std::string(schema.name) + " has more than " +
                                  std::to_string(shm::kMaxGenerations) + " schemas"});
    return nullptr;
  }
  const auto names = shm::claimed_names(schema.type, schema.name);
  for (const std::string& name : names) {
    const auto taken = claims_.find(name);
    if (taken == claims_.end() || taken->second == metric) continue;
    quarantine({parsed.entry, "family " + std::string(schema.name) + " needs the name " + name + ", which family " +
                                  taken->second->generations.back()->name + " has"});
    return nullptr;
  }
  if (metric != nullptr) {
    end(*metric);
  } else {
    metric = &metrics_.emplace_back();
  }
  for (const std::string& name : names) claims_.emplace(name, metric);
  return metric;
}

void Catalog::add_generation(Metric& metric, CatalogFamily& family) {
  metric.generations.push_back(&family);
  has_new_families_ = true;
  if (metric.generations.size() < 2) return;
  for (CatalogFamily* part : metric.generations) {
    part->is_part = true;
    text_bytes_ -= std::exchange(part->text_bytes, 0);
    part->drop_kept();
  }
  metric.is_dirty = true;
  if (metric.merged != nullptr) return;
  metric.merged = std::make_unique<MergedFamily>();
  // Ended once and come again before a settle(), it is there already.
  if (std::find(merged_.begin(), merged_.end(), &metric) == merged_.end()) merged_.push_back(&metric);
}

void Catalog::add_family(const shm::ParsedFamily& parsed) {
  if (store_.size() >= kMaxFamilies) {
    return quarantine({parsed.entry, "more families than " + std::to_string(kMaxFamilies)});
  }
  Metric* metric = claim(parsed);
  if (metric == nullptr) return;
  CatalogFamily& family = store_.emplace_back(family_of(parsed, segment_));
  const Served& served = by_entry_[parsed.entry] = {&family, metric};
  add_generation(*metric, family);
  const bool is_labelled = !family.labels.empty();
  if (!is_labelled || !shm::in_process_slots(family.type)) {
    CatalogSeries own;
    own.is_overflow = is_labelled;
    own.created_unix_ns = parsed.record.created_unix_ns;
    std::array<std::string_view, shm::kMaxLabels> values;
    values.fill(shm::kOverflowValue);
    add_to(served, own, std::span(values).first(family.labels.size()), parsed.record.first_cell, parsed.entry);
  }
  if (!is_labelled) return;
  for (std::uint32_t i = 0; i < shm::kOverflowReasons; ++i) {
    const std::uint32_t total = add_run(parsed.record.overflow_tally + i, ColumnKind::kUnsigned, 1);
    if (i == 0) family.overflow_tally = total;
  }
}

void Catalog::add_series(const shm::ParsedSeries& parsed) {
  const auto found = by_entry_.find(parsed.record.family);
  if (found == by_entry_.end()) {
    return quarantine({parsed.entry, "series of a family that is not served", true});
  }
  if (found->second.family->is_ended) return;
  CatalogSeries series;
  series.created_unix_ns = parsed.record.created_unix_ns;
  add_to(found->second, series, parsed.values(), parsed.record.first_cell, parsed.entry);
}

void Catalog::add_to(const Served& served, CatalogSeries series, std::span<const std::string_view> values,
                     std::uint32_t first_cell, std::uint32_t entry) {
  CatalogFamily& family = *served.family;
  series.place = place(family, first_cell);
  family.add(series, values);
  if (family.is_part) {
    served.metric->is_dirty = true;
  } else {
    const std::uint64_t needed = family.prefix_bytes(family.series.back());
    if (text_bytes_ + needed > most_text_bytes_) {
      family.drop_last();
      return quarantine({entry, no_room(), true});
    }
    text_bytes_ += needed;
    family.text_bytes += needed;
  }
  if (family.is_dirty) return;
  family.is_dirty = true;
  dirty_.push_back(&family);
}

std::uint32_t Catalog::place(const CatalogFamily& family, std::uint32_t first_cell) {
  if (shm::in_process_slots(family.type)) {
    const auto index = static_cast<std::uint32_t>(gauges_.size());
    gauges_.push_back({first_cell, family.gauge_mode, family.gauge_mode, index, 0});
    return index;
  }
  const std::uint32_t values = family.value_cells();
  const std::uint32_t total = add_run(first_cell, column_kind(family), values);
  if (family.has_exemplars) {
    exemplars_.push_back({first_cell + values, family.slot_exemplars, run_cells_, &family});
    exemplar_count_ += family.exemplars_per_series();
    run_cells_ += family.exemplars_per_series();
  }
  return total;
}

// Returns where they are added up.
std::uint32_t Catalog::add_run(std::uint32_t first_cell, ColumnKind kind, std::uint32_t width) {
  const std::uint32_t total = run_cells_;
  run_cells_ += width;
  // Records come in the order of their cells: the parser refuses others.
  if (!runs_.empty()) {
    Run& last = runs_.back();
    if (last.kind == kind && last.width == width && last.first_cell + last.cells == first_cell) {
      last.cells += width;
      return total;
    }
  }
  runs_.push_back({first_cell, width, kind, width, total});
  return total;
}

std::uint64_t Catalog::held_bytes() const {
  constexpr std::uint64_t kFamilyBytes = 1024;
  constexpr std::uint64_t kEntryBytes = sizeof(CatalogSeries) + sizeof(Run) + sizeof(GaugePlace) + 48;  // and nodes
  return text_bytes_ + kept_bytes_ + 2 * record_bytes_ + store_.size() * kFamilyBytes + entries() * kEntryBytes +
         gauges_.size() * (sizeof(GaugeTotal) + sizeof(WorkerValue)) + std::uint64_t{total_cells_} * 8 +
         exemplars_.size() * sizeof(ExemplarRun) + exemplar_count_ * sizeof(Exemplar);
}

std::uint64_t Catalog::series_count() const {
  std::uint64_t count = 0;
  for (const CatalogFamily* family : families_) count += family->label_sets();
  return count;
}

}  // namespace shmetrics::collector
