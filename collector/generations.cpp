#include "collector/generations.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "collector/family_groups.hpp"
#include "shm/naming.hpp"

namespace shmetrics::collector {
namespace {

std::vector<std::string> exposed_labels(const CatalogFamily& generation, bool has_worker_label) {
  std::vector<std::string> labels = generation.labels;
  if (has_worker_label) make_room_for("worker", labels);
  return labels;
}

template <typename T>
void sort_and_drop_doubles(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

double number_of(std::uint64_t cell, shm::CellKind kind) {
  return kind == shm::CellKind::kUnsigned ? static_cast<double>(cell) : std::bit_cast<double>(cell);
}

}  // namespace

void MergedFamily::merge(std::span<CatalogFamily* const> generations, std::span<GaugePlace> gauges,
                         std::uint64_t room_bytes) {
  describe(generations);
  addends_.clear();
  cells_ = 0;
  left_out_ = 0;
  std::vector<Part> all = parts(generations, room_bytes);
  std::sort(all.begin(), all.end(), [this](const Part& a, const Part& b) {
    const int keys = shown_.key(a.merged).compare(shown_.key(b.merged));
    return keys != 0 ? keys < 0 : a.generation < b.generation;
  });
  for (auto from = all.begin(); from != all.end();) {
    const auto to = std::find_if(from, all.end(),
                                 [&](const Part& part) { return shown_.key(part.merged) != shown_.key(from->merged); });
    const std::span<const Part> same(from, to);
    if (add_series(same, room_bytes)) {
      place(same, gauges);
    } else {
      ++left_out_;
    }
    from = to;
  }
  first_cell_ = 0;
  shown_.sorted = 0;
  shown_.settle();
}

void MergedFamily::describe(std::span<CatalogFamily* const> generations) {
  const CatalogFamily& newest = *generations.back();
  shown_ = {};
  shown_.entry = newest.entry;
  shown_.type = newest.type;
  shown_.gauge_mode = newest.gauge_mode;
  shown_.name = newest.name;
  shown_.help = newest.help;
  shown_.unit = newest.unit;
  shown_.segment = newest.segment;
  shown_.head = newest.head;
  shown_.cell_kind = shm::CellKind::kUnsigned;
  const bool has_worker_label = newest.type == shm::MetricType::kGauge && is_per_worker(newest.gauge_mode);
  for (const CatalogFamily* generation : generations) {
    if (generation->cell_kind == shm::CellKind::kDouble) shown_.cell_kind = shm::CellKind::kDouble;
    const auto labels = exposed_labels(*generation, has_worker_label);
    shown_.labels.insert(shown_.labels.end(), labels.begin(), labels.end());
    shown_.bounds.insert(shown_.bounds.end(), generation->bounds.begin(), generation->bounds.end());
    shown_.has_exemplars = shown_.has_exemplars || generation->has_exemplars;
    shown_.generations.push_back(generation);
  }
  sort_and_drop_doubles(shown_.labels);
  sort_and_drop_doubles(shown_.bounds);
  describe_bounds(generations);
}

void MergedFamily::describe_bounds(std::span<CatalogFamily* const> generations) {
  std::vector<shm::NativeWindow> windows;
  for (std::size_t i = 0; i < generations.size(); ++i) {
    std::vector<std::uint16_t> buckets;
    for (const double bound : generations[i]->bounds) {
      const auto same = std::lower_bound(shown_.bounds.begin(), shown_.bounds.end(), bound);
      buckets.push_back(static_cast<std::uint16_t>(same - shown_.bounds.begin()));
    }
    buckets.push_back(static_cast<std::uint16_t>(shown_.bounds.size()));  // +Inf; of a summary, its count
    if (generations[i]->window) {
      windows.push_back(*generations[i]->window);
      buckets_[i].clear();
      for (const std::uint8_t bucket : generations[i]->classic_buckets) buckets_[i].push_back(buckets[bucket]);
    } else {
      buckets_[i] = std::move(buckets);
    }
  }
  if (windows.size() < generations.size()) return;
  shown_.native = common_view(windows);
  shown_.native->first_cell = shm::value_cells(shown_.type, shown_.bounds.size());
  for (std::size_t i = 0; i < windows.size(); ++i) native_cells_[i] = cells_in(*shown_.native, windows[i]);
}

// All series of all generations, with the keys that they have when the labels are those of shown_.
std::vector<MergedFamily::Part> MergedFamily::parts(std::span<CatalogFamily* const> generations,
                                                    std::uint64_t room_bytes) {
  const bool has_worker_label = shown_.type == shm::MetricType::kGauge && is_per_worker(shown_.gauge_mode);
  std::vector<Part> parts;
  std::vector<std::string_view> merged(shown_.labels.size());
  for (std::uint32_t i = 0; i < generations.size(); ++i) {
    std::vector<std::size_t> columns;
    for (const std::string& label : exposed_labels(*generations[i], has_worker_label)) {
      const auto at = std::lower_bound(shown_.labels.begin(), shown_.labels.end(), label);
      columns.push_back(static_cast<std::size_t>(at - shown_.labels.begin()));
    }
    std::fill(merged.begin(), merged.end(), std::string_view());
    for (const CatalogSeries& series : generations[i]->series) {
      if (shown_.keys.size() > room_bytes) {
        ++left_out_;
        continue;
      }
      const auto values = generations[i]->values(series);
      for (std::size_t label = 0; label < values.size(); ++label) merged[columns[label]] = values[label];
      shown_.add(series, merged);
      parts.push_back({i, &series, shown_.series.back()});
    }
  }
  shown_.series.clear();
  return parts;
}

// False: there is no room for its text.
bool MergedFamily::add_series(std::span<const Part> same, std::uint64_t room_bytes) {
  CatalogSeries series = same.front().merged;
  const std::uint64_t needed = shown_.prefix_bytes(series);
  if (shown_.text_bytes + needed > room_bytes) return false;
  shown_.text_bytes += needed;
  for (const Part& part : same) {
    series.is_overflow = series.is_overflow && part.series->is_overflow;
    const std::uint64_t created = part.series->created_unix_ns;
    if (created != 0 && (created < series.created_unix_ns || series.created_unix_ns == 0)) {
      series.created_unix_ns = created;
    }
  }
  const bool is_gauge = shm::in_process_slots(shown_.type);
  series.place = is_gauge ? same.front().series->place : cells_;
  shown_.series.push_back(series);
  return true;
}

void MergedFamily::place(std::span<const Part> same, std::span<GaugePlace> gauges) {
  const CatalogSeries& series = shown_.series.back();
  for (const Part& part : same) {
    if (!shm::in_process_slots(shown_.type)) {
      addends_.push_back({part.series->place, series.place, part.generation});
      continue;
    }
    GaugePlace& gauge = gauges[part.series->place];
    gauge.shown_mode = shown_.gauge_mode;
    gauge.total = series.place;
    gauge.generation = static_cast<std::uint32_t>(shown_.generations.size()) - 1 - part.generation;
  }
  if (!shm::in_process_slots(shown_.type)) cells_ += shown_.value_cells() + shown_.exemplars_per_series();
}

void MergedFamily::move_to(std::uint32_t first_cell) {
  if (shm::in_process_slots(shown_.type)) return;
  const std::uint32_t by = first_cell - first_cell_;  // modulo 2^32
  for (CatalogSeries& series : shown_.series) series.place += by;
  for (std::uint32_t& place : shown_.places) place += by;
  for (std::uint32_t& place : shown_.overflow_places) place += by;
  first_cell_ = first_cell;
}

void MergedFamily::add_up(Totals& totals) const {
  for (const Addend& addend : addends_) {
    if (shown_.type == shm::MetricType::kCounter) {
      add_counter(addend, totals);
    } else {
      add_observed(addend, totals);
    }
    if (shown_.generations[addend.generation]->has_exemplars) add_exemplars(addend, totals);
  }
}

void MergedFamily::add_exemplars(const Addend& addend, Totals& totals) const {
  const CatalogFamily& generation = *shown_.generations[addend.generation];
  const std::uint32_t from = addend.from + generation.value_cells();
  const std::uint32_t to = first_cell_ + addend.to + shown_.value_cells();
  for (std::uint32_t i = 0; i < generation.exemplars_per_series(); ++i) {
    const std::uint64_t number = totals.cells[from + i];
    if (number == 0) continue;
    // The bounds of all generations may have cut its bucket in two.
    const auto place = exemplar_place(shown_, totals.exemplars[number - 1].value);
    if (place) keep_newest(number, totals.cells[to + *place], totals.exemplars);
  }
}

void MergedFamily::add_counter(const Addend& addend, Totals& totals) const {
  std::uint64_t& to = totals.cells[first_cell_ + addend.to];
  const std::uint64_t from = totals.cells[addend.from];
  if (shown_.cell_kind == shm::CellKind::kUnsigned) {
    to = accumulate(to, from);
  } else {
    const double more = number_of(from, shown_.generations[addend.generation]->cell_kind);
    to = std::bit_cast<std::uint64_t>(accumulate_double(std::bit_cast<double>(to), more));
  }
}

void MergedFamily::add_observed(const Addend& addend, Totals& totals) const {
  const auto cells = std::span(totals.cells);
  const auto from = cells.subspan(addend.from), to = cells.subspan(first_cell_ + addend.to);
  const double sum = std::bit_cast<double>(to[shm::kHistogramSum]) + std::bit_cast<double>(from[shm::kHistogramSum]);
  to[shm::kHistogramSum] = std::bit_cast<std::uint64_t>(sum);
  const auto add_cells = [&](std::size_t first, const std::vector<std::uint16_t>& places) {
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::uint64_t& cell = to[first + places[i]];
      cell = accumulate(cell, from[shm::kHistogramBuckets + i]);
    }
  };
  add_cells(shm::kHistogramBuckets, buckets_[addend.generation]);
  if (shown_.native) add_cells(shown_.native->first_cell, native_cells_[addend.generation]);
}

}  // namespace shmetrics::collector
