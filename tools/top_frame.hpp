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
  std::size_t first = 0;              // row of families and series at the top, the earlier ones are above
  std::string filter;                 // words that a series, with its family's name, has to have, in any case
  std::string hint;                   // the last line of a screen: its keys, or what is being typed
  bool has_colours = false;
};

struct Frame {
  std::vector<std::string> lines;   // without line feeds; at most `rows`, none wider than `columns` characters
  std::size_t rows = 0, shown = 0;  // of families and series: how many there are, and how many of them are shown
};

/// A header, then families, each with its series below: numbers, and what they are of. Times and bytes have units. A
/// segment that is not up is one line that says why.
Frame frame(const collector::SegmentStatus& status, const std::vector<FamilyRates>& families,
            const FrameOptions& options);

/// The first `columns` code points of UTF-8 text.
std::string_view clip(std::string_view text, std::size_t columns);
/// At most that many: of a longer text its middle is left out, because its end tells series apart.
std::string squeeze(std::string_view text, std::size_t columns);

}  // namespace shmetrics::tools
