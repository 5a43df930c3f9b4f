#include "tools/rates.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "tools/printable.hpp"

namespace shmetrics::tools {
namespace {

using Points = std::unordered_map<std::string_view, const Reading::Point*>;

// Both as of the same series; `before` is null when that series is new.
RateRow moving_row(const Reading::Point* before, const Reading::Point& after, double seconds) {
  RateRow row{.series = after.series, .value = after.value, .rate = {}, .mean = {}};
  if (seconds <= 0) return row;
  const bool goes_on = before != nullptr && before->value <= after.value;
  const double grown = after.value - (goes_on ? before->value : 0);
  if (std::isnan(grown)) return row;  // a float counter can reach infinity, and then stands still in no way that counts
  row.rate = grown / seconds;
  if (after.is_observed && grown > 0) row.mean = (after.sum - (goes_on ? before->sum : 0)) / grown;
  return row;
}

}  // namespace

Reading read(collector::Scraper& scraper, std::chrono::steady_clock::time_point at) {
  Reading reading;
  reading.status = scraper.read();
  reading.at = at;
  for (const collector::Family& family : scraper.families()) {
    if (family.type == "info") continue;
    for (const collector::Series& series : family.series) {
      Reading::Point& point = reading.points.emplace_back();
      point.series = series_text(family, series);
      point.is_gauge = family.type == "gauge";
      if (const auto* distribution = std::get_if<collector::Distribution>(&series.value)) {
        point.is_observed = true;
        point.value = static_cast<double>(distribution->count);
        point.sum = distribution->sum;
      } else if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) {
        point.value = static_cast<double>(*whole);
      } else {
        point.value = std::get<double>(series.value);
      }
    }
  }
  return reading;
}

Rates compare(const Reading* before, const Reading& after) {
  Points old;
  double seconds = 0;  // none: no rates
  if (before != nullptr && before->status.up && before->status.id == after.status.id) {
    seconds = std::chrono::duration<double>(after.at - before->at).count();
    for (const Reading::Point& point : before->points) old.emplace(point.series, &point);
  }
  Rates rates;
  for (const Reading::Point& point : after.points) {
    if (point.is_gauge) {
      rates.gauges.push_back({.series = point.series, .value = point.value, .rate = {}, .mean = {}});
      continue;
    }
    const auto found = old.find(point.series);
    rates.moving.push_back(moving_row(found == old.end() ? nullptr : found->second, point, seconds));
  }
  // Stable: what stands still keeps its place.
  std::stable_sort(rates.moving.begin(), rates.moving.end(),
                   [](const RateRow& a, const RateRow& b) { return a.rate.value_or(0) > b.rate.value_or(0); });
  return rates;
}

}  // namespace shmetrics::tools
