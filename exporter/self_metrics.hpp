// The exporter's numbers about segments and about itself, as text. Pure; names and labels are section 8 of
// the design.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "collector/scraper.hpp"
#include "exporter/handler.hpp"
#include "exporter/limits.hpp"
#include "exporter/self_text.hpp"
#include "exporter/worker_process.hpp"

namespace shmetrics::exporter {

/// What the exporter counts of its own work. Belongs to the io thread.
struct RequestCounts {
  RequestCounts();
  void count(const Response& response);

  /// (code, handler) -> answered. 200, 401 and 503 of the metrics path exist from the start, so that rate() sees their
  /// first one.
  std::map<std::pair<unsigned, Route>, std::uint64_t> answered;
  std::uint64_t in_flight = 0;             // answered but not yet written out included
  std::uint64_t query_token_requests = 0;  // let in by one
  bool is_last_reload_successful = true;
  double certificate_expiry = 0;   // Unix time in seconds; 0 without TLS
  double last_reload_success = 0;  // Unix time in seconds; the start counts
  ConnectionCounts connections;
};

/// Of each segment shmetrics_segment_up; of each that is up all the rest, zeros too, but for the samples with a label
/// `family`: those are written where there is something to tell. A family is written once, with the samples of all
/// segments; those of a segment with a name begin with the label `segment`.
void append_segment_metrics(SelfText& out, std::span<const collector::SegmentStatus> segments);

/// shmetrics_worker_*: `workers` has an element for each segment, or none at all.
void append_worker_processes(SelfText& out, std::span<const collector::SegmentStatus> segments,
                             std::span<const WorkerProcesses> workers);

void append_scrape_duration(SelfText& out, double seconds);

/// shmetrics_exporter_*.
void append_exporter_metrics(SelfText& out, const RequestCounts& counts);

}  // namespace shmetrics::exporter
