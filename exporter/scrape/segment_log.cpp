#include "exporter/scrape/segment_log.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>
#include <vector>

namespace shmetrics::exporter {
namespace {

using Counted = std::pair<std::string_view, std::uint64_t>;

// "a 2, b 3": only so many that the line stays readable.
std::string listed(std::span<const Counted> counted) {
  constexpr std::size_t kMostListed = 8;
  std::string text;
  for (const auto& [what, count] : counted.first(std::min(counted.size(), kMostListed))) {
    text.append(text.empty() ? "" : ", ").append(what).append(" ").append(std::to_string(count));
  }
  if (counted.size() > kMostListed) text += " and " + std::to_string(counted.size() - kMostListed) + " more";
  return text;
}

std::string refusals_of(const collector::SegmentStatus& status) {
  std::vector<Counted> refused;
  for (const auto& [reason, count] : status.declarations_refused) {
    if (count > 0) refused.emplace_back(reason, count);
  }
  return listed(refused);
}

std::string generations_of(const collector::SegmentStatus& status) {
  const std::vector<Counted> families(status.family_generations.begin(), status.family_generations.end());
  return listed(families);
}

}  // namespace

void log_segment(LogLevel level, std::string_view message, const std::string& name, const std::string& path,
                 std::string_view problem, std::string_view problem_key) {
  LogFields fields{{"segment", name.empty() ? path : name}};
  if (!name.empty()) fields.emplace_back("path", path);
  if (!problem.empty()) fields.emplace_back(problem_key, problem);
  log(level, message, fields);
}

void SegmentLog::note(const collector::SegmentStatus& status, const std::string& path) {
  note_state(status, path);
  if (!status.up) return;
  note_list(locks_, status.foreign_locks > 0 ? std::to_string(status.foreign_locks) : "", status, path);
  note_list(refusals_, refusals_of(status), status, path);
  note_list(generations_, generations_of(status), status, path);
}

void SegmentLog::note_state(const collector::SegmentStatus& status, const std::string& path) {
  const bool has_changed = status.up != was_up_;
  was_up_ = status.up;
  if (status.up && has_changed) log_segment(LogLevel::kInfo, "the segment is up", status.segment, path);
  const std::string& complaint = status.up ? status.notice : status.problem;
  if (complaint == complaint_) return;
  // A problem may contain a number that differs at each scrape. So going down is logged at once, all else once a
  // minute.
  const char* message = status.up ? "the segment is up, but" : "the segment is not up";
  if (!complaint.empty()) {
    const bool passes = throttle_.pass(message, std::chrono::steady_clock::now()).has_value();
    if (!passes && !has_changed) return;
    log_segment(LogLevel::kWarn, message, status.segment, path, complaint);
  }
  complaint_ = complaint;
}

void SegmentLog::note_list(NotedList& noted, const std::string& list, const collector::SegmentStatus& status,
                           const std::string& path) {
  if (list == noted.said) return;
  if (!list.empty()) {
    // A problem that is held back is logged at a later read, if it is still there.
    if (!throttle_.pass(noted.message, std::chrono::steady_clock::now())) return;
    log_segment(noted.level, noted.message, status.segment, path, list, noted.key);
  }
  noted.said = list;
}

}  // namespace shmetrics::exporter
