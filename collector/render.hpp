// A family and its totals -> lines of text format 0.0.4: kept prefix, number, line feed. Pure.
#pragma once

#include <span>
#include <string>

#include "collector/family.hpp"
#include "collector/family_groups.hpp"
#include "collector/merge.hpp"

namespace shmetrics::collector {

/// Text that render_text() does not go beyond by more than a series: a segment cannot make a scrape bigger.
inline constexpr std::size_t kMaxTextBytes = 256u << 20;

/// Appends the family in format 0.0.4; nothing at all, not even its head, when none of its series is shown.
void render_text(const CatalogFamily& family, const Totals& totals, std::string& out);

/// The same family of several segments: one head, the first one's, and the series of all behind it.
void render_text(std::span<const FamilyPart> parts, std::string& out);

}  // namespace shmetrics::collector
