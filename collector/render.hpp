// A family and its totals -> lines of text format 0.0.4: kept prefix, number, line feed. Pure.
//
// Threads: as protobuf.hpp. Failure: what the output throws. Lifetime: a call keeps nothing.
#pragma once

#include <span>

#include "collector/family_groups.hpp"
#include "collector/text_output.hpp"

namespace shmetrics::collector {

/// Writes one family, of one segment or of several: one head, the first one's, and the series of all behind it. Nothing
/// at all, not even the head, when no series is shown. All is flushed.
void render_text(std::span<const FamilyPart> parts, TextOutput& out);

}  // namespace shmetrics::collector
