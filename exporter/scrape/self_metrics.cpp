#include "exporter/scrape/self_metrics.hpp"

#include <initializer_list>
#include <string>

#include "exporter/build_info.hpp"

namespace shmetrics::exporter {
namespace {

using collector::SegmentStatus;
using Label = SelfSamples::Label;

struct Part {
  std::string_view label_value;
  std::uint64_t SegmentStatus::*number;
};

template <auto Number>
void of_segments(const SelfNumbers& numbers, SelfSamples& samples) {
  for (const SegmentStatus& segment : numbers.segments) {
    if (segment.up) samples.add_of(segment, segment.*Number);
  }
}

template <auto Reasons>
void by_reason(const SelfNumbers& numbers, SelfSamples& samples) {
  for (const SegmentStatus& segment : numbers.segments) {
    if (!segment.up) continue;
    for (const auto& [reason, count] : segment.*Reasons) samples.add_of(segment, count, Label{"reason", reason});
  }
}

void by_part(const SelfNumbers& numbers, SelfSamples& samples, std::string_view label,
             std::initializer_list<Part> parts) {
  for (const SegmentStatus& segment : numbers.segments) {
    if (!segment.up) continue;
    for (const Part& part : parts) samples.add_of(segment, segment.*part.number, Label{label, part.label_value});
  }
}

void write_up(const SelfNumbers& numbers, SelfSamples& samples) {
  for (const SegmentStatus& segment : numbers.segments) samples.add_of(segment, std::uint64_t{segment.up});
}

void write_overflow(const SelfNumbers& numbers, SelfSamples& samples) {
  for (const SegmentStatus& segment : numbers.segments) {
    if (!segment.up) continue;
    for (const auto& [name, refused] : segment.series_overflow) {
      if (refused.count == 0) continue;
      samples.add_of(segment, refused.count, Label{"family", name}, Label{"reason", refused.reason});
    }
  }
}

void write_generations(const SelfNumbers& numbers, SelfSamples& samples) {
  for (const SegmentStatus& segment : numbers.segments) {
    if (!segment.up) continue;
    for (const auto& [name, generations] : segment.family_generations) {
      if (generations > 1) samples.add_of(segment, generations, Label{"family", name});
    }
  }
}

template <auto Number>
void of_workers(const SelfNumbers& numbers, SelfSamples& samples) {
  for (std::size_t i = 0; i < numbers.workers.size(); ++i) {
    for (const auto& [worker, process] : numbers.workers[i]) {
      if (!(process.*Number)) continue;
      samples.add_of(numbers.segments[i], *(process.*Number), Label{"worker", std::to_string(worker)});
    }
  }
}

template <auto Number>
void of_exporter(const SelfNumbers& numbers, SelfSamples& samples) {
  if (numbers.counts != nullptr) samples.add({}, numbers.counts->*Number);
}

template <auto Number>
void of_process(const SelfNumbers& numbers, SelfSamples& samples) {
  if (numbers.process != nullptr && numbers.process->*Number) samples.add({}, *(numbers.process->*Number));
}

void write_build_info(const SelfNumbers& numbers, SelfSamples& samples) {
  if (numbers.counts == nullptr) return;
  samples.add({{"version", build_version()}, {"revision", build_revision()}, {"compiler", build_compiler()}},
              std::uint64_t{1});
}

void write_closed(const SelfNumbers& numbers, SelfSamples& samples) {
  if (numbers.counts == nullptr) return;
  for (std::size_t i = 0; i < kCloseReasonNames.size(); ++i) {
    samples.add({{"reason", kCloseReasonNames[i]}}, numbers.counts->connections.closed[i]);
  }
}

void write_requests(const SelfNumbers& numbers, SelfSamples& samples) {
  if (numbers.counts == nullptr) return;
  for (const auto& [key, value] : numbers.counts->answered) {
    samples.add({{"code", std::to_string(key.first)}, {"handler", name_of(key.second)}}, value);
  }
}

using S = SegmentStatus;
using R = RequestCounts;
using P = ProcessStatus;
constexpr std::string_view kGauge = "gauge", kCounter = "counter";

constexpr SelfMetric kMetrics[] = {
    {"shmetrics_scrape_duration_seconds", kGauge, "How long reading and rendering the segments took in this scrape.",
     "", "If it is near the scrape timeout: fewer series, or fewer segments for one exporter.",
     [](const SelfNumbers& n, SelfSamples& out) {
       if (n.scrape_seconds) out.add({}, *n.scrape_seconds);
     }},
    // Of each segment.
    {"shmetrics_cells_limit", kGauge, "Cells that a slot has room for.", "", "It was chosen when the segment was made.",
     of_segments<&S::cells_limit>},
    {"shmetrics_cells_used", kGauge, "Cells of a slot that series have taken.", "",
     "Near the limit: raise `cells` and make the segment anew, or use labels with fewer values.",
     of_segments<&S::cells_used>},
    {"shmetrics_declarations_refused_total", kCounter, "Declarations of metrics that were refused, by reason.",
     "`reason`: rule, other_type, schemas, same_process, newer_release, directory, no_memory, busy",
     "Each increase is a metric that does not count. [operations.md](operations.md#refused-dropped-overflowed) has the "
     "remedy of each reason; the application's stderr names the metric.",
     by_reason<&S::declarations_refused>},
    {"shmetrics_directory_limit_bytes", kGauge, "Bytes that the directory has room for.", "",
     "It was chosen when the segment was made.", of_segments<&S::directory_limit_bytes>},
    {"shmetrics_directory_used_bytes", kGauge, "Bytes of the directory that records have taken.", "",
     "Near the limit: raise `directory_bytes` and make the segment anew, or use labels with fewer values.",
     of_segments<&S::directory_used_bytes>},
    {"shmetrics_exemplars_dropped_total", kCounter, "Exemplars that were not kept, by reason; their updates count.",
     "`reason`: not_declared, invalid, too_long, no_slot",
     "not_declared: the family was declared without exemplars. invalid, too_long: correct the labels, "
     "[exemplars.md](exemplars.md#room) has the limits. no_slot: raise `slots` and make the segment "
     "anew, or give a full file system room.",
     by_reason<&S::exemplars_dropped>},
    {"shmetrics_families", kGauge, "Metric families declared in the segment.", "", "For information.",
     of_segments<&S::families>},
    {"shmetrics_family_generations", kGauge,
     "Schemas that a family has had in this segment, of families with more than one.",
     "`family`: of the application; shown only where it is more than 1",
     "During a deploy it is as it should be. Long after one: restart workers of the old release, if any runs. A new "
     "segment begins with one schema.",
     write_generations},
    {"shmetrics_foreign_locks", kGauge, "Read locks on the segment's lock bytes, which no worker takes.", "",
     "A process that may read the file, and is no worker, keeps workers from their entries. `lslocks` names it; take "
     "its read permission.",
     of_segments<&S::foreign_locks>},
    {"shmetrics_quarantined", kGauge, "Records left out of this scrape, damaged or clashing, by kind.",
     "`what`: family, series, slot, worker",
     "`shmetrics check PATH` names what is damaged. Between segments: two have families of one name that differ, and "
     "the log names both. The text was too long: raise `--web.max-response-bytes`.",
     [](const SelfNumbers& n, SelfSamples& out) {
       by_part(n, out, "what",
               {{"family", &S::quarantined_families},
                {"series", &S::quarantined_series},
                {"slot", &S::quarantined_slots},
                {"worker", &S::quarantined_workers}});
     }},
    {"shmetrics_segment_created_timestamp_seconds", kGauge, "When the segment was created, Unix time.", "",
     "After a change all counters of the segment begin anew.", of_segments<&S::created_unix_seconds>},
    {"shmetrics_segment_up", kGauge, "Whether the segment could be read in this scrape.", "",
     "0: nothing of the segment is shown. The exporter's log and its page say why; no file is the usual reason, and "
     "then the application does not run.",
     write_up},
    {"shmetrics_series", kGauge, "Series in the segment.", "",
     "If it grows without end, a label has values without end: use a route for a path, no user id.",
     of_segments<&S::series>},
    {"shmetrics_series_overflow_total", kCounter, "Label sets that have no series of their own, by family and reason.",
     "`family`: of the application; shown only where it is not 0; `(others)`: all beyond 1,000 lines\n"
     "`reason`: series_limit, cells, directory, invalid_value, no_memory, busy",
     "The family's totals are right, the label sets are counted as `__overflow__`. "
     "[operations.md](operations.md#refused-dropped-overflowed) has the remedy of each reason.",
     write_overflow},
    {"shmetrics_slots", kGauge, "Thread slots by state.", "`state`: free, used",
     "None is free: threads without a slot count more slowly. Raise `slots` and make the segment anew.",
     [](const SelfNumbers& n, SelfSamples& out) {
       by_part(n, out, "state", {{"free", &S::slots_free}, {"used", &S::slots_used}});
     }},
    {"shmetrics_torn_reads_total", kCounter, "Values copied without consistency because their writer never paused.", "",
     "The sum of a histogram may be ahead of its count by an observation, until the next scrape. Nothing to do.",
     of_segments<&S::torn_reads>},
    {"shmetrics_updates_dropped_total", kCounter, "Updates that changed no series, by reason.",
     "`reason`: series_limit, no_entry, refused_family, no_memory, busy",
     "Each increase is a loss. [operations.md](operations.md#refused-dropped-overflowed) has the remedy of each "
     "reason.",
     by_reason<&S::updates_dropped>},
    {"shmetrics_values_refused_total", kCounter, "Values that a metric does not take, by reason.",
     "`reason`: nan, infinite, negative", "The program computes such values: correct it.",
     by_reason<&S::values_refused>},
    {"shmetrics_worker_deaths_total", kCounter, "Workers found dead without having released their entry.", "",
     "Workers crash or are killed; nothing that they counted is lost. The kernel's or the server's log says why.",
     of_segments<&S::worker_deaths>},
    {"shmetrics_workers", kGauge, "Worker entries by state.", "`state`: dead, live, released, unused",
     "No live one: the application does not run, or has not counted yet. A process that has not counted, such as a "
     "master, is `unused`, though it has an entry. Without a free entry, gauges of new workers are dropped with "
     "`no_entry`: raise `workers`.",
     [](const SelfNumbers& n, SelfSamples& out) {
       by_part(n, out, "state",
               {{"dead", &S::workers_dead},
                {"live", &S::workers_live},
                {"released", &S::workers_released},
                {"unused", &S::workers_unused}});
     }},
    // Of each live worker.
    {"shmetrics_worker_cpu_seconds_total", kCounter, "User and system CPU time of a worker's process in seconds.",
     "`worker`: number of its entry", "Only with `--collector.worker-process`, as the four that follow.",
     of_workers<&P::cpu_seconds>},
    {"shmetrics_worker_open_fds", kGauge, "File descriptors that a worker's process has open.",
     "`worker`: number of its entry", "If it grows without end, the program leaks descriptors.",
     of_workers<&P::open_fds>},
    {"shmetrics_worker_resident_memory_bytes", kGauge, "Resident memory of a worker's process in bytes.",
     "`worker`: number of its entry", "If it grows without end, the program leaks memory. Shared pages count for each.",
     of_workers<&P::resident_memory_bytes>},
    {"shmetrics_worker_start_time_seconds", kGauge, "When a worker's process was started, Unix time.",
     "`worker`: number of its entry", "For information.", of_workers<&P::start_time_unix_seconds>},
    {"shmetrics_worker_threads", kGauge, "Threads of a worker's process.", "`worker`: number of its entry",
     "For information.", of_workers<&P::threads>},
    // Of the exporter.
    {"shmetrics_exporter_accept_failures_total", kCounter,
     "Connections that could not be accepted yet, for want of descriptors or memory.", "",
     "Raise the limit of open files (`LimitNOFILE`), or lower `--web.max-connections`.",
     [](const SelfNumbers& n, SelfSamples& out) {
       if (n.counts != nullptr) out.add({}, n.counts->connections.accept_failures);
     }},
    {"shmetrics_exporter_build_info", kGauge, "What was built, and with what; the value is always 1.",
     "`version`\n`revision`\n`compiler`", "For information.", write_build_info},
    {"shmetrics_exporter_config_last_reload_success_timestamp_seconds", kGauge,
     "When the configuration in use was loaded, Unix time.", "", "For information.",
     of_exporter<&R::last_reload_success>},
    {"shmetrics_exporter_config_last_reload_successful", kGauge,
     "Whether the last attempt to load the configuration succeeded; if not, the one before is in use.", "",
     "0: a changed file is wrong. The log says what.",
     [](const SelfNumbers& n, SelfSamples& out) {
       if (n.counts != nullptr) out.add({}, std::uint64_t{n.counts->is_last_reload_successful});
     }},
    {"shmetrics_exporter_connections_closed_total", kCounter, "Connections that a limit ended, by limit.",
     "`reason`: max_connections, max_connections_per_peer, header_timeout, idle_timeout, write_timeout, max_requests",
     "`idle_timeout` and `max_requests` are usual. The others: the log names the peer; each limit is a flag.",
     write_closed},
    {"shmetrics_exporter_query_token_requests_total", kCounter,
     "Requests let in by a token in the query string, where proxies log it.", "",
     "Send the token as `Authorization: Bearer`; then `--no-web.query-token`.", of_exporter<&R::query_token_requests>},
    {"shmetrics_exporter_requests_in_flight", kGauge, "Requests being answered, this one included.", "",
     "If it stays high, clients do not take their responses.", of_exporter<&R::in_flight>},
    {"shmetrics_exporter_requests_total", kCounter, "HTTP requests answered, by status code and handler.",
     "`code`: 200, 301, 304, 400, 401, 404, 405, 429, 500, 503\n`handler`: metrics, health, index, ui, other",
     "401: a scraper has no valid token, or somebody guesses. 429: `rate_limit` of the web configuration. "
     "503: too many or too slow scrapes; the log says which.",
     write_requests},
    {"shmetrics_exporter_tls_certificate_expiry_timestamp_seconds", kGauge,
     "When the first certificate of the chain in use expires, Unix time.", "",
     "Only with TLS. Replace the file in time; the exporter reads it again by itself.",
     [](const SelfNumbers& n, SelfSamples& out) {
       if (n.counts != nullptr && n.counts->certificate_expiry != 0) out.add({}, n.counts->certificate_expiry);
     }},
    {"process_cpu_seconds_total", kCounter, "User and system CPU time of the exporter in seconds.", "",
     "For information, as all that follow. What /proc does not tell is left out.", of_process<&P::cpu_seconds>},
    {"process_max_fds", kGauge, "File descriptors that the exporter may have open.", "", "For information.",
     of_process<&P::max_fds>},
    {"process_open_fds", kGauge, "File descriptors that the exporter has open.", "", "For information.",
     of_process<&P::open_fds>},
    {"process_resident_memory_bytes", kGauge, "Resident memory of the exporter in bytes.", "",
     "[operations.md](operations.md#memory) says how much it may be.", of_process<&P::resident_memory_bytes>},
    {"process_start_time_seconds", kGauge, "When the exporter was started, Unix time.", "", "For information.",
     of_process<&P::start_time_unix_seconds>},
    {"process_threads", kGauge, "Threads of the exporter.", "", "For information.", of_process<&P::threads>},
    {"process_virtual_memory_bytes", kGauge, "Virtual memory of the exporter in bytes.", "", "For information.",
     of_process<&P::virtual_memory_bytes>},
    {"process_virtual_memory_max_bytes", kGauge,
     "Virtual memory that the exporter may have in bytes; 2^64-1 is no limit.", "", "For information.",
     of_process<&P::virtual_memory_max_bytes>},
};

}  // namespace

std::span<const SelfMetric> self_metrics() {
  return kMetrics;
}

void append_self_metrics(SelfText& out, const SelfNumbers& numbers) {
  for (const SelfMetric& metric : kMetrics) {
    SelfSamples samples(out, metric.name, metric.type, metric.help);
    metric.write(numbers, samples);
  }
}

}  // namespace shmetrics::exporter
