// A family as the catalog keeps it: its schema, its series in the order of their label values, and the text before each
// number.
//
// Plain data, filled by Catalog; readers take it as const. Throws std::bad_alloc only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/directory.hpp"

namespace shmetrics::collector {

struct CatalogSeries {
  std::uint32_t place = 0;  // first thread cell; of a gauge or info, its index in Catalog::gauges()
  bool is_overflow = false;
  std::uint64_t created_unix_ns = 0;
  std::string key;  // the label values with NUL, which no value holds, between them: sorts as the values do

  std::vector<std::string_view> values(std::size_t label_count) const;
};

inline constexpr std::uint32_t kNoPlace = 0xffffffff;

struct CatalogFamily {
  std::uint32_t offset = 0;  // of its record
  shm::MetricType type{};
  shm::CellKind cell_kind{};
  shm::GaugeMode gauge_mode{};  // of an info, livemax
  std::string name, help, unit;
  std::string segment;              // value of the label `segment`, which comes first; empty: no such label
  std::vector<std::string> labels;  // as exposed: beside the label above, one of the family's own is renamed
  std::vector<double> bounds;
  std::uint64_t created_unix_ns = 0;
  std::uint32_t overflow_tally = 0;  // thread cell, 0 = none
  bool is_superseded = false;
  std::uint32_t overflow_place = kNoPlace;  // of the overflow series, if one of `series` is that

  std::vector<CatalogSeries> series;  // sorted, each label set once
  std::vector<std::uint32_t> places;  // of `series`: a scrape runs over these, and not over the keys beside them

  // Text of format 0.0.4. Of each series, in order, lines_per_series() prefixes lie one behind the other in `prefixes`;
  // a prefix ends right before the number, or, in the modes with a series per worker, before the worker's number.
  std::string head;
  std::string prefixes;
  std::vector<std::uint32_t> ends;

  std::size_t lines_per_series() const;
  /// What it is called, and its samples are, in any format.
  std::vector<std::string> produced_names() const;
  /// Bytes of the prefixes that a series with these label values gets, at most.
  std::uint64_t prefix_bytes(std::string_view key) const;
  /// Sorts in the series that have come, drops each label set's second and later ones, and writes all prefixes anew.
  /// Returns how many series were dropped.
  std::size_t settle();

  std::size_t sorted = 0;        // so many of `series` are in order
  std::uint64_t text_bytes = 0;  // what the prefixes come to
  bool is_dirty = false;         // series have come since the prefixes were written
};

/// The family of a record, without series. In a segment with a name, a label `segment` of the family's own becomes
/// `exported_segment`, with one more `exported_` while that is taken: as Prometheus does it with labels of a target.
CatalogFamily family_of(const shm::ParsedFamily& parsed, const std::string& segment);
/// The key of these label values.
std::string join_values(std::span<const std::string_view> values);

}  // namespace shmetrics::collector
