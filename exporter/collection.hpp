// What a scrape of the exporter is made of: the segment's families, then the self metrics. Logs when the segment comes
// and goes. Belongs to one thread.
#pragma once

#include <string>

#include "collector/scraper.hpp"
#include "exporter/log.hpp"
#include "exporter/self_metrics.hpp"

namespace shmetrics::exporter {

class Collection {
 public:
  Collection(const std::string& segment, bool with_exporter_metrics, const RequestCounts& counts);

  /// Text format 0.0.4. Throws std::bad_alloc only.
  std::string collect();

 private:
  void note(const collector::SegmentStatus& status);

  collector::Scraper scraper_;
  bool with_exporter_metrics_;
  const RequestCounts& counts_;
  bool was_up_ = false;
  std::string complaint_;  // the last one logged: a problem or a notice
  LogThrottle throttle_;
  std::size_t expected_size_ = 0;
};

}  // namespace shmetrics::exporter
