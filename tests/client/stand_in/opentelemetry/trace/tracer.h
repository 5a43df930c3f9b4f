// What examples/current_exemplar.hpp asks of OpenTelemetry's API for C++, by its names: for the tests, where that is
// not installed. The current span is what a test has set.
#pragma once

#include <span>
#include <string_view>

namespace opentelemetry::trace {

template <std::size_t kDigits>
struct Id {
  std::string_view digits;
  void ToLowerBase16(std::span<char, kDigits> buffer) const { digits.copy(buffer.data(), kDigits); }
};

struct SpanContext {
  bool is_valid, is_sampled;
  std::string_view trace, span;
  bool IsValid() const { return is_valid; }
  bool IsSampled() const { return is_sampled; }
  Id<32> trace_id() const { return {trace}; }
  Id<16> span_id() const { return {span}; }
};

struct Span {
  SpanContext context;
  SpanContext GetContext() const { return context; }
};

struct Tracer {
  static const Span* GetCurrentSpan() { return &current; }
  static inline Span current{};
};

}  // namespace opentelemetry::trace
