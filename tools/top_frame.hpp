// Rates -> the lines that `shmetrics top` shows. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/rates.hpp"

namespace shmetrics::tools {

struct FrameOptions {
  std::string path;
  std::uint64_t unix_seconds = 0;  // now
  std::chrono::milliseconds interval{0};
  std::size_t rows = 0, columns = 0;  // 0: as many as it takes
  bool has_colours = false;
};

/// The lines, without line feeds: a header, then counters, then gauges; at most `rows`, none wider than `columns`
/// characters. Where not all fit, the fastest counters and the first gauges are shown, gauges on a third of the rows.
/// A segment that is not up is one line that says why.
std::vector<std::string> frame(const collector::SegmentStatus& status, const Rates& rates, const FrameOptions& options);

/// The first `columns` code points of UTF-8 text.
std::string_view clip(std::string_view text, std::size_t columns);

}  // namespace shmetrics::tools
