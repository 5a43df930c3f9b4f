// The processes of live workers, from /proc, for --collector.worker-process.
//
// A pid in a segment is a label: it may be of another pid namespace, where here another program or worker has it. So a
// process is read only if its mappings prove that it is the entry's owner (Scraper::is_owner). Others are left out: a
// process of another user without CAP_SYS_PTRACE, or one that ends meanwhile. Reading /proc/PID/maps takes that
// process's mmap lock, so a worker that is stuck in a page fault delays the scrape.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "collector/scraper.hpp"
#include "exporter/scrape/process_metrics.hpp"

namespace shmetrics::exporter {

using WorkerProcesses = std::vector<std::pair<std::uint32_t, ProcessStatus>>;  // by entry, the label `worker`

/// Of the scraper's last read(). It takes a second at most, whatever the segment says: further workers are left out.
/// Throws std::bad_alloc only.
WorkerProcesses read_worker_processes(const collector::Scraper& scraper);

}  // namespace shmetrics::exporter
