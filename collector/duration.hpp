// Durations as Go writes them: what the flags of both programs take. Pure.
//
// Threads: any. Failure: by result. Lifetime: values.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace shmetrics::collector {

/// `10s`, `1m30s`, `1.5h`, `500ms`; the units are h, m, s, ms, us and ns, and each number needs one. Rounded to
/// milliseconds. Nothing for what is no duration, is below 1 ms or above 24 h; so neither 0 nor a sign is taken.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace shmetrics::collector
