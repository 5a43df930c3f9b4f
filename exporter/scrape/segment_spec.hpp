// What --segment says: which files, and which name each one's series carry. Pure.
//
// Threads: any. Failure: std::invalid_argument with one line. Lifetime: values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::exporter {

/// Segments served at a time: each costs a descriptor, a mapping and the text of its series.
inline constexpr std::size_t kMaxSegments = 100;

struct SegmentSpec {
  std::string name;  // value of the label `segment`; empty: no label, or a glob, whose matches are named one by one
  std::string path;  // or pattern
  bool is_glob = false;

  bool operator==(const SegmentSpec&) const = default;
};

/// One value of --segment: `PATH`, `NAME=PATH` (a NAME has no slash; write ./a=b for a file that is called so), or a
/// glob: a PATH with `*`, `?` or `[`. The name of a lone PATH is left empty. Throws std::invalid_argument with one line
/// that says what to do.
SegmentSpec parse_segment(std::string_view text);

/// All of them. One plain PATH stays without a name; otherwise each file gets one, by default its stem. Throws
/// std::invalid_argument, also for two equal names and for more than kMaxSegments.
std::vector<SegmentSpec> parse_segments(const std::vector<std::string>& texts);

/// The file's name without its last extension: `a.b` of /run/a.b.seg. Empty when that can be no label value.
std::string name_of_file(const std::string& path);

}  // namespace shmetrics::exporter
