// `shmetrics check`: whether a segment is sound.
//
// For one thread at a time. Throws std::bad_alloc only; nothing is kept between calls.
#pragma once

#include <string>

namespace shmetrics::tools {

/// Appends a line per finding or warning to `out`. Returns the exit code; `problem` is one line when there is no
/// answer.
int check(const std::string& path, std::string& out, std::string& problem);

}  // namespace shmetrics::tools
