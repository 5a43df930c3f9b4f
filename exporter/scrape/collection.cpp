#include "exporter/scrape/collection.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "collector/json.hpp"
#include "collector/protobuf.hpp"
#include "collector/render.hpp"
#include "exporter/scrape/compression.hpp"
#include "exporter/scrape/read_turns.hpp"

namespace shmetrics::exporter {

using collector::SegmentStatus;
using Clock = std::chrono::steady_clock;

namespace {

// Of `room`, what each may have: a small need is met whole, and the others share the rest alike.
std::vector<std::ptrdiff_t> fair_shares(const std::vector<std::ptrdiff_t>& needs, std::ptrdiff_t room) {
  std::vector<std::size_t> order(needs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&needs](std::size_t a, std::size_t b) { return needs[a] < needs[b]; });
  std::vector<std::ptrdiff_t> shares(needs.size());
  auto waiting = static_cast<std::ptrdiff_t>(needs.size());
  for (const std::size_t i : order) {
    shares[i] = std::min(needs[i], room / waiting--);
    room -= shares[i];
  }
  return shares;
}

}  // namespace

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
  std::string body;
  std::vector<std::uint64_t> left_out;
  if (!render(query, counts, body, left_out)) return {};
  if (!left_out.empty() && statuses_.size() > 1 && !query.snapshot_of && !std::exchange(is_crowded_, true)) {
    // It went by the names of the families, so one segment may have taken the room of the others.
    body.clear();
    left_out.clear();
    render(query, counts, body, left_out);
  }
  log_left_out(left_out);
  return body;
}

bool Collection::render(const ScrapeQuery& query, const RequestCounts& counts, std::string& body,
                        std::vector<std::uint64_t>& left_out) {
  bool is_there = false;
  const auto write_to = [&](collector::TextOutput& out) {
    is_there = write(query, counts, out);
    left_out = out.left_out();
  };
  if (query.coding == Coding::kGzip) {
    GzipStream gzip(body);
    collector::TextOutput out([&gzip](std::string_view piece) { gzip.add(piece); }, options_.max_bytes);
    write_to(out);
    gzip.finish();
    return is_there;
  }
  const bool is_usual = !query.has_filter() && !query.snapshot_of;
  if (is_usual) body.reserve(expected_bytes_);
  collector::TextOutput out(body, options_.max_bytes);
  write_to(out);
  // A quarter more than last time: growing a string of ten megabytes by doubling costs more than summing what is in it.
  if (is_usual) expected_bytes_ = body.size() + body.size() / 4;
  return is_there;
}

bool Collection::write(const ScrapeQuery& query, const RequestCounts& counts, collector::TextOutput& out) {
  if (query.snapshot_of) return write_snapshot(*query.snapshot_of, out);
  const auto start = Clock::now();
  write_families(query, out);
  std::vector<SegmentStatus> statuses = statuses_;
  for (std::size_t i = 0; i < statuses.size() && query.is_openmetrics(); ++i) {
    statuses[i].quarantined_families += families_->left_out()[i].of_openmetrics;
  }
  for (std::size_t i = 0; i < out.left_out().size(); ++i) statuses[i].quarantined_series += out.left_out()[i];

  std::string text;
  SelfText own(text, query, &*families_);
  const std::chrono::duration<double> seconds = read_time_ + (Clock::now() - start);
  append_self_metrics(own, {.segments = statuses,
                            .workers = workers_,
                            .scrape_seconds = seconds.count(),
                            .counts = options_.exporter_metrics ? &counts : nullptr,
                            .process = options_.exporter_metrics ? &process_ : nullptr});
  own.end();
  out.text(text);
  out.flush();
  return true;
}

bool Collection::write_snapshot(const std::string& segment, collector::TextOutput& out) {
  std::size_t i = 0;
  for (const FollowedSegment& followed : segments_.segments()) {
    if (segment.empty() || followed.scraper.segment() == segment) {
      SegmentStatus status = statuses_[i];
      status.quarantined_families -= families_->left_out()[i].families;  // beside other segments alone: here they are
      collector::render_json(followed.scraper, status, {}, out);
      return true;
    }
    ++i;
  }
  return false;
}

void Collection::write_families(const ScrapeQuery& query, collector::TextOutput& out) {
  collector::Wanted wanted;
  if (query.has_filter()) wanted = [&query](const std::vector<std::string>& names) { return query.wants(names); };
  const auto now = std::chrono::system_clock::now();
  const auto write_family = [&](std::span<const collector::FamilyPart> parts, collector::TextOutput& to) {
    if (query.is_openmetrics()) {
      collector::render_openmetrics(parts, options_.created, to);
    } else if (query.is_protobuf()) {
      collector::render_protobuf(parts, now, to);
    } else {
      collector::render_text(parts, to);
    }
  };
  if (is_crowded_ && statuses_.size() > 1) {  // the others may have gone since
    std::vector<std::ptrdiff_t> needs(statuses_.size());
    families_->for_each(wanted, [&](auto parts) {
      for (const collector::FamilyPart& part : parts) {
        collector::TextOutput counted([](std::string_view) {}, options_.max_bytes);
        write_family({&part, 1}, counted);
        needs[part.segment] += static_cast<std::ptrdiff_t>(counted.size());
      }
    });
    std::vector<std::ptrdiff_t> shares = fair_shares(needs, static_cast<std::ptrdiff_t>(options_.max_bytes));
    if (!query.has_filter()) is_crowded_ = shares != needs;
    out.share_out(std::move(shares));
  }
  families_->for_each(wanted, [&](auto parts) { write_family(parts, out); });
}

void Collection::log_left_out(std::span<const std::uint64_t> of_segments) {
  const std::uint64_t series = std::accumulate(of_segments.begin(), of_segments.end(), std::uint64_t{0});
  if (series == 0) return;
  constexpr const char* kMessage =
      "series are left out: the response would be too long; raise --web.max-response-bytes";
  throttle_.log(kMessage, LogLevel::kWarn, kMessage,
                {{"series", std::to_string(series)}, {"max_response_bytes", std::to_string(options_.max_bytes)}});
}

}  // namespace shmetrics::exporter
