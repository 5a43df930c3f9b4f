// Text for people's eyes: a series as one line that cannot disturb a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "collector/reading.hpp"

namespace shmetrics::tools {

/// Replaces control characters (C0, DEL, and C1 in UTF-8) by '?': a label value may hold any of them, and a terminal
/// would obey.
std::string printable(std::string_view text);

/// `name` or `name{a="1"}` as the text format spells it, made printable.
std::string series_text(const collector::Family& family, const collector::Series& series);

/// RFC 3339, UTC; empty for a time that no calendar holds.
std::string time_text(std::uint64_t unix_seconds);

}  // namespace shmetrics::tools
