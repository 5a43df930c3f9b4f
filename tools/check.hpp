// `shmetrics check`: whether a segment is sound.
//
// Threads: one thread. Failure: std::bad_alloc alone; all else is an exit code. Lifetime: a call keeps nothing.
#pragma once

#include <string>

namespace shmetrics::tools {

/// Appends a line per finding or warning to `out`. Returns the exit code; `problem` is one line when there is no
/// answer.
int check(const std::string& path, std::string& out, std::string& problem);

}  // namespace shmetrics::tools
