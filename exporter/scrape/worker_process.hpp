// The processes of live workers, from /proc, for --collector.worker-process.
//
// A pid in a segment is a label: it may be of another pid namespace, where here another program or worker has it. So a
// process is read only if its mappings prove that it is the entry's owner (Scraper::is_owner). Others are left out: a
// process of another user without CAP_SYS_PTRACE, or one that ends meanwhile. Reading /proc/PID/maps takes that
// process's mmap lock, so a worker that is stuck in a page fault delays the scrape.
//
// Threads: the scraper's. Failure: std::bad_alloc alone; what cannot be read is left out. Lifetime: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "collector/scraper.hpp"
#include "exporter/scrape/process_metrics.hpp"

namespace shmetrics::exporter {

using WorkerProcesses = std::vector<std::pair<std::uint32_t, ProcessStatus>>;  // by entry, the label `worker`

/// For all segments together: whatever they say, workers beyond are left out.
inline constexpr std::chrono::seconds kMostProcessTime{1};

/// Of what the scraper's last read() saw. Throws std::bad_alloc only.
WorkerProcesses read_worker_processes(const collector::Scraper& scraper,
                                      std::chrono::steady_clock::time_point deadline);

}  // namespace shmetrics::exporter
