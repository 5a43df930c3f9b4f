// `shmetrics top`: how fast a segment's series move, again and again on a terminal, else once.
//
// Threads: the main thread: it sleeps, and the terminal is the process's own. Failure: std::bad_alloc alone; all else
// is an exit code. Lifetime: a call keeps nothing.
#pragma once

#include <chrono>
#include <string>

namespace shmetrics::tools {

inline constexpr std::chrono::milliseconds kLeastInterval{10};

struct TopOptions {
  std::string path;
  std::chrono::milliseconds interval{2000};
};

/// Two readings one interval apart; appends one table, in full, to `out`. Returns the exit code; when it is not 0,
/// `problem` is one line that says what to do.
int top_once(const TopOptions& options, std::string& out, std::string& problem);

/// Redraws the terminal until it is told to stop. A segment that vanishes is shown as that, and may come back; one that
/// is not there at the start is a failure.
int top_on_screen(const TopOptions& options, std::string& problem);

}  // namespace shmetrics::tools
