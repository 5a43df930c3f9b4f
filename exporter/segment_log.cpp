#include "exporter/segment_log.hpp"

#include <chrono>

namespace shmetrics::exporter {

void log_segment(LogLevel level, std::string_view message, const std::string& name, const std::string& path,
                 std::string_view problem) {
  LogFields fields{{"segment", name.empty() ? path : name}};
  if (!name.empty()) fields.emplace_back("path", path);
  if (!problem.empty()) fields.emplace_back("problem", problem);
  log(level, message, fields);
}

void SegmentLog::note(const collector::SegmentStatus& status, const std::string& path) {
  const bool has_changed = status.up != was_up_;
  was_up_ = status.up;
  if (status.up && has_changed) log_segment(LogLevel::kInfo, "the segment is up", status.segment, path);
  const std::string& complaint = status.up ? status.notice : status.problem;
  if (complaint == complaint_) return;
  // A problem may name a number that differs at each scrape; going down is told at once, all else once a minute.
  const char* message = status.up ? "the segment is up, but" : "the segment is not up";
  if (!complaint.empty()) {
    const bool passes = throttle_.pass(message, std::chrono::steady_clock::now()).has_value();
    if (!passes && !has_changed) return;
    log_segment(LogLevel::kWarn, message, status.segment, path, complaint);
  }
  complaint_ = complaint;
}

}  // namespace shmetrics::exporter
