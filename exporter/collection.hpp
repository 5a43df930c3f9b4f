// What a scrape of the exporter is made of: the families of all segments, then the self metrics. Belongs to one thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "exporter/segment_set.hpp"
#include "exporter/self_metrics.hpp"

namespace shmetrics::exporter {

class Collection {
 public:
  Collection(std::vector<SegmentSpec> segments, bool with_exporter_metrics, const RequestCounts& counts);

  /// Text format 0.0.4. Throws std::bad_alloc only.
  std::string collect();

 private:
  std::vector<collector::SegmentStatus> read_segments();
  void render_segments(std::string& text, std::vector<collector::SegmentStatus>& statuses);

  SegmentSet segments_;
  bool with_exporter_metrics_;
  const RequestCounts& counts_;
  std::size_t expected_size_ = 0;
};

}  // namespace shmetrics::exporter
