// A span of time as the command line spells it.
//
// Threads: any. Failure: by result. Lifetime: values.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace shmetrics::tools {

inline constexpr std::chrono::milliseconds kLeastInterval{10};
inline constexpr std::chrono::milliseconds kMostInterval = std::chrono::hours(24);

/// `500ms`, `2s`, `1m`, `1h`: a whole number and its unit. Nothing when it is spelt otherwise or lies outside
/// [kLeastInterval, kMostInterval].
std::optional<std::chrono::milliseconds> parse_interval(std::string_view text);

}  // namespace shmetrics::tools
