#include "exporter/scrape/collection.hpp"

#include <algorithm>

#include "collector/json.hpp"
#include "collector/protobuf.hpp"
#include "collector/render.hpp"
#include "exporter/scrape/read_turns.hpp"

namespace shmetrics::exporter {

using collector::SegmentStatus;
using Clock = std::chrono::steady_clock;

Collection::Collection(std::vector<SegmentSpec> segments, CollectionOptions options)
    : options_(std::move(options)), segments_(std::move(segments), options_.owners) {}

// A segment that was shown before is older than one that was not; of those that come together the file system tells.
void Collection::rank() {
  std::vector<std::pair<std::uint64_t, FollowedSegment*>> newcomers;
  auto status = statuses_.begin();
  for (FollowedSegment& segment : segments_.segments()) {
    const SegmentStatus& seen = *status++;
    if (!seen.up || seen.id == segment.id) continue;
    segment.id = seen.id;
    newcomers.emplace_back(seen.birth_unix_ns == 0 ? UINT64_MAX : seen.birth_unix_ns, &segment);
  }
  std::stable_sort(newcomers.begin(), newcomers.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [born, segment] : newcomers) {
    segment->seniority = {};
    segment->seniority.rank = next_rank_++;
  }
}

void Collection::read() {
  const auto start = Clock::now();
  families_.reset();
  workers_.clear();
  segments_.refresh();
  statuses_ = read_in_turn(
      segments_.segments(),
      {.text_bytes = std::max<std::uint64_t>(options_.max_bytes, kMostTextBytes), .is_stopped = &is_stopped_});
  rank();
  std::vector<collector::ScrapedSegment> views;
  const auto deadline = Clock::now() + kMostProcessTime;
  for (FollowedSegment& segment : segments_.segments()) {
    views.push_back(segment.scraper.view());
    views.back().seniority = &segment.seniority;
    if (options_.worker_processes) workers_.push_back(read_worker_processes(segment.scraper, deadline));
  }
  families_.emplace(views);
  auto status = statuses_.begin();
  auto left_out = families_->left_out().begin();
  for (FollowedSegment& segment : segments_.segments()) {
    status->quarantined_families += left_out->families;
    if (!left_out->example.empty()) status->notice += (status->notice.empty() ? "" : "; ") + left_out->example;
    segment.log.note(*status++, segment.scraper.path());
    ++left_out;
  }
  if (options_.exporter_metrics) process_ = read_process_status();
  read_time_ = Clock::now() - start;
}

std::string Collection::render(const ScrapeQuery& query, const RequestCounts& counts) {
  if (query.snapshot_of) return snapshot(*query.snapshot_of);
  const auto start = Clock::now();
  std::string text;
  if (!query.has_filter()) text.reserve(expected_bytes_);
  collector::TextRoom room{.max_bytes = options_.max_bytes, .left_out = {}};
  render_families(text, query, room);
  std::vector<SegmentStatus> statuses = statuses_;
  for (std::size_t i = 0; i < statuses.size() && query.is_openmetrics(); ++i) {
    statuses[i].quarantined_families += families_->left_out()[i].of_openmetrics;
  }
  note_left_out(room, statuses);

  SelfText own(text, query, &*families_);
  const std::chrono::duration<double> seconds = read_time_ + (Clock::now() - start);
  append_self_metrics(own, {.segments = statuses,
                            .workers = workers_,
                            .scrape_seconds = seconds.count(),
                            .counts = options_.exporter_metrics ? &counts : nullptr,
                            .process = options_.exporter_metrics ? &process_ : nullptr});
  own.end();
  // A quarter more than last time: growing a string of ten megabytes by doubling costs more than summing what is in it.
  if (!query.has_filter()) expected_bytes_ = text.size() + text.size() / 4;
  return text;
}

std::string Collection::snapshot(const std::string& segment) {
  std::string json;
  std::size_t i = 0;
  for (const FollowedSegment& followed : segments_.segments()) {
    if (segment.empty() || followed.scraper.segment() == segment) {
      SegmentStatus status = statuses_[i];
      status.quarantined_families -= families_->left_out()[i].families;  // beside other segments alone: here they are
      log_left_out(collector::append_json(json, followed.scraper, status, {}, options_.max_bytes));
      break;
    }
    ++i;
  }
  return json;
}

void Collection::render_families(std::string& text, const ScrapeQuery& query, collector::TextRoom& room) const {
  collector::Wanted wanted;
  if (query.has_filter()) wanted = [&query](const std::vector<std::string>& names) { return query.wants(names); };
  const auto now = std::chrono::system_clock::now();
  families_->for_each(wanted, [&](std::span<const collector::FamilyPart> parts) {
    if (query.is_openmetrics()) {
      collector::render_openmetrics(parts, options_.created, text, room);
    } else if (query.is_protobuf()) {
      collector::render_protobuf(parts, now, text, room);
    } else {
      collector::render_text(parts, text, room);
    }
  });
}

void Collection::note_left_out(const collector::TextRoom& room, std::vector<SegmentStatus>& statuses) {
  std::uint64_t series = 0;
  for (std::size_t i = 0; i < room.left_out.size(); ++i) {
    statuses[i].quarantined_series += room.left_out[i];
    series += room.left_out[i];
  }
  log_left_out(series);
}

void Collection::log_left_out(std::uint64_t series) {
  if (series == 0) return;
  constexpr const char* kMessage =
      "series are left out: the response would be too long; raise --web.max-response-bytes";
  throttle_.log(kMessage, LogLevel::kWarn, kMessage,
                {{"series", std::to_string(series)}, {"max_response_bytes", std::to_string(options_.max_bytes)}});
}

}  // namespace shmetrics::exporter
