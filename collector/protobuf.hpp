// Families and totals -> delimited messages MetricFamily, each behind its length: what Prometheus calls its protobuf
// format. Pure: writes to its output, touches nothing else.
//
// Source: prometheus/client_model, io/prometheus/client/metrics.proto. What differs from format 0.0.4:
//   - counters, histograms and summaries say when their series was created; a time to come becomes now
//   - a unit is written where the name ends in it, before `_total`: servers refuse another, and all else with it
//   - every number is a double, so counters beyond 2^53 are rounded; counts of observations are exact up to 2^64
// What is 0 is written too: not all readers take a missing number for 0. An info is a gauge of 1.
//
// Threads: any, on an output of its own; one at a time for the same families, since the first fills what they keep for
// the next. Failure: what the output throws. Lifetime: a call keeps nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "collector/family_groups.hpp"
#include "collector/text_format.hpp"
#include "collector/text_output.hpp"

namespace shmetrics::collector {

enum class MetricField : std::uint32_t;

/// A family of counters or gauges that lies in no segment.
class ProtobufFamily {
 public:
  /// `type` is a word of format 0.0.4.
  ProtobufFamily(std::string_view name, std::string_view help, std::string_view type, std::string_view unit);
  /// One series.
  void number(Labels labels, double value);
  /// Its message, behind its length.
  void append_to(std::string& out) const;

 private:
  std::string message_;
  MetricField field_;
};

/// A message of more bytes is not kept until its length is known, but made twice: once for its length.
inline constexpr std::size_t kMostKeptBytes = 1u << 20;

/// One family, of one segment or of several: as render_text(), and in the same order. All is flushed.
void render_protobuf(std::span<const FamilyPart> parts, std::chrono::system_clock::time_point now, TextOutput& out);

}  // namespace shmetrics::collector
