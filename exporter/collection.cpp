#include "exporter/collection.hpp"

#include <chrono>

#include "collector/family_groups.hpp"
#include "collector/render.hpp"
#include "exporter/process_metrics.hpp"

namespace shmetrics::exporter {

using collector::SegmentStatus;

Collection::Collection(std::vector<SegmentSpec> segments, bool with_exporter_metrics, const RequestCounts& counts)
    : segments_(std::move(segments)), with_exporter_metrics_(with_exporter_metrics), counts_(counts) {}

std::string Collection::collect() {
  std::string text;
  text.reserve(expected_size_);
  const auto start = std::chrono::steady_clock::now();
  segments_.refresh();
  std::vector<SegmentStatus> statuses = read_segments();
  render_segments(text, statuses);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  auto status = statuses.begin();
  for (FollowedSegment& segment : segments_.segments()) segment.log.note(*status++, segment.scraper.path());
  append_scrape_duration(text, elapsed.count());
  append_segment_metrics(text, statuses);
  if (with_exporter_metrics_) {
    append_exporter_metrics(text, counts_);
    append_process_metrics(text, read_process_status());
  }
  // A quarter more than last time: growing a string of ten megabytes by doubling costs more than summing what is in it.
  expected_size_ = text.size() + text.size() / 4;
  return text;
}

std::vector<SegmentStatus> Collection::read_segments() {
  std::vector<SegmentStatus> statuses;
  for (FollowedSegment& segment : segments_.segments()) statuses.push_back(segment.scraper.read());
  return statuses;
}

void Collection::render_segments(std::string& text, std::vector<SegmentStatus>& statuses) {
  const std::list<FollowedSegment>& segments = segments_.segments();
  if (segments.size() == 1) return segments.front().scraper.render(text);
  std::vector<collector::SegmentView> views;
  for (const FollowedSegment& segment : segments) views.push_back(segment.scraper.view());
  const collector::FamilyGroups families(views);
  for (std::size_t i = 0; i < families.size(); ++i) collector::render_text(families.group(i), text);
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    const collector::LeftOut& left_out = families.left_out()[i];
    statuses[i].quarantined_families += left_out.families;
    if (left_out.families == 0) continue;
    statuses[i].notice += (statuses[i].notice.empty() ? "" : "; ") + left_out.example;
  }
}

}  // namespace shmetrics::exporter
