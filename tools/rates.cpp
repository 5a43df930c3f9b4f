#include "tools/rates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "collector/plain_family.hpp"
#include "tools/printable.hpp"

namespace shmetrics::tools {
namespace {

using Points = std::unordered_map<std::string_view, const Moment::Point*>;  // of one family, by labels

// What came between two moments; what went down has begun anew.
struct Growth {
  double value = 0, sum = 0;
  std::map<double, Bucket> buckets;  // by their ends

  void add(const Moment::Point* before, const Moment::Point& after) {
    const bool goes_on = before != nullptr && before->value <= after.value;
    value += after.value - (goes_on ? before->value : 0);
    sum += after.sum - (goes_on ? before->sum : 0);
    for (const Bucket& bucket : after.buckets) {
      buckets.try_emplace(bucket.up_to, Bucket{bucket.above, bucket.up_to, 0}).first->second.count += bucket.count;
    }
    if (!goes_on) return;
    for (const Bucket& bucket : before->buckets) {
      const auto found = buckets.find(bucket.up_to);
      if (found != buckets.end()) found->second.count -= std::min(found->second.count, bucket.count);
    }
  }

  std::optional<Quantile> quantile(double q) const {
    double wanted = 0;
    for (const auto& [end, bucket] : buckets) wanted += static_cast<double>(bucket.count);
    if (wanted == 0) return {};
    if (static_cast<double>(buckets.begin()->second.count) == wanted) return Quantile{buckets.begin()->first, true};
    wanted *= q;
    for (const auto& [end, bucket] : buckets) {
      const auto here = static_cast<double>(bucket.count);
      if (here == 0 || wanted > here) {
        wanted -= here;
      } else {
        return Quantile{std::isinf(end) ? bucket.above : bucket.above + (end - bucket.above) * (wanted / here)};
      }
    }
    return {};
  }

  // Into a row that has its labels and value.
  void tell(RateRow& row, bool is_observed, double seconds) const {
    if (seconds <= 0 || std::isnan(value)) return;  // two infinities: a float counter can reach infinity
    row.rate = value / seconds;
    if (!is_observed || value <= 0) return;
    row.mean = sum / value;
    row.p95 = quantile(0.95);
  }
};

std::vector<Bucket> buckets_of(const collector::Distribution& distribution) {
  std::vector<Bucket> buckets;
  if (distribution.native) {
    buckets.push_back({0, distribution.native->zero_threshold, distribution.native->zero_count});
    for (const auto& [above, up_to, count] : distribution.native->buckets) buckets.push_back({above, up_to, count});
    return buckets;
  }
  std::uint64_t before = 0;
  for (const auto& [bound, count] : distribution.buckets) {
    buckets.push_back({buckets.empty() ? std::min(0.0, bound) : buckets.back().up_to, bound, count - before});
    before = count;
  }
  return buckets;
}

std::string labels_of(const collector::PlainSeries& series, std::size_t most_of_name = std::string::npos) {
  std::string text;
  for (const auto& [name, value] : series.labels) {
    text.append(text.empty() ? "" : " ").append(name, 0, most_of_name).append("=").append(value);
  }
  return printable(text);
}

Moment::Point point_of(const collector::PlainSeries& series) {
  Moment::Point point{.labels = labels_of(series), .short_labels = labels_of(series, 1)};
  if (const auto* distribution = std::get_if<collector::Distribution>(&series.value)) {
    point.value = static_cast<double>(distribution->count);
    point.sum = distribution->sum;
    point.buckets = buckets_of(*distribution);
  } else if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) {
    point.value = static_cast<double>(*whole);
  } else {
    point.value = std::get<double>(series.value);
  }
  return point;
}

FamilyRates rates_of(const Moment::FamilyPoints* before, const Moment::FamilyPoints& after, double seconds) {
  Points old;
  if (before != nullptr) {
    for (const Moment::Point& point : before->series) old.emplace(point.labels, &point);
  }
  FamilyRates family{after.name, after.is_gauge};
  Growth together;
  for (const Moment::Point& point : after.series) {
    RateRow& row = family.series.emplace_back(
        RateRow{.labels = point.labels, .value = point.value, .short_labels = point.short_labels});
    if (after.is_gauge) continue;
    const auto found = old.find(point.labels);
    const Moment::Point* then = found == old.end() ? nullptr : found->second;
    Growth growth;
    growth.add(then, point);
    growth.tell(row, after.is_observed, seconds);
    together.add(then, point);
    family.total.value += point.value;
  }
  together.tell(family.total, after.is_observed, seconds);
  return family;
}

}  // namespace

Moment moment_of(collector::Scraper& scraper, std::chrono::steady_clock::time_point at) {
  Moment moment;
  moment.status = scraper.read();
  moment.at = at;
  for (const collector::PlainFamily& plain : collector::plain_families(scraper.view())) {
    if (plain.type == "info") continue;
    Moment::FamilyPoints& family = moment.families.emplace_back();
    family.name = plain.name;
    family.is_gauge = plain.type == "gauge";
    family.is_observed = plain.type == "histogram" || plain.type == "summary";
    for (const collector::PlainSeries& series : plain.series) family.series.push_back(point_of(series));
  }
  return moment;
}

std::vector<FamilyRates> compare(const Moment* before, const Moment& after) {
  std::unordered_map<std::string_view, const Moment::FamilyPoints*> old;
  double seconds = 0;  // none: no rates
  if (before != nullptr && before->status.up && before->status.id == after.status.id) {
    seconds = std::chrono::duration<double>(after.at - before->at).count();
    for (const Moment::FamilyPoints& family : before->families) old.emplace(family.name, &family);
  }
  std::vector<FamilyRates> families;
  for (const Moment::FamilyPoints& family : after.families) {
    const auto found = old.find(family.name);
    families.push_back(rates_of(found == old.end() ? nullptr : found->second, family, seconds));
  }
  sort_families(families, Order::kRate);
  return families;
}

void sort_families(std::vector<FamilyRates>& families, Order order) {
  // Stable: what does not move keeps its place.
  const auto comes_first = [order](const RateRow& a, const RateRow& b) {
    return order == Order::kRate    ? a.rate.value_or(0) > b.rate.value_or(0)
           : order == Order::kValue ? a.value > b.value
                                    : a.labels < b.labels;
  };
  std::stable_sort(families.begin(), families.end(), [&](const FamilyRates& a, const FamilyRates& b) {
    if (a.is_gauge != b.is_gauge) return b.is_gauge;
    return a.is_gauge || order == Order::kName ? a.name < b.name : comes_first(a.total, b.total);
  });
  for (FamilyRates& family : families) {
    if (!family.is_gauge) std::stable_sort(family.series.begin(), family.series.end(), comes_first);
  }
}

}  // namespace shmetrics::tools
