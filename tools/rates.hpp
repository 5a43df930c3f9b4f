// Two moments of a segment -> how fast its series move. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"

namespace shmetrics::tools {

/// A segment at one moment. Info families are left out: they do not move.
struct Moment {
  struct Point {
    std::string series;  // printable
    bool is_gauge = false;
    bool is_observed = false;  // histogram, summary: `value` is its count
    double value = 0;
    double sum = 0;  // observed only
    std::optional<collector::NativeDistribution> native = {};
  };
  collector::SegmentStatus status;
  std::chrono::steady_clock::time_point at;
  std::vector<Point> points;  // in the order of the text format; empty when the segment was not up
};

Moment moment_of(collector::Scraper& scraper, std::chrono::steady_clock::time_point at);

struct RateRow {
  std::string series;
  double value = 0;
  std::optional<double> rate;  // per second; nothing without a moment of the same segment before
  std::optional<double> mean;  // of what was observed in between
  std::optional<double> p99 = {};   // likewise, of a native histogram
};

struct Rates {
  std::vector<RateRow> moving;  // counters, and histograms and summaries by their counts: the fastest first
  std::vector<RateRow> gauges;  // by name; no rates
};

/// `before` may be null, or of another segment: then there are no rates. A series that `before` lacks began at 0
/// meanwhile; so did one that went down, for it was declared anew.
Rates compare(const Moment* before, const Moment& after);

}  // namespace shmetrics::tools
