// The program's exit codes; --help lists them.
//
// Threads: any. Failure: none. Lifetime: values.
#pragma once

namespace shmetrics::tools {

inline constexpr int kFine = 0;       // and, for check: sound; for diff: equal; for doctor: no problem
inline constexpr int kFailed = 1;     // dump, top: it cannot be shown
inline constexpr int kUsage = 2;      // the command line is wrong
inline constexpr int kDamaged = 1;    // check; doctor: there is a problem
inline constexpr int kDifferent = 1;  // diff
// check, diff, doctor: missing, unreadable, not a segment, another version or geometry
inline constexpr int kNoAnswer = 2;

}  // namespace shmetrics::tools
