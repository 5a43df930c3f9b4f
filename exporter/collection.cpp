#include "exporter/collection.hpp"

#include <chrono>

#include "exporter/process_metrics.hpp"

namespace shmetrics::exporter {

Collection::Collection(const std::string& segment, bool with_exporter_metrics, const RequestCounts& counts)
    : scraper_(segment), with_exporter_metrics_(with_exporter_metrics), counts_(counts) {}

std::string Collection::collect() {
  std::string text;
  text.reserve(expected_size_);
  const auto start = std::chrono::steady_clock::now();
  const collector::SegmentStatus status = scraper_.scrape(text);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  note(status);
  append_scrape_duration(text, elapsed.count());
  append_segment_metrics(text, status);
  if (with_exporter_metrics_) {
    append_exporter_metrics(text, counts_);
    append_process_metrics(text, read_process_status());
  }
  // A quarter more than last time: growing a string of ten megabytes by doubling costs more than summing what is in it.
  expected_size_ = text.size() + text.size() / 4;
  return text;
}

void Collection::note(const collector::SegmentStatus& status) {
  const bool has_changed = status.up != was_up_;
  was_up_ = status.up;
  if (status.up && has_changed) log(LogLevel::kInfo, "the segment is up", {{"segment", scraper_.path()}});
  const std::string& complaint = status.up ? status.notice : status.problem;
  if (complaint == complaint_) return;
  // A problem may name a number that differs at each scrape; going down is told at once, all else once a minute.
  const char* message = status.up ? "the segment is up, but" : "the segment is not up";
  if (!complaint.empty()) {
    const bool passes = throttle_.pass(message, std::chrono::steady_clock::now()).has_value();
    if (!passes && !has_changed) return;
    log(LogLevel::kWarn, message, {{"segment", scraper_.path()}, {"problem", complaint}});
  }
  complaint_ = complaint;
}

}  // namespace shmetrics::exporter
