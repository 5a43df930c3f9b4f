#include "collector/worker_row.hpp"

#include <algorithm>
#include <span>

#include "collector/snapshot.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::collector {
namespace {

// Whatever the worker wrote, it ends up on a terminal.
std::string program_text(std::span<const char> bytes) {
  std::string text(bytes.begin(), std::find(bytes.begin(), bytes.end(), '\0'));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

}  // namespace

std::string_view state_name(WorkerState state) {
  static constexpr std::string_view kNames[] = {"live", "dead", "released", "unused"};
  return kNames[static_cast<std::size_t>(state)];
}

WorkerState state_of(const WorkerCopy& worker) {
  if (worker.epoch == 0 || !worker.has_counted) return WorkerState::kUnused;
  if (worker.is_live) return WorkerState::kLive;
  return worker.is_released ? WorkerState::kReleased : WorkerState::kDead;
}

const WorkerCopy* owner_of(const Snapshot& snapshot, std::uint64_t owner) {
  const auto [worker, epoch] = shm::EntryClaim::of(owner);
  const bool is_owner = worker < snapshot.workers.size() && snapshot.workers[worker].epoch == epoch;
  return is_owner ? &snapshot.workers[worker] : nullptr;
}

std::vector<WorkerRow> worker_rows(const Snapshot& snapshot) {
  std::vector<WorkerRow> rows;
  for (const WorkerCopy& worker : snapshot.workers) {
    WorkerRow& row = rows.emplace_back();
    row.worker = static_cast<std::uint32_t>(rows.size() - 1);
    row.state = state_of(worker);
    row.pid = worker.pid;
    row.program = program_text(worker.program);
    row.started_unix_ns = worker.start_unix_ns;
    row.adopted = worker.adoptions;
    row.deaths = worker.deaths;
  }
  for (const std::uint64_t owner : snapshot.owners) {
    const WorkerCopy* worker = owner_of(snapshot, owner);
    if (worker != nullptr) ++rows[static_cast<std::size_t>(worker - snapshot.workers.data())].slots;
  }
  return rows;
}

}  // namespace shmetrics::collector
