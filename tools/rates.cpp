#include "tools/rates.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "tools/printable.hpp"

namespace shmetrics::tools {
namespace {

using Points = std::unordered_map<std::string_view, const Moment::Point*>;

using collector::NativeDistribution;

// What was observed since then. Buckets come with their first observation, and stay.
NativeDistribution grown_since(const NativeDistribution& before, NativeDistribution after) {
  if (before.schema != after.schema || before.zero_threshold != after.zero_threshold) return after;
  after.zero_count -= std::min(after.zero_count, before.zero_count);
  auto old = before.buckets.begin();
  for (NativeDistribution::Bucket& bucket : after.buckets) {
    while (old != before.buckets.end() && old->up_to < bucket.up_to) ++old;
    if (old != before.buckets.end() && old->up_to == bucket.up_to) bucket.count -= std::min(bucket.count, old->count);
  }
  return after;
}

std::optional<double> quantile(double q, const NativeDistribution& of) {
  double wanted = static_cast<double>(of.zero_count);
  for (const auto& bucket : of.buckets) wanted += static_cast<double>(bucket.count);
  wanted *= q;
  const auto within = [&](double above, double up_to, std::uint64_t count) -> std::optional<double> {
    const auto here = static_cast<double>(count);
    if (here > 0 && wanted <= here) return std::isinf(up_to) ? above : above + (up_to - above) * (wanted / here);
    wanted -= here;
    return {};
  };
  std::optional<double> found = within(0, of.zero_threshold, of.zero_count);
  for (auto bucket = of.buckets.begin(); !found && bucket != of.buckets.end(); ++bucket) {
    found = within(bucket->above, bucket->up_to, bucket->count);
  }
  return found;
}

// Both as of the same series; `before` is null when that series is new.
RateRow moving_row(const Moment::Point* before, const Moment::Point& after, double seconds) {
  RateRow row{.series = after.series, .value = after.value, .rate = {}, .mean = {}};
  if (seconds <= 0) return row;
  const bool goes_on = before != nullptr && before->value <= after.value;
  const double grown = after.value - (goes_on ? before->value : 0);
  if (std::isnan(grown)) return row;  // two infinities: a float counter can reach infinity
  row.rate = grown / seconds;
  if (after.is_observed && grown > 0) row.mean = (after.sum - (goes_on ? before->sum : 0)) / grown;
  if (after.native && grown > 0) {
    const bool had_some = goes_on && before->native;
    row.p99 = quantile(0.99, had_some ? grown_since(*before->native, *after.native) : *after.native);
  }
  return row;
}

}  // namespace

Moment moment_of(collector::Scraper& scraper, std::chrono::steady_clock::time_point at) {
  Moment moment;
  moment.status = scraper.read();
  moment.at = at;
  for (const collector::PlainFamily& family : collector::plain_families(scraper.view())) {
    if (family.type == "info") continue;
    for (const collector::PlainSeries& series : family.series) {
      Moment::Point& point = moment.points.emplace_back();
      point.series = series_text(family, series);
      point.is_gauge = family.type == "gauge";
      if (const auto* distribution = std::get_if<collector::Distribution>(&series.value)) {
        point.is_observed = true;
        point.value = static_cast<double>(distribution->count);
        point.sum = distribution->sum;
        point.native = distribution->native;
      } else if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) {
        point.value = static_cast<double>(*whole);
      } else {
        point.value = std::get<double>(series.value);
      }
    }
  }
  return moment;
}

Rates compare(const Moment* before, const Moment& after) {
  Points old;
  double seconds = 0;  // none: no rates
  if (before != nullptr && before->status.up && before->status.id == after.status.id) {
    seconds = std::chrono::duration<double>(after.at - before->at).count();
    for (const Moment::Point& point : before->points) old.emplace(point.series, &point);
  }
  Rates rates;
  for (const Moment::Point& point : after.points) {
    if (point.is_gauge) {
      rates.gauges.push_back({.series = point.series, .value = point.value, .rate = {}, .mean = {}});
      continue;
    }
    const auto found = old.find(point.series);
    rates.moving.push_back(moving_row(found == old.end() ? nullptr : found->second, point, seconds));
  }
  // Stable: series that do not move keep their places.
  std::stable_sort(rates.moving.begin(), rates.moving.end(),
                   [](const RateRow& a, const RateRow& b) { return a.rate.value_or(0) > b.rate.value_or(0); });
  return rates;
}

}  // namespace shmetrics::tools
