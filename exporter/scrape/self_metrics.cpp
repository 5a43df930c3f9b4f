#include "exporter/scrape/self_metrics.hpp"

#include <concepts>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/family_groups.hpp"
#include "exporter/build_info.hpp"

namespace shmetrics::exporter {
namespace {

using collector::SegmentStatus;

using Segments = std::span<const SegmentStatus>;
using Number = std::uint64_t SegmentStatus::*;
using Reasons = std::vector<collector::ReasonCount> SegmentStatus::*;
using Label = std::pair<std::string_view, std::string_view>;

/// One family: its head comes with its first sample, so that none is written without.
class FamilyWriter {
 public:
  FamilyWriter(SelfText& out, std::string_view name, std::string_view type, std::string_view help)
      : out_(out), name_(name), type_(type), help_(help) {}

  template <typename Value>
  void sample(const SegmentStatus& segment, Value value, std::same_as<Label> auto... labels) {
    if (!std::exchange(has_head_, true)) out_.head(name_, help_, type_);
    if (segment.segment.empty()) return out_.sample(name_, {labels...}, value);
    out_.sample(name_, {Label{collector::kSegmentLabel, segment.segment}, labels...}, value);
  }

 private:
  SelfText& out_;
  std::string_view name_, type_, help_;
  bool has_head_ = false;
};

// Zeros are written too: no alert can see the first fault of a series that appears with it.
void append_single(SelfText& out, Segments segments, std::string_view name, std::string_view type,
                   std::string_view help, Number number) {
  FamilyWriter family(out, name, type, help);
  for (const SegmentStatus& segment : segments) {
    if (segment.up) family.sample(segment, segment.*number);
  }
}

struct Part {
  std::string_view label_value;
  Number number;
};

/// One label, a sample for each part.
void append_parts(SelfText& out, Segments segments, std::string_view name, std::string_view type, std::string_view help,
                  std::string_view label, std::initializer_list<Part> parts) {
  FamilyWriter family(out, name, type, help);
  for (const SegmentStatus& segment : segments) {
    if (!segment.up) continue;
    for (const Part& part : parts) family.sample(segment, segment.*part.number, Label{label, part.label_value});
  }
}

/// A counter with a sample for each reason.
void append_reasons(SelfText& out, Segments segments, std::string_view name, std::string_view help, Reasons reasons) {
  FamilyWriter family(out, name, "counter", help);
  for (const SegmentStatus& segment : segments) {
    if (!segment.up) continue;
    for (const auto& [reason, count] : segment.*reasons) family.sample(segment, count, Label{"reason", reason});
  }
}

// The application may have many families: a line of 0 for each would hide the others.
void append_series_overflow(SelfText& out, Segments segments) {
  FamilyWriter family(out, "shmetrics_series_overflow_total", "counter",
                      "Label sets that have no series of their own, by family and reason.");
  for (const SegmentStatus& segment : segments) {
    if (!segment.up) continue;
    for (const auto& [name, refused] : segment.series_overflow) {
      if (refused.count == 0) continue;
      family.sample(segment, refused.count, Label{"family", name}, Label{"reason", refused.reason});
    }
  }
}

void append_family_generations(SelfText& out, Segments segments) {
  FamilyWriter family(out, "shmetrics_family_generations", "gauge",
                      "Schemas that a family has had in this segment, of families with more than one.");
  for (const SegmentStatus& segment : segments) {
    if (!segment.up) continue;
    for (const auto& [name, generations] : segment.family_generations) {
      if (generations > 1) family.sample(segment, generations, Label{"family", name});
    }
  }
}

void append_presence(SelfText& out, Segments segments) {
  FamilyWriter created(out, "shmetrics_segment_created_timestamp_seconds", "gauge",
                       "When the segment was created, Unix time.");
  for (const SegmentStatus& segment : segments) {
    if (segment.up) created.sample(segment, segment.created_unix_seconds);
  }
  FamilyWriter up(out, "shmetrics_segment_up", "gauge", "Whether the segment could be read in this scrape.");
  for (const SegmentStatus& segment : segments) up.sample(segment, std::uint64_t{segment.up});
}

void append_space(SelfText& out, Segments all) {
  append_single(out, all, "shmetrics_cells_limit", "gauge", "Cells that a slot has room for.",
                &SegmentStatus::cells_limit);
  append_single(out, all, "shmetrics_cells_used", "gauge", "Cells of a slot that series have taken.",
                &SegmentStatus::cells_used);
  append_reasons(out, all, "shmetrics_declarations_refused_total",
                 "Declarations of metrics that were refused, by reason.", &SegmentStatus::declarations_refused);
  append_single(out, all, "shmetrics_directory_limit_bytes", "gauge", "Bytes that the directory has room for.",
                &SegmentStatus::directory_limit_bytes);
  append_single(out, all, "shmetrics_directory_used_bytes", "gauge", "Bytes of the directory that records have taken.",
                &SegmentStatus::directory_used_bytes);
  append_single(out, all, "shmetrics_families", "gauge", "Metric families declared in the segment.",
                &SegmentStatus::families);
  append_family_generations(out, all);
}

void append_losses(SelfText& out, Segments all) {
  append_single(out, all, "shmetrics_torn_reads_total", "counter",
                "Values copied without consistency because their writer never paused.", &SegmentStatus::torn_reads);
  append_reasons(out, all, "shmetrics_updates_dropped_total", "Updates that changed no series, by reason.",
                 &SegmentStatus::updates_dropped);
  append_reasons(out, all, "shmetrics_values_refused_total", "Values that a metric does not take, by reason.",
                 &SegmentStatus::values_refused);
}

}  // namespace

void append_segment_metrics(SelfText& out, Segments segments) {
  append_space(out, segments);
  append_parts(out, segments, "shmetrics_quarantined", "gauge",
               "Records left out of this scrape, damaged or clashing, by kind.", "what",
               {{"family", &SegmentStatus::quarantined_families},
                {"series", &SegmentStatus::quarantined_series},
                {"slot", &SegmentStatus::quarantined_slots},
                {"worker", &SegmentStatus::quarantined_workers}});
  append_presence(out, segments);
  append_single(out, segments, "shmetrics_series", "gauge", "Series in the segment.", &SegmentStatus::series);
  append_series_overflow(out, segments);
  append_parts(out, segments, "shmetrics_slots", "gauge", "Thread slots by state.", "state",
               {{"free", &SegmentStatus::slots_free}, {"used", &SegmentStatus::slots_used}});
  append_losses(out, segments);
  append_single(out, segments, "shmetrics_worker_deaths_total", "counter",
                "Workers found dead without having released their entry.", &SegmentStatus::worker_deaths);
  append_parts(out, segments, "shmetrics_workers", "gauge", "Worker entries by state.", "state",
               {{"dead", &SegmentStatus::workers_dead},
                {"live", &SegmentStatus::workers_live},
                {"released", &SegmentStatus::workers_released},
                {"unused", &SegmentStatus::workers_unused}});
}

void append_worker_processes(SelfText& out, Segments segments, std::span<const WorkerProcesses> workers) {
  const auto append = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    FamilyWriter family(out, name, type, help);
    for (std::size_t i = 0; i < workers.size(); ++i) {
      for (const auto& [worker, status] : workers[i]) {
        if (!(status.*value)) continue;
        family.sample(segments[i], *(status.*value), Label{"worker", std::to_string(worker)});
      }
    }
  };
  append("shmetrics_worker_cpu_seconds_total", "counter", "User and system CPU time of a worker's process in seconds.",
         &ProcessStatus::cpu_seconds);
  append("shmetrics_worker_open_fds", "gauge", "File descriptors that a worker's process has open.",
         &ProcessStatus::open_fds);
  append("shmetrics_worker_resident_memory_bytes", "gauge", "Resident memory of a worker's process in bytes.",
         &ProcessStatus::resident_memory_bytes);
  append("shmetrics_worker_start_time_seconds", "gauge", "When a worker's process was started, Unix time.",
         &ProcessStatus::start_time_unix_seconds);
  append("shmetrics_worker_threads", "gauge", "Threads of a worker's process.", &ProcessStatus::threads);
}

