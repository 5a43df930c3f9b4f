// The exporter's numbers about segments and about itself: one table, from which the text and docs/metrics.md are made.
//
// Pure. Names, types and label values are a contract.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: the table lives as long as the program; a call keeps nothing.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "collector/family_groups.hpp"
#include "collector/segment_status.hpp"
#include "exporter/request/request_counts.hpp"
#include "exporter/scrape/process_metrics.hpp"
#include "exporter/scrape/self_text.hpp"
#include "exporter/scrape/worker_process.hpp"

namespace shmetrics::exporter {

/// Where the numbers are.
struct SelfNumbers {
  std::span<const collector::SegmentStatus> segments;
  std::span<const WorkerProcesses> workers = {};  // of each segment, or none at all
  std::optional<double> scrape_seconds = {};
  const RequestCounts* counts = nullptr;   // null: nothing of the exporter's requests
  const ProcessStatus* process = nullptr;  // null: nothing of its process
};

/// The samples of one metric. Its head comes with the first of them, so that none is written without.
class SelfSamples {
 public:
  using Label = std::pair<std::string_view, std::string_view>;

  SelfSamples(SelfText& out, std::string_view name, std::string_view type, std::string_view help)
      : out_(out), name_(name), type_(type), help_(help) {}

  template <typename Value>
  void add(collector::Labels labels, Value value) {
    if (!std::exchange(has_head_, true)) out_.head(name_, help_, type_);
    out_.sample(name_, labels, value);
  }
  /// Of a segment with a name, that is the first label.
  template <typename Value, typename... More>
  void add_of(const collector::SegmentStatus& segment, Value value, const More&... labels) {
    if (segment.segment.empty()) return add({labels...}, value);
    add({Label{collector::kSegmentLabel, segment.segment}, labels...}, value);
  }

 private:
  SelfText& out_;
  std::string_view name_, type_, help_;
  bool has_head_ = false;
};

struct SelfMetric {
  std::string_view name, type, help;
  std::string_view labels;  // beside `segment`, a line each, with its values; Markdown; empty: none
  std::string_view advice;  // when to worry and what to do then; Markdown
  void (*write)(const SelfNumbers& numbers, SelfSamples& samples);
};

/// All of them, in the order of the text. Of each segment shmetrics_segment_up is written; of each that is up all the
/// rest, zeros too: what appears with its first fault cannot be alerted on. Those with a label `family` are written
/// only where there is something to tell: a line for each family that is well would drown the others.
std::span<const SelfMetric> self_metrics();

/// Each metric once, with the samples of all segments.
void append_self_metrics(SelfText& out, const SelfNumbers& numbers);

}  // namespace shmetrics::exporter
