// Which series of a family are shown, and what with: the one place that knows, for every format. Pure.
//
// Threads: any. Failure: what the visitor throws. Lifetime: a call keeps nothing.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "collector/family.hpp"
#include "collector/merge.hpp"

namespace shmetrics::collector {

/// Calls, for each series that is shown, in order, one of
///   visitor.number(index, std::uint64_t), visitor.number(index, double)   counter, gauge, info
///   visitor.of_worker(index, worker, double)                              gauge of a mode with a series per worker
///   visitor.observed(index, buckets, sum)     histogram, summary: buckets are not cumulative
///   visitor.native(index, buckets, cells, sum)   native histogram, if the visitor has this function: `buckets` are
///                                                those of its classic form, `cells` are as family.native says
/// where `index` is the series' place in family.series. `gauges` and `cells` of the totals must be the catalog's.
template <typename Visitor>
void visit_series(const CatalogFamily& family, const Totals& totals, Visitor&& visitor);

namespace detail {

template <typename Visitor>
void visit_counters(const CatalogFamily& family, const Totals& totals, Visitor&& visitor) {
  const bool is_unsigned = family.cell_kind == shm::CellKind::kUnsigned;
  for (std::size_t i = 0; i < family.places.size(); ++i) {
    const std::uint64_t cell = totals.cells[family.places[i]];
    if (cell == 0 && family.is_overflow(family.places[i])) continue;
    if (is_unsigned) {
      visitor.number(i, cell);
    } else {
      visitor.number(i, std::bit_cast<double>(cell));
    }
  }
}

template <typename Visitor>
void visit_gauges(const CatalogFamily& family, const Totals& totals, Visitor&& visitor) {
  const bool is_info = family.type == shm::MetricType::kInfo;
  for (std::size_t i = 0; i < family.places.size(); ++i) {
    const std::uint32_t gauge = family.places[i];
    if (is_per_worker(family.gauge_mode)) {
      for (const WorkerValue& value : totals.workers_of(gauge)) visitor.of_worker(i, value.worker, value.value);
      continue;
    }
    const GaugeTotal& total = totals.gauges[gauge];
    if (!total.is_seen && !shows_zero(family.gauge_mode)) continue;
    visitor.number(i, is_info ? 1.0 : total.value);
  }
}

template <typename Visitor>
void visit_observed(const CatalogFamily& family, const Totals& totals, Visitor&& visitor) {
  const std::size_t buckets = family.type == shm::MetricType::kHistogram ? family.bounds.size() + 1 : 1;
  std::array<std::uint64_t, kMostClassicBounds + 1> folded;
  for (std::size_t i = 0; i < family.places.size(); ++i) {
    const std::span cells = std::span(totals.cells).subspan(family.places[i], family.value_cells());
    std::span<const std::uint64_t> counts = cells.subspan(shm::kHistogramBuckets);
    if (family.is_overflow(family.places[i])) {
      std::uint64_t any = 0;
      for (const std::uint64_t count : counts) any |= count;
      if (any == 0) continue;
    }
    if (family.window) {
      folded.fill(0);
      for (std::size_t cell = 0; cell < counts.size(); ++cell) {
        std::uint64_t& bucket = folded[family.classic_buckets[cell]];
        bucket = accumulate(bucket, counts[cell]);
      }
      counts = folded;
    }
    counts = counts.first(buckets);
    const double sum = std::bit_cast<double>(cells[shm::kHistogramSum]);
    if constexpr (requires { visitor.native(i, counts, counts, sum); }) {
      if (family.native) {
        visitor.native(i, counts, cells.subspan(family.native->first_cell, family.native->cells), sum);
        continue;
      }
    }
    visitor.observed(i, counts, sum);
  }
}

}  // namespace detail

template <typename Visitor>
void visit_series(const CatalogFamily& family, const Totals& totals, Visitor&& visitor) {
  switch (family.type) {
    case shm::MetricType::kCounter:
      return detail::visit_counters(family, totals, visitor);
    case shm::MetricType::kGauge:
    case shm::MetricType::kInfo:
      return detail::visit_gauges(family, totals, visitor);
    case shm::MetricType::kHistogram:
    case shm::MetricType::kSummary:
      return detail::visit_observed(family, totals, visitor);
  }
}

}  // namespace shmetrics::collector
