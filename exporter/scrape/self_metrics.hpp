// The exporter's numbers about segments and about itself, as text. Pure; names and labels are section 8 of
// the design.
#pragma once

#include <span>

#include "collector/scraper.hpp"
#include "exporter/request/request_counts.hpp"
#include "exporter/scrape/self_text.hpp"
#include "exporter/scrape/worker_process.hpp"

namespace shmetrics::exporter {

/// shmetrics_segment_up of each segment; all others of each segment that is up, zeros too. Samples with a label
/// `family` are written only if they are not 0. A family is written once, with the samples of all segments; samples of
/// a segment with a name begin with the label `segment`.
void append_segment_metrics(SelfText& out, std::span<const collector::SegmentStatus> segments);

/// shmetrics_worker_*: `workers` has an element for each segment, or none at all.
void append_worker_processes(SelfText& out, std::span<const collector::SegmentStatus> segments,
                             std::span<const WorkerProcesses> workers);

void append_scrape_duration(SelfText& out, double seconds);

/// shmetrics_exporter_*.
void append_exporter_metrics(SelfText& out, const RequestCounts& counts);

}  // namespace shmetrics::exporter
