#include "collector/reading.hpp"

#include <ctime>
#include <limits>

#include "collector/family_groups.hpp"
#include "collector/values.hpp"

namespace shmetrics::collector {
namespace {

class Describer {
 public:
  Describer(const CatalogFamily& from, Family& to) : from_(from), to_(to) {}

  template <typename Number>
  void number(std::size_t series, Number value) {
    add(series).value = value;
  }
  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    Series& added = add(series);
    added.labels.emplace_back("worker", std::to_string(worker));
    added.value = value;
  }
  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    Distribution distribution;
    distribution.sum = sum;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      distribution.count = accumulate(distribution.count, buckets[i]);
      if (from_.type != shm::MetricType::kHistogram) continue;
      const double bound = i < from_.bounds.size() ? from_.bounds[i] : std::numeric_limits<double>::infinity();
      distribution.buckets.emplace_back(bound, distribution.count);
    }
    add(series).value = std::move(distribution);
  }

 private:
  Series& add(std::size_t index) {
    const CatalogSeries& series = from_.series[index];
    Series& added = to_.series.emplace_back();
    added.created_unix_ns = series.created_unix_ns;
    if (!from_.segment.empty()) added.labels.emplace_back(kSegmentLabel, from_.segment);
    const auto values = series.values(from_.labels.size());
    for (std::size_t i = 0; i < values.size(); ++i) added.labels.emplace_back(from_.labels[i], values[i]);
    return added;
  }

  const CatalogFamily& from_;
  Family& to_;
};

}  // namespace

std::string_view state_name(WorkerState state) {
  static constexpr std::string_view kNames[] = {"live", "dead", "released", "unused"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string time_text(std::uint64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  char text[64];
  if (gmtime_r(&seconds, &utc) == nullptr) return {};
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

Family describe(const CatalogFamily& family, const Totals& totals) {
  Family described;
  described.name = family.name;
  described.type = shm::type_name(family.type);
  described.help = family.help;
  described.unit = family.unit;
  if (family.type == shm::MetricType::kGauge) described.mode = shm::mode_name(family.gauge_mode);
  if (!family.segment.empty()) described.labels.emplace_back(kSegmentLabel);
  described.labels.insert(described.labels.end(), family.labels.begin(), family.labels.end());
  visit_series(family, totals, Describer(family, described));
  return described;
}

}  // namespace shmetrics::collector
