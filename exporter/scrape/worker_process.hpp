// The processes of live workers, from /proc, for --collector.worker-process.
//
// A pid in a segment is a label: it may be of another pid namespace, and what has it here another program, or another
// worker. So a process is looked into when its mappings prove that it is the entry's owner (Scraper::is_owner), and
// left out when they do not: another user's without CAP_SYS_PTRACE, one that ends meanwhile. The kernel shows mappings
// under the process's own lock of them: whose page faults wait for a disk makes the scrape wait too.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "collector/scraper.hpp"
#include "exporter/scrape/process_metrics.hpp"

namespace shmetrics::exporter {

using WorkerProcesses = std::vector<std::pair<std::uint32_t, ProcessStatus>>;  // by entry, the label `worker`

/// Of what the scraper's last read() saw. Takes a second at most, whatever the segment says: workers beyond are left
/// out. Throws std::bad_alloc only.
WorkerProcesses read_worker_processes(const collector::Scraper& scraper);

}  // namespace shmetrics::exporter
