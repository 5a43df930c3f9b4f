// A family as the catalog keeps it: its schema, its series in the order of their label values, and what each format
// writes the same in every scrape.
//
// Plain data.
//
// Threads: Catalog and MergedFamily fill it in one; any may read it between two reads of the segment. What is kept of a
// format one at a time may ask for, since the first one fills it. Failure: std::bad_alloc alone. Lifetime: that of its
// catalog.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collector/family_groups.hpp"
#include "collector/native_view.hpp"
#include "shm/directory.hpp"

namespace shmetrics::collector {

struct CatalogSeries {
  std::uint32_t place = 0;      // first cell among the totals; of a gauge or info, its index in Catalog::gauges()
  std::uint32_t key_begin = 0;  // in the family's `keys`
  std::uint32_t key_bytes = 0;
  bool is_overflow = false;
  bool has_escapes = false;  // its key has a character that a text escapes
  std::uint64_t created_unix_ns = 0;
};

/// Where the values of one gauge or info lie, and where they are added up.
struct GaugePlace {
  std::uint32_t first_cell = 0;  // process cell
  shm::GaugeMode mode{};         // its family's own
  // If the family has several generations, these are of the name as a whole.
  shm::GaugeMode shown_mode{};
  std::uint32_t total = 0;       // its index among the totals
  std::uint32_t generation = 0;  // 0 = the newest; of older ones the living alone count
};

/// Parts of a text, one behind the other.
struct KeptParts {
  std::string bytes;
  std::vector<std::uint32_t> ends;

  void end_part() { ends.push_back(static_cast<std::uint32_t>(bytes.size())); }
  std::string_view part(std::size_t i) const {
    const std::uint32_t from = i == 0 ? 0 : ends[i - 1];
    return std::string_view(bytes).substr(from, ends[i] - from);
  }
};

/// Parts of protobuf messages: of each series, in order, its labels and its start.
struct KeptFields : KeptParts {
  std::uint64_t latest_start_unix_ns = 0;
};

/// Takes the first label value off what is left of a key.
inline std::string_view take_value(std::string_view& rest) {
  const std::string_view value = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(std::min(value.size() + 1, rest.size()));
  return value;
}

struct CatalogFamily {
  std::uint32_t entry = 0;  // number of its record's
  shm::MetricType type{};
  shm::CellKind cell_kind{};
  shm::GaugeMode gauge_mode{};  // of an info, livemax
  std::string name, help, unit;
  std::string segment;              // value of the label `segment`, which comes first; empty: no such label
  std::vector<std::string> labels;  // as exposed: beside the label above, one of the family's own is renamed
  std::vector<double> bounds;       // of a native histogram, those that it has as a classic one
  /// If all its generations are native.
  std::optional<NativeView> native;
  /// If it is one generation, and that is native: its window, and of each cell the classic bucket.
  std::optional<shm::NativeWindow> window;
  std::vector<std::uint8_t> classic_buckets;
  std::uint32_t overflow_tally = 0;  // first of shm::kOverflowReasons totals, 0 = none
  bool is_ended = false;             // another type has taken its name
  bool is_part = false;              // shown only as a part of the sum of its name's generations
  bool has_exemplars = false;        // of several generations, one has
  std::uint32_t slot_exemplars = 0;  // of each series in a slot, behind its values; of one generation
  /// If this family is the sum of several generations: those, the oldest first. It shows no label without a value.
  std::vector<const CatalogFamily*> generations;

  std::vector<CatalogSeries> series;           // sorted, each label set once
  std::string keys;                            // label values of each, with NUL, which no value holds, between them
  std::vector<std::uint32_t> places;           // of `series`: a scrape runs over these alone
  std::vector<std::uint32_t> overflow_places;  // of the series that are shown only once they have counted

  std::string head;  // of format 0.0.4
  // Servers ask for one format: the first scrape of each fills what is kept for the next.
  mutable KeptParts kept_prefixes;
  mutable KeptFields kept_fields;  // protobuf.cpp fills it

  /// Sorts as the values do.
  std::string_view key(const CatalogSeries& of) const {
    return std::string_view(keys).substr(of.key_begin, of.key_bytes);
  }
  /// As many as there are labels.
  std::vector<std::string_view> values(const CatalogSeries& of) const;
  /// Calls take(label, value) for each label that the series is shown with, in their order: the segment, if it has a
  /// name, then its own.
  template <typename Take>
  void for_each_label(const CatalogSeries& of, Take&& take) const {
    if (!segment.empty()) take(kSegmentLabel, std::string_view(segment));
    std::string_view rest = key(of);
    for (const std::string& label : labels) {
      const std::string_view value = take_value(rest);
      if (value.empty() && !generations.empty()) continue;
      take(std::string_view(label), value);
    }
  }
  bool is_overflow(std::uint32_t place) const {
    return std::find(overflow_places.begin(), overflow_places.end(), place) != overflow_places.end();
  }
  /// Those of `series` that are no overflow series.
  std::size_t label_sets() const { return series.size() - overflow_places.size(); }

  std::size_t lines_per_series() const;
  /// Cells of one series' values. In totals, a cell for the exemplar of each bucket, or of the counter, follows.
  std::uint32_t value_cells() const;
  std::uint32_t exemplars_per_series() const {
    return has_exemplars ? static_cast<std::uint32_t>(bounds.size()) + 1 : 0;
  }
  /// Its name and its samples' names, in any format.
  std::vector<std::string> produced_names() const;
  /// Text of format 0.0.4, from which OpenMetrics is made too: of each series, in order, lines_per_series() prefixes. A
  /// prefix ends right before the number, or, in the modes with a series per worker, before the worker's number.
  const KeptParts& prefixes() const;
  /// Bytes of the prefixes that the series gets, at most.
  std::uint64_t prefix_bytes(const CatalogSeries& of) const;
  /// Adds a series behind all others. settle() puts it in its place.
  void add(CatalogSeries series, std::span<const std::string_view> values);
  void drop_last();
  /// Sorts in the series that have come, drops each label set's second and later ones, and what is kept of formats.
  /// Returns how many series were dropped.
  std::size_t settle();
  void drop_kept();

  std::size_t sorted = 0;        // so many of `series` are in order
  std::uint64_t text_bytes = 0;  // of all prefixes, at most
  bool is_dirty = false;         // series have come since the last settle()
};

/// The family of a record, without series. In a segment with a name, a label `segment` of the family's own becomes
/// `exported_segment`, with one more `exported_` while that is taken: as Prometheus does it with labels of a target.
CatalogFamily family_of(const shm::ParsedFamily& parsed, const std::string& segment);
/// Renames the label in the way above, if it is among these.
void make_room_for(std::string_view label, std::vector<std::string>& labels);
/// Its `# HELP` and `# TYPE`, which `head` holds.
std::string head_of(const CatalogFamily& family);

}  // namespace shmetrics::collector
