// Sizes as flags have them: 1048576, 512k, 256MiB. Pure.
//
// Threads: any. Failure: by result. Lifetime: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace shmetrics::exporter {

/// A whole number of bytes above 0, or of 2^10, 2^20 or 2^30 of them: k, M, G, with or without `iB`, in either case.
/// Nothing for all else, also for what 63 bits do not hold.
std::optional<std::uint64_t> parse_byte_size(std::string_view text);

}  // namespace shmetrics::exporter
