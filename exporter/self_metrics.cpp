#include "exporter/self_metrics.hpp"

#include <initializer_list>
#include <string_view>

#include "collector/text_format.hpp"
#include "exporter/build_info.hpp"

namespace shmetrics::exporter {
namespace {

using collector::append_head;
using collector::append_sample;
using collector::SegmentStatus;

struct Part {
  std::string_view label_value;
  std::uint64_t value;
};

void append_single(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                   std::uint64_t value) {
  if (value == 0) return;
  append_head(out, name, help, type);
  append_sample(out, name, {}, value);
}

/// One label, a sample for each part that is not 0; no head without a sample.
void append_parts(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                  std::string_view label, std::initializer_list<Part> parts) {
  bool has_head = false;
  for (const Part& part : parts) {
    if (part.value == 0) continue;
    if (!has_head) append_head(out, name, help, type);
    has_head = true;
    append_sample(out, name, {{label, part.label_value}}, part.value);
  }
}

void append_series_overflow(std::string& out, const SegmentStatus& status) {
  constexpr std::string_view kName = "shmetrics_series_overflow_total";
  bool has_head = false;
  for (const auto& [family, refused] : status.series_overflow) {
    if (refused == 0) continue;
    if (!has_head) append_head(out, kName, "Label sets that their family had no room for.", "counter");
    has_head = true;
    append_sample(out, kName, {{"family", family}}, refused);
  }
}

void append_space(std::string& out, const SegmentStatus& s) {
  append_single(out, "shmetrics_cells_limit", "gauge", "Cells that a slot has room for.", s.cells_limit);
  append_single(out, "shmetrics_cells_used", "gauge", "Cells of a slot that series have taken.", s.cells_used);
  append_single(out, "shmetrics_directory_limit_bytes", "gauge", "Bytes that the directory has room for.",
                s.directory_limit_bytes);
  append_single(out, "shmetrics_directory_used_bytes", "gauge", "Bytes of the directory that records have taken.",
                s.directory_used_bytes);
  append_single(out, "shmetrics_families", "gauge", "Metric families declared in the segment.", s.families);
}

void append_losses(std::string& out, const SegmentStatus& s) {
  append_single(out, "shmetrics_torn_reads_total", "counter",
                "Values copied without consistency because their writer never paused.", s.torn_reads);
  append_parts(out, "shmetrics_updates_dropped_total", "counter", "Updates that changed no series, by reason.",
               "reason", {{"no_entry", s.dropped_no_entry}, {"series_limit", s.dropped_series_limit}});
  append_parts(out, "shmetrics_values_refused_total", "counter", "Values that a metric does not take, by reason.",
               "reason", {{"infinite", s.refused_infinite}, {"nan", s.refused_nan}, {"negative", s.refused_negative}});
}

}  // namespace

RequestCounts::RequestCounts() {
  for (const unsigned code : {200U, 401U, 503U}) answered[{code, Route::kMetrics}] = 0;
}

void RequestCounts::count(const Response& response) {
  ++answered[{response.status, response.route}];
  if (response.verdict == Verdict::kQueryToken) ++query_token_requests;
}

void append_segment_metrics(std::string& out, const SegmentStatus& s) {
  append_space(out, s);
  append_parts(out, "shmetrics_quarantined", "gauge", "Damaged records skipped in this scrape, by kind.", "what",
               {{"family", s.quarantined_families},
                {"series", s.quarantined_series},
                {"slot", s.quarantined_slots},
                {"worker", s.quarantined_workers}});
  if (s.created_unix_seconds != 0) {
    append_head(out, "shmetrics_segment_created_timestamp_seconds", "When the segment was created, Unix time.",
                "gauge");
    append_sample(out, "shmetrics_segment_created_timestamp_seconds", {}, s.created_unix_seconds);
  }
  append_head(out, "shmetrics_segment_up", "Whether the segment could be read in this scrape.", "gauge");
  append_sample(out, "shmetrics_segment_up", {}, std::uint64_t{s.up});
  append_single(out, "shmetrics_series", "gauge", "Series in the segment.", s.series);
  append_series_overflow(out, s);
  append_parts(out, "shmetrics_slots", "gauge", "Thread slots by state.", "state",
               {{"free", s.slots_free}, {"used", s.slots_used}});
  append_losses(out, s);
  append_single(out, "shmetrics_worker_deaths_total", "counter",
                "Workers found dead without having released their entry.", s.worker_deaths);
  append_parts(out, "shmetrics_workers", "gauge", "Worker entries by state.", "state",
               {{"dead", s.workers_dead},
                {"live", s.workers_live},
                {"released", s.workers_released},
                {"unused", s.workers_unused}});
}

void append_scrape_duration(std::string& out, double seconds) {
  append_head(out, "shmetrics_scrape_duration_seconds",
              "How long reading and rendering the segment took in this scrape.", "gauge");
  append_sample(out, "shmetrics_scrape_duration_seconds", {}, seconds);
}

void append_exporter_metrics(std::string& out, const RequestCounts& counts) {
  append_head(out, "shmetrics_exporter_build_info", "What was built, and with what; the value is always 1.", "gauge");
  append_sample(out, "shmetrics_exporter_build_info",
                {{"version", build_version()}, {"revision", build_revision()}, {"compiler", build_compiler()}},
                std::uint64_t{1});
  append_head(out, "shmetrics_exporter_query_token_requests_total",
              "Requests let in by a token in the query string, where proxies log it.", "counter");
  append_sample(out, "shmetrics_exporter_query_token_requests_total", {}, counts.query_token_requests);
  append_head(out, "shmetrics_exporter_requests_in_flight", "Requests being answered, this one included.", "gauge");
  append_sample(out, "shmetrics_exporter_requests_in_flight", {}, counts.in_flight);
  append_head(out, "shmetrics_exporter_requests_total", "HTTP requests answered, by status code and handler.",
              "counter");
  for (const auto& [key, value] : counts.answered) {
    append_sample(out, "shmetrics_exporter_requests_total",
                  {{"code", std::to_string(key.first)}, {"handler", name_of(key.second)}}, value);
  }
}

}  // namespace shmetrics::exporter
