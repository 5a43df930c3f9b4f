// Says when a segment comes and goes, and what is odd about it: once, not at every scrape.
#pragma once

#include <string>
#include <string_view>

#include "collector/scraper.hpp"
#include "exporter/log.hpp"

namespace shmetrics::exporter {

/// A line about one segment: with its name and path, or with its path alone when it has no name.
void log_segment(LogLevel level, std::string_view message, const std::string& name, const std::string& path,
                 std::string_view problem = {});

/// What was said about one segment. Belongs to one thread.
class SegmentLog {
 public:
  /// After each read of the segment.
  void note(const collector::SegmentStatus& status, const std::string& path);

 private:
  bool was_up_ = false;
  std::string complaint_;  // the last one logged: a problem or a notice
  LogThrottle throttle_;
};

}  // namespace shmetrics::exporter
