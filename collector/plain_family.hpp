// Families as plain values that own what they say: for tables, JSON and tests. The text formats have a way of their
// own (render.hpp, openmetrics.hpp), which is faster. Pure.
//
// Threads: any while none reads the segment anew. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "collector/family_groups.hpp"

namespace shmetrics::collector {

/// The buckets of a native histogram that have counted something; not cumulative.
struct NativeDistribution {
  struct Bucket {
    double above = 0, up_to = 0;  // the last bucket of all has no end: +Inf
    std::uint64_t count = 0;
  };
  std::int32_t schema = 0;
  double zero_threshold = 0;
  std::uint64_t zero_count = 0;  // from 0 up to the threshold
  std::vector<Bucket> buckets;
};

/// Bucket: upper bound, and how many observations up to it; the last bound is +Inf.
struct Distribution {
  std::vector<std::pair<double, std::uint64_t>> buckets;  // empty for a summary
  double sum = 0;
  std::uint64_t count = 0;
  std::optional<NativeDistribution> native;  // and then `buckets` are few, of the same observations
};

struct PlainExemplar {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
  double unix_seconds = 0;
};

struct PlainSeries {
  std::vector<std::pair<std::string, std::string>> labels;  // with `worker` in the modes that have a series per worker
  std::variant<std::uint64_t, double, Distribution> value;
  std::vector<PlainExemplar> exemplars;  // of a counter one, of a histogram one a bucket, where there are
};

/// One schema of a family that has several.
struct Generation {
  std::uint32_t entry = 0;  // of the directory
  std::vector<std::string> labels;
  std::vector<double> bounds;
  std::string mode;                // of a gauge, else empty
  std::string_view cell_kind;      // unsigned double
  std::uint64_t series_count = 0;  // label sets that it knows
};

struct PlainFamily {
  std::string name;
  std::string type;  // counter gauge histogram summary info
  std::string help;
  std::string unit;
  std::string mode;  // of a gauge, else empty
  std::vector<std::string> labels;
  std::vector<Generation> generations;  // the oldest first; none when there is only one
  std::vector<PlainSeries> series;      // in the order of the text format; only those that it shows
};

/// The families of one segment, in the order of the text format.
std::vector<PlainFamily> plain_families(const ScrapedSegment& segment, const Wanted& wanted = {});

/// The same in pieces, for what must not hold a million series at once: a family without its series, and its series one
/// by one.
PlainFamily plain_head(const CatalogFamily& family);
void for_each_series(const FamilyPart& part, const std::function<void(PlainSeries&&)>& take);

/// RFC 3339, UTC; empty for a time that no calendar holds.
std::string time_text(std::uint64_t unix_seconds);

}  // namespace shmetrics::collector
