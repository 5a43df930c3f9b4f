// Families and totals -> delimited messages MetricFamily, each behind its length: what Prometheus calls its protobuf
// format. Pure: appends to a string, touches nothing else.
//
// Source: prometheus/client_model, io/prometheus/client/metrics.proto. What differs from format 0.0.4:
//   - counters, histograms and summaries say when their series was created; a time to come becomes now
//   - a unit is written where the name ends in it, before `_total`: servers refuse another, and all else with it
//   - every number is a double, so counters beyond 2^53 are rounded; counts of observations are exact up to 2^64
// What is 0 is written too: not all readers take a missing number for 0. An info is a gauge of 1.
//
// Threads: any, on a string of its own; of render_protobuf() one at a time for the same families, since the first fills
// what they keep for the next. Failure: std::bad_alloc alone. Lifetime: a family is closed before anything else is
// appended to its string.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "collector/family_groups.hpp"
#include "collector/line_buffer.hpp"
#include "collector/render.hpp"
#include "collector/text_format.hpp"

namespace shmetrics::collector {

enum class MetricField : std::uint32_t;

/// One family. Without close() it is half a message.
class ProtobufFamily {
 public:
  /// `type` is a word of format 0.0.4. close() is quicker if it has about so many bytes as it was expected to have.
  ProtobufFamily(std::string& out, std::string_view name, std::string_view help, std::string_view type,
                 std::string_view unit, std::size_t expected_bytes = 0);
  ProtobufFamily(const ProtobufFamily&) = delete;
  ProtobufFamily& operator=(const ProtobufFamily&) = delete;

  /// One series of a counter or gauge.
  void number(Labels labels, double value);
  /// One series, of parts that are encoded: fields `label`, and the message that holds its value.
  void metric(std::string_view labels, MetricField field, std::string_view value);
  /// After the last series: writes its length in front of it.
  void close();

  /// Where it begins in `out`, and where it ends for now.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return buffer_.size(); }

 private:
  std::string& out_;
  std::size_t begin_;
  std::size_t length_bytes_;
  MetricField field_;
  LineBuffer buffer_;
};

/// One family, of one segment or of several: as render_text(), and in the same order.
void render_protobuf(std::span<const FamilyPart> parts, std::chrono::system_clock::time_point now, std::string& out,
                     TextRoom& room);

}  // namespace shmetrics::collector
