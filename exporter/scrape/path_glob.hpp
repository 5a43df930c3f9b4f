// Which files a pattern such as /run/*/metrics.seg stands for, now.
//
// Threads: any. Failure: std::bad_alloc alone; what cannot be read has no matches. Lifetime: values.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace shmetrics::exporter {

/// Directory entries that one pattern may look at: a pattern over a huge tree must not hold up a scrape. (glob(3) knows
/// no such bound.)
inline constexpr std::size_t kMaxGlobEntries = 10'000;

struct GlobResult {
  std::vector<std::string> paths;  // in the order of their bytes, whatever the locale
  bool is_cut = false;             // there were more than kMaxGlobEntries entries to look at
};

/// `*`, `?` and `[...]` as in fnmatch(3), each within one part of the path; a leading dot is matched only by a dot.
/// An unreadable directory has no matches. The caller checks whether a match is a file. Throws std::bad_alloc only.
GlobResult expand_glob(const std::string& pattern, std::size_t max_entries = kMaxGlobEntries);

}  // namespace shmetrics::exporter
