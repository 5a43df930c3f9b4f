// The grammar of names, labels and schemas: the same for the worker that declares and the reader that trusts nothing.
//
// Sources: Prometheus data model and text format 0.0.4; OpenMetrics 1.0.0 for the names that a family claims;
// docs/merge-rules.md for the house's own refusals.
//
// Threads: any. Failure: std::bad_alloc alone; a broken rule is an answer. Lifetime: a Schema points into what it was
// made from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/layout.hpp"

namespace shmetrics::shm {

/// The value of every label of an overflow series.
inline constexpr std::string_view kOverflowValue = "__overflow__";

/// Which names a declaration may have: the house's own, or all that other libraries allow. A family does not depend on
/// it: the reader takes every name that kLenient takes.
enum class Naming : std::uint8_t { kStrict, kLenient };

/// What a family is, apart from its place. Views point into whatever the schema was made from.
struct Schema {
  MetricType type = MetricType::kCounter;
  CellKind cell_kind = CellKind::kDouble;
  GaugeMode gauge_mode = GaugeMode::kLivesum;
  std::string_view name;
  std::string_view help;
  std::string_view unit;
  std::vector<std::string_view> labels;
  std::vector<double> bounds;  // finite, increasing; of a native histogram: schema, low border, high border
  bool is_native = false;
  bool has_exemplars = false;
  Naming naming = Naming::kStrict;
};

/// Well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing beyond U+10FFFF. NUL is refused, because some
/// readers end a line there.
bool is_valid_text(std::string_view text);
/// [a-zA-Z_:][a-zA-Z0-9_:]*, at most kMaxNameBytes.
bool is_valid_name(std::string_view name);
/// [a-zA-Z_][a-zA-Z0-9_]* without `__` at its beginning, at most kMaxNameBytes.
bool is_valid_label_name(std::string_view name);
/// A label value: valid text of at most kMaxLabelValueBytes.
bool is_valid_label_value(std::string_view value);

/// Why a family must not exist, in one line that names a right spelling where there is one; empty when it may.
std::string refusal(const Schema& schema);

/// Every family or sample name that this family gives rise to in any format; two families must not share one.
std::vector<std::string> claimed_names(MetricType type, std::string_view name);

/// 'name', for messages.
std::string quoted(std::string_view name);

/// Whether two declarations of one name mean the same family; their help may differ. If not, says how they differ, e.g.
/// "other bounds".
std::string schema_difference(const Schema& before, const Schema& after);

/// Whether its series live in process slots (gauges, info) rather than in thread slots.
constexpr bool in_process_slots(MetricType type) {
  return type == MetricType::kGauge || type == MetricType::kInfo;
}
/// Cells of the values of one series.
constexpr std::uint32_t value_cells(MetricType type, std::size_t bound_count) {
  switch (type) {
    case MetricType::kCounter:
      return 1;
    case MetricType::kGauge:
    case MetricType::kInfo:
      return kGaugeCells;
    case MetricType::kSummary:
      return kSummaryCells;
    case MetricType::kHistogram:
      return kHistogramBuckets + static_cast<std::uint32_t>(bound_count) + 1;
  }
  return 0;
}
/// Finite upper bounds of a histogram's buckets.
std::uint32_t bound_count(const Schema& schema);
/// Exemplars of one series: one of a counter, one a bucket of a classic histogram, one an octave of a native one.
std::uint32_t exemplars_of(const Schema& schema);
/// Cells of one series: of its values, then of its exemplars.
std::uint32_t series_cells(const Schema& schema);
constexpr bool is_live_mode(GaugeMode mode) {
  return mode <= GaugeMode::kLivemostrecent;
}

/// How a claim of a worker entry treats the gauges of a family.
constexpr ClaimAction claim_action(MetricType type, GaugeMode mode) {
  if (type != MetricType::kGauge) return ClaimAction::kZero;
  switch (mode) {
    case GaugeMode::kSum:
    case GaugeMode::kMostrecent:
    case GaugeMode::kShared:
      return ClaimAction::kLeave;
    case GaugeMode::kMin:
      return ClaimAction::kFoldMin;
    case GaugeMode::kMax:
      return ClaimAction::kFoldMax;
    default:
      return ClaimAction::kZero;
  }
}

std::string_view type_name(MetricType type);  // counter gauge histogram summary info
std::string_view mode_name(GaugeMode mode);   // livesum ... shared

}  // namespace shmetrics::shm