void append_scrape_duration(SelfText& out, double seconds) {
  out.single("shmetrics_scrape_duration_seconds", "How long reading and rendering the segments took in this scrape.",
             "gauge", seconds);
}

void append_exporter_metrics(SelfText& out, const RequestCounts& counts) {
  out.single("shmetrics_exporter_accept_failures_total",
             "Connections that could not be accepted yet, for want of descriptors or memory.", "counter",
             counts.connections.accept_failures);
  out.head("shmetrics_exporter_build_info", "What was built, and with what; the value is always 1.", "gauge");
  out.sample("shmetrics_exporter_build_info",
             {{"version", build_version()}, {"revision", build_revision()}, {"compiler", build_compiler()}},
             std::uint64_t{1});
  out.single("shmetrics_exporter_config_last_reload_success_timestamp_seconds",
             "When the configuration in use was loaded, Unix time.", "gauge", counts.last_reload_success);
  out.single("shmetrics_exporter_config_last_reload_successful",
             "Whether the last attempt to load the configuration succeeded; if not, the one before is in use.", "gauge",
             std::uint64_t{counts.is_last_reload_successful});
  out.head("shmetrics_exporter_connections_closed_total", "Connections that a limit ended, by limit.", "counter");
  for (std::size_t i = 0; i < kCloseReasonNames.size(); ++i) {
    out.sample("shmetrics_exporter_connections_closed_total", {{"reason", kCloseReasonNames[i]}},
               counts.connections.closed[i]);
  }
  out.single("shmetrics_exporter_query_token_requests_total",
             "Requests let in by a token in the query string, where proxies log it.", "counter",
             counts.query_token_requests);
  out.single("shmetrics_exporter_requests_in_flight", "Requests being answered, this one included.", "gauge",
             counts.in_flight);
  out.head("shmetrics_exporter_requests_total", "HTTP requests answered, by status code and handler.", "counter");
  for (const auto& [key, value] : counts.answered) {
    out.sample("shmetrics_exporter_requests_total",
               {{"code", std::to_string(key.first)}, {"handler", name_of(key.second)}}, value);
  }
  if (counts.certificate_expiry == 0) return;
  out.single("shmetrics_exporter_tls_certificate_expiry_timestamp_seconds",
             "When the first certificate of the chain in use expires, Unix time.", "gauge", counts.certificate_expiry);
}

}  // namespace shmetrics::exporter
