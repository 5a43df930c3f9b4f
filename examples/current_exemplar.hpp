// The current span of OpenTelemetry as an exemplar: docs/exemplars.md.
//
// Threads: any; the span is the calling thread's. Failure: none; without a span, or if it is not sampled, it is no
// exemplar. Lifetime: as an argument, of one expression.
#pragma once

#include <opentelemetry/trace/tracer.h>

#include <shmetrics/shmetrics.hpp>
#include <string_view>

class CurrentExemplar {
 public:
  CurrentExemplar() {
    const auto span = opentelemetry::trace::Tracer::GetCurrentSpan()->GetContext();
    if (!span.IsValid() || !span.IsSampled()) return;
    span.trace_id().ToLowerBase16(trace_);
    span.span_id().ToLowerBase16(span_);
    exemplar_ = {{trace_, sizeof trace_}, {span_, sizeof span_}};
  }
  // Views its own arrays.
  CurrentExemplar(const CurrentExemplar&) = delete;
  CurrentExemplar& operator=(const CurrentExemplar&) = delete;
  operator const shmetrics::Exemplar&() const { return exemplar_; }

 private:
  char trace_[32], span_[16];
  shmetrics::Exemplar exemplar_;
};
