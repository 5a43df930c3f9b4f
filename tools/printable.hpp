// Text for people's eyes: a series as one line that cannot disturb a terminal.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <string>
#include <string_view>

#include "collector/plain_family.hpp"

namespace shmetrics::tools {

/// Replaces control characters (C0, DEL, and C1 in UTF-8) by '?': a label value may hold any of them, and a terminal
/// would obey. Shows what would not be seen, or would turn around what stands beside it, by its number: `<U+202E>`.
std::string printable(std::string_view text);

/// `name` or `name{a="1"}` as the text format spells it, made printable.
std::string series_text(const collector::PlainFamily& family, const collector::PlainSeries& series);

}  // namespace shmetrics::tools
