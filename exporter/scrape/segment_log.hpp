// Says when a segment comes and goes, and what is odd about it: once, not at every scrape.
//
// Threads: one thread for each log. Failure: std::bad_alloc alone. Lifetime: one log a segment, as long as it is
// followed.
#pragma once

#include <string>
#include <string_view>

#include "collector/scraper.hpp"
#include "exporter/log.hpp"

namespace shmetrics::exporter {

/// A line about one segment: with its name and path, or with its path alone when it has no name; and what is wrong.
void log_segment(LogLevel level, std::string_view message, const std::string& name, const std::string& path,
                 std::string_view problem = {}, std::string_view problem_key = "problem");

/// What was said about one segment. Belongs to one thread.
class SegmentLog {
 public:
  /// After each read of the segment.
  void note(const collector::SegmentStatus& status, const std::string& path);

 private:
  void note_state(const collector::SegmentStatus& status, const std::string& path);
  struct NotedList {
    LogLevel level;
    std::string_view message, key;
    std::string said = {};  // the last one logged; empty at first
  };
  void note_list(NotedList& noted, const std::string& list, const collector::SegmentStatus& status,
                 const std::string& path);

  bool was_up_ = false;
  std::string complaint_;  // the last one logged: a problem or a notice
  NotedList locks_{LogLevel::kWarn,
                   "a process that is no worker holds read locks: it may keep workers from their entries", "locks"};
  NotedList refusals_{LogLevel::kWarn, "declarations of metrics were refused: the workers' stderr names them",
                      "reasons"};
  NotedList generations_{LogLevel::kInfo, "families have more than one schema: the scrape shows their sums",
                         "families"};
  LogThrottle throttle_;
};

}  // namespace shmetrics::exporter
