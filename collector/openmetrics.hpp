// Families and totals -> OpenMetrics 1.0.0 text. Pure: writes to its output, touches nothing else.
//
// Source: prometheus.io/docs/specs/om/open_metrics_spec. What differs from format 0.0.4:
//   - the head is TYPE, UNIT (where the family has one and its name ends in it), HELP; HELP escapes the quote too
//   - head lines name a counter without `_total` and an info, which is of type info, without `_info`; samples keep both
//   - a bound has a point or an exponent: le="1.0"
//   - what a strict reader refuses is left out: `_sum` and `_count` of a histogram with a bound below 0, or whose sum
//     is negative or NaN; `_sum` alone of such a summary
//   - `# EOF` ends the text: the writer of the last family calls end_openmetrics()
//   - a counter's sample and the buckets of a histogram are followed by their newest exemplar
// `_created` lines only where they are asked for: docs/merge-rules.md says why.
//
// Threads: as protobuf.hpp. Failure: what the output throws. Lifetime: a call keeps nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "collector/family_groups.hpp"
#include "collector/text_output.hpp"

namespace shmetrics::collector {

/// Whether each series of a counter, histogram or summary has a line that says when it was created.
enum class Created : std::uint8_t { kNo, kYes };

/// One family, of one segment or of several: one head, the first one's, and the series of all behind it. Nothing at
/// all, not even the head, when no series is shown. All is flushed.
void render_openmetrics(std::span<const FamilyPart> parts, Created created, TextOutput& out);

/// The head of a family that is exposed as `name`; `type` is a word of format 0.0.4, or info. Its samples are written
/// as in format 0.0.4 (append_sample), except bounds.
void append_openmetrics_head(std::string& out, std::string_view name, std::string_view type, std::string_view unit,
                             std::string_view help);

/// Whether the name, of a counter without its `_total`, ends in the unit: elsewhere no unit is written.
bool names_unit(std::string_view name, std::string_view unit);

/// The last line.
void end_openmetrics(std::string& out);

}  // namespace shmetrics::collector
