// Two moments of a segment -> how fast its families and series move. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/scraper.hpp"

namespace shmetrics::tools {

/// How many observations are above one value and up to another.
struct Bucket {
  double above = 0, up_to = 0;
  std::uint64_t count = 0;
};

/// A segment at one moment. Info families are left out: they do not move.
struct Moment {
  struct Point {
    std::string labels;  // `a=1 b=2`, printable; empty without labels
    double value = 0;    // of a histogram or summary its count
    double sum = 0;      // of these alone
    std::vector<Bucket> buckets = {};
    std::string short_labels = {};  // names cut to their first letter
  };
  struct FamilyPoints {
    std::string name;
    bool is_gauge = false;
    bool is_observed = false;  // a histogram or summary
    std::vector<Point> series;
  };
  collector::SegmentStatus status;
  std::chrono::steady_clock::time_point at;
  std::vector<FamilyPoints> families;  // in the order of the text format; empty when the segment was not up
};

Moment moment_of(collector::Scraper& scraper, std::chrono::steady_clock::time_point at);

/// The value that a given part of the observations is below. If all are in the first bucket, only its end is known.
struct Quantile {
  double value = 0;
  bool is_at_most = false;
};

struct RateRow {
  std::string labels;
  double value = 0;
  std::optional<double> rate = {};   // per second; nothing without a moment of the same segment before
  std::optional<double> mean = {};   // of what was observed in between
  std::optional<Quantile> p95 = {};  // likewise, of a histogram
  std::string short_labels = {};     // names cut to their first letter
};

struct FamilyRates {
  std::string name;
  bool is_gauge = false;
  RateRow total = {};                // of all its series; of a gauge nothing
  std::vector<RateRow> series = {};  // the fastest first, of a gauge in its order
};

/// The families that move, and then the gauges. `before` may be null, or of another segment: then there are no rates. A
/// series that `before` lacks began at 0 meanwhile; so did one that went down, for it was declared anew.
std::vector<FamilyRates> compare(const Moment* before, const Moment& after);

enum class Order { kRate, kValue, kName };
/// The fastest, the largest or the first by name at the top; gauges stay behind all that moves.
void sort_families(std::vector<FamilyRates>& families, Order order);

}  // namespace shmetrics::tools
