// A family piece by piece, for formats that must not hold all of its series as plain values at once.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "collector/family.hpp"
#include "collector/family_groups.hpp"
#include "collector/merge.hpp"
#include "collector/reading.hpp"

namespace shmetrics::collector {

/// The family without its series.
Family describe_head(const CatalogFamily& family);

/// Visitor for visit_series: calls take(Series&&) for each.
template <typename Take>
class SeriesDescriber {
 public:
  SeriesDescriber(const CatalogFamily& family, Take take) : family_(family), take_(std::move(take)) {}

  template <typename Number>
  void number(std::size_t series, Number value) {
    Series described = labelled(series);
    described.value = value;
    take_(std::move(described));
  }
  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    Series described = labelled(series);
    described.labels.emplace_back("worker", std::to_string(worker));
    described.value = value;
    take_(std::move(described));
  }
  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    Distribution distribution;
    distribution.sum = sum;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      distribution.count = accumulate(distribution.count, buckets[i]);
      if (family_.type != shm::MetricType::kHistogram) continue;
      const double bound = i < family_.bounds.size() ? family_.bounds[i] : std::numeric_limits<double>::infinity();
      distribution.buckets.emplace_back(bound, distribution.count);
    }
    Series described = labelled(series);
    described.value = std::move(distribution);
    take_(std::move(described));
  }

 private:
  Series labelled(std::size_t index) const {
    const CatalogSeries& series = family_.series[index];
    Series described;
    if (!family_.segment.empty()) described.labels.emplace_back(kSegmentLabel, family_.segment);
    const auto values = family_.values(series);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i].empty() && !family_.generations.empty()) continue;
      described.labels.emplace_back(family_.labels[i], values[i]);
    }
    return described;
  }

  const CatalogFamily& family_;
  Take take_;
};

}  // namespace shmetrics::collector
