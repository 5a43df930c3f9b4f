// What a scrape of a segment says, by line: "name{label=\"value\"}" -> value.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "collector/scraper.hpp"
#include "tests/samples.hpp"

namespace shmetrics::tests {

struct Scrape {
  collector::SegmentStatus status;
  std::string text;
  std::map<std::string, double> values;

  bool has(const std::string& series) const { return values.contains(series); }
  double operator[](const std::string& series) const {
    const auto found = values.find(series);
    if (found == values.end()) throw std::out_of_range("no " + series + " in:\n" + text);
    return found->second;
  }
};

/// How often `reason` was met. One that the list does not have is a mistake of the test.
inline std::uint64_t count_of(std::span<const collector::ReasonCount> counts, std::string_view reason) {
  for (const collector::ReasonCount& counted : counts) {
    if (counted.reason == reason) return counted.count;
  }
  throw std::out_of_range("no reason " + std::string(reason));
}
/// Updates that count nowhere, for whatever reason.
inline std::uint64_t dropped_of(const collector::SegmentStatus& status) {
  std::uint64_t sum = 0;
  for (const collector::ReasonCount& counted : status.updates_dropped) sum += counted.count;
  return sum;
}
/// Label sets of a family that share its overflow series for `reason`; the status lists none that is 0.
inline std::uint64_t overflow_of(const collector::SegmentStatus& status, std::string_view family,
                                 std::string_view reason) {
  for (const collector::FamilyOverflow& overflow : status.series_overflow) {
    if (overflow.family == family && overflow.refused.reason == reason) return overflow.refused.count;
  }
  return 0;
}

inline Scrape scrape(collector::Scraper& scraper) {
  Scrape result;
  result.status = scraper.scrape(result.text);
  result.values = samples_of(result.text);
  return result;
}

inline Scrape scrape(const std::string& path) {
  collector::Scraper scraper(path);
  return scrape(scraper);
}

}  // namespace shmetrics::tests
