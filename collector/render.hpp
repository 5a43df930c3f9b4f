// A family and its totals -> lines of text format 0.0.4: kept prefix, number, line feed. Pure.
//
// Threads: any, on a string of its own. Failure: std::bad_alloc alone. Lifetime: a call keeps nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collector/family_groups.hpp"

namespace shmetrics::collector {

inline constexpr std::size_t kMaxTextBytes = 256u << 20;

/// The longest text, in any format, and the number of series that did not fit. Once the text is longer, whole series
/// are left out, never parts of one, so it goes beyond by a series at most.
struct TextRoom {
  std::size_t max_bytes = kMaxTextBytes;
  std::vector<std::uint64_t> left_out;  // series by segment (FamilyPart::segment); grows as needed

  /// Whether a series comes behind `bytes`, of which there may be `most`. If not, it is counted as left out.
  bool takes(std::size_t bytes, std::size_t most, std::size_t segment) {
    if (bytes <= most) return true;
    if (left_out.size() <= segment) left_out.resize(segment + 1);
    ++left_out[segment];
    return false;
  }
};

/// Appends one family, of one segment or of several: one head, the first one's, and the series of all behind it.
/// Nothing at all, not even the head, when no series is shown. Throws std::bad_alloc only.
void render_text(std::span<const FamilyPart> parts, std::string& out, TextRoom& room);

}  // namespace shmetrics::collector
