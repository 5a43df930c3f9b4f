// The messages of Prometheus' data model on the wire: their fields by number, and the parts that several of them have.
// Source: prometheus/client_model, io/prometheus/client/metrics.proto.
//
// For protobuf.cpp. A message is built in a string of its own, so that its length is known before it is copied into the
// next one.
//
// Threads: any, on strings of its own. Failure: std::bad_alloc alone. Lifetime: a call keeps nothing.
#pragma once

#include <cstdint>
#include <protozero/buffer_fixed.hpp>
#include <protozero/pbf_builder.hpp>
#include <string>
#include <string_view>

namespace shmetrics::collector {

template <typename Field>
using Message = protozero::pbf_builder<Field>;

/// A message of a few numbers and an exemplar, in memory of its own: a string that is appended to byte by byte takes
/// several times as long. What does not fit throws std::length_error.
class SmallMessage {
 public:
  template <typename Field>
  using Builder = protozero::basic_pbf_builder<protozero::fixed_size_buffer_adaptor, Field>;

  template <typename Field>
  Builder<Field> of() {
    return Builder<Field>(buffer_);
  }
  std::string_view bytes() const { return {buffer_.data(), buffer_.size()}; }

 private:
  char bytes_[384];
  protozero::fixed_size_buffer_adaptor buffer_{bytes_, sizeof bytes_};
};

enum class FamilyField : protozero::pbf_tag_type { kName = 1, kHelp = 2, kType = 3, kMetric = 4, kUnit = 5 };
enum class FamilyType : std::int32_t { kCounter = 0, kGauge = 1, kSummary = 2, kUntyped = 3, kHistogram = 4 };
enum class MetricField : protozero::pbf_tag_type { kLabel = 1, kGauge = 2, kCounter = 3, kSummary = 4, kHistogram = 7 };
enum class LabelField : protozero::pbf_tag_type { kName = 1, kValue = 2 };
enum class CounterField : protozero::pbf_tag_type { kValue = 1, kExemplar = 2, kStart = 3 };
enum class GaugeField : protozero::pbf_tag_type { kValue = 1 };
enum class SummaryField : protozero::pbf_tag_type { kCount = 1, kSum = 2, kStart = 4 };
enum class HistogramField : protozero::pbf_tag_type {
  kCount = 1,
  kSum = 2,
  kBucket = 3,
  kSchema = 5,
  kZeroThreshold = 6,
  kZeroCount = 7,
  kPositiveSpan = 12,
  kPositiveDelta = 13,
  kStart = 15,
  kExemplar = 16
};
enum class SpanField : protozero::pbf_tag_type { kOffset = 1, kLength = 2 };
enum class BucketField : protozero::pbf_tag_type { kCount = 1, kBound = 2, kExemplar = 3 };
enum class ExemplarField : protozero::pbf_tag_type { kLabel = 1, kValue = 2, kTime = 3 };
enum class TimestampField : protozero::pbf_tag_type { kSeconds = 1, kNanoseconds = 2 };

/// Appends a google.protobuf.Timestamp. Prometheus keeps milliseconds, and gzip does not shrink what is below.
inline void append_timestamp(std::string& message, std::uint64_t unix_ns) {
  constexpr std::uint64_t kMillisecond = 1'000'000, kSecond = 1000 * kMillisecond;
  unix_ns -= unix_ns % kMillisecond;
  Message<TimestampField> timestamp(message);
  timestamp.add_int64(TimestampField::kSeconds, static_cast<std::int64_t>(unix_ns / kSecond));
  timestamp.add_int32(TimestampField::kNanoseconds, static_cast<std::int32_t>(unix_ns % kSecond));
}

/// What a string or message of so many bytes takes as a field.
inline std::size_t field_bytes(std::size_t bytes) {
  return 1 + static_cast<std::size_t>(protozero::length_of_varint(bytes)) + bytes;
}

/// What comes before such a field's bytes.
inline constexpr std::size_t kMostFrontBytes = 6;
template <typename Field>
char* write_front(char* at, Field field, std::size_t bytes) {
  constexpr auto kWireType = static_cast<std::uint32_t>(protozero::pbf_wire_type::length_delimited);
  *at++ = static_cast<char>(static_cast<std::uint32_t>(field) << 3 | kWireType);
  return at + protozero::add_varint_to_buffer(at, bytes);
}

/// Adds a field `label` of a Metric; an Exemplar has it under the same number.
inline void append_label_pair(std::string& metric, std::string_view name, std::string_view value) {
  // Its length is known, so that nothing has to be moved.
  protozero::pbf_writer outer(metric);
  protozero::pbf_writer pair(outer, static_cast<protozero::pbf_tag_type>(MetricField::kLabel),
                             field_bytes(name.size()) + field_bytes(value.size()));
  pair.add_string(static_cast<protozero::pbf_tag_type>(LabelField::kName), name.data(), name.size());
  pair.add_string(static_cast<protozero::pbf_tag_type>(LabelField::kValue), value.data(), value.size());
}

}  // namespace shmetrics::collector
