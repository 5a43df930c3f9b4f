#include "collector/merge.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

namespace shmetrics::collector {
namespace {

std::uint64_t add_bits(std::uint64_t total, std::uint64_t value) {
  return std::bit_cast<std::uint64_t>(std::bit_cast<double>(total) + std::bit_cast<double>(value));
}

}  // namespace

double accumulate_double(double below, double more) {
  return std::min(below + more, std::numeric_limits<double>::max());
}

AddedDoubles add_doubles(std::span<std::uint64_t> totals, std::span<const std::uint64_t> values) {
  const std::size_t count = std::min(totals.size(), values.size());
  AddedDoubles added;
  for (std::size_t i = 0; i < count; ++i) {
    const double value = std::bit_cast<double>(values[i]);
    if (value >= 0) {
      totals[i] = std::bit_cast<std::uint64_t>(accumulate_double(std::bit_cast<double>(totals[i]), value));
      added.infinite += std::isinf(value) ? 1 : 0;
    } else {
      ++added.refused;
    }
  }
  return added;
}

void add_observations(std::span<std::uint64_t> totals, std::span<const std::uint64_t> values) {
  totals[shm::kHistogramSum] = add_bits(totals[shm::kHistogramSum], values[shm::kHistogramSum]);
  for (std::size_t i = shm::kHistogramBuckets; i < values.size(); ++i) totals[i] = accumulate(totals[i], values[i]);
}

bool takes(shm::GaugeMode mode, WorkerStanding worker) {
  switch (mode) {
    case shm::GaugeMode::kMin:
    case shm::GaugeMode::kMax:
      return !worker.has_moved;  // a value may be the 0 of a gauge that a claim resets
    case shm::GaugeMode::kMostrecent:
    case shm::GaugeMode::kSum:  // no claim touches it: left out, it would be missing for as long as one takes
      return true;
    case shm::GaugeMode::kAll:
      return worker.is_settled;
    case shm::GaugeMode::kShared:
      return false;  // it belongs to no worker
    default:
      return worker.is_settled && worker.is_live;
  }
}

void add_gauge(GaugeTotal& total, shm::GaugeMode mode, std::uint64_t stamp, double value) {
  const auto replace_if = [&](bool is_better) {
    if (!total.is_seen || is_better) {
      total.value = value;
      total.stamp = stamp;
    }
  };
  switch (mode) {
    case shm::GaugeMode::kSum:
    case shm::GaugeMode::kLivesum:
      total.value += value;
      break;
    case shm::GaugeMode::kMin:
    case shm::GaugeMode::kLivemin:
      replace_if(value < total.value || std::isnan(total.value));
      break;
    case shm::GaugeMode::kMax:
    case shm::GaugeMode::kLivemax:
      replace_if(value > total.value || std::isnan(total.value));
      break;
    case shm::GaugeMode::kMostrecent:
    case shm::GaugeMode::kLivemostrecent:
      replace_if(stamp > total.stamp);
      break;
    case shm::GaugeMode::kShared:
      total.value = value;
      break;
    case shm::GaugeMode::kAll:
    case shm::GaugeMode::kLiveall:
      return;
  }
  total.is_seen = true;
}

void Totals::reset(std::size_t cell_count, std::size_t gauge_count) {
  cells.assign(cell_count, 0);
  gauges.assign(gauge_count, GaugeTotal{});
  per_worker.clear();
  exemplars.clear();
}

void Totals::sort_per_worker() {
  std::sort(per_worker.begin(), per_worker.end(), [](const WorkerValue& a, const WorkerValue& b) {
    return std::tie(a.gauge, a.worker, a.generation) < std::tie(b.gauge, b.worker, b.generation);
  });
  const auto end = std::unique(per_worker.begin(), per_worker.end(), [](const WorkerValue& a, const WorkerValue& b) {
    return a.gauge == b.gauge && a.worker == b.worker;
  });
  per_worker.erase(end, per_worker.end());
}

std::span<const WorkerValue> Totals::workers_of(std::uint32_t gauge) const {
  const auto first = std::partition_point(per_worker.begin(), per_worker.end(),
                                          [gauge](const WorkerValue& value) { return value.gauge < gauge; });
  const auto last =
      std::partition_point(first, per_worker.end(), [gauge](const WorkerValue& value) { return value.gauge == gauge; });
  return {first, last};
}

}  // namespace shmetrics::collector
