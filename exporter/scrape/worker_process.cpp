#include "exporter/scrape/worker_process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>

namespace shmetrics::exporter {
namespace {

/// Its directory below /proc, through a descriptor that means this process for ever: its number may go to another.
class HeldProcess {
 public:
  explicit HeldProcess(std::uint64_t pid)
      : fd_(open(("/proc/" + std::to_string(pid)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
  ~HeldProcess() {
    if (fd_ >= 0) close(fd_);
  }
  HeldProcess(const HeldProcess&) = delete;

  std::string directory() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace

WorkerProcesses read_worker_processes(const collector::Scraper& scraper,
                                      std::chrono::steady_clock::time_point deadline) {
  const auto boot = boot_time();
  WorkerProcesses processes;
  for (const collector::WorkerRow& row : scraper.workers()) {
    if (row.state != collector::WorkerState::kLive) continue;
    if (std::chrono::steady_clock::now() > deadline) break;
    const HeldProcess process(row.pid);
    std::ifstream maps(process.directory() + "/maps");
    if (scraper.is_owner(row.worker, maps)) {
      processes.emplace_back(row.worker, read_process(process.directory(), boot));
    }
  }
  return processes;
}

}  // namespace shmetrics::exporter
