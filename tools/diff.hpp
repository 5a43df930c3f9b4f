// `shmetrics diff`: which series of two segments differ, and by how much.
//
// Threads: one thread. Failure: std::bad_alloc alone; all else is an exit code. Lifetime: a call keeps nothing.
#pragma once

#include <string>
#include <string_view>

namespace shmetrics::tools {

/// Appends a line per differing series, `name{labels} a b delta`, to `out`. A series is a sample line of the text
/// format, so a histogram has one a bucket; what a segment does not have is `-`, and then so is the delta. Families
/// are in the order of their names; of one family, the series of `a` come first, then those that only `b` has.
/// Returns the exit code of grep's kin; `problem` is one line when there is no answer.
int diff(const std::string& path_a, const std::string& path_b, std::string& out, std::string& problem);

/// b - a, exact for whole numbers up to 2^64 - 1, else in the shortest spelling of the double.
std::string delta(std::string_view a, std::string_view b);

}  // namespace shmetrics::tools
