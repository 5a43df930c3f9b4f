// The worker table as plain values, for tables and JSON. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::collector {

struct Snapshot;
struct WorkerCopy;

enum class WorkerState { kLive, kDead, kReleased, kUnused };
std::string_view state_name(WorkerState state);  // live dead released unused
WorkerState state_of(const WorkerCopy& worker);

/// An entry of the worker table. Of an entry that is not live, the rest speaks of its last owner.
struct WorkerRow {
  std::uint32_t worker = 0;
  WorkerState state = WorkerState::kUnused;
  std::uint64_t pid = 0;  // a label for people: of the owner's own pid namespace, and maybe long reused
  std::string program;    // printable text
  std::uint64_t started_unix_ns = 0;
  std::uint64_t adopted = 0;
  std::uint64_t deaths = 0;
  std::uint64_t slots = 0;  // thread slots that its present owner has
};

/// All entries, by number.
std::vector<WorkerRow> worker_rows(const Snapshot& snapshot);

/// The entry that owns a slot now, by its owner word. Null: the slot is free, or a former owner's, or the word is one
/// that no writer leaves.
const WorkerCopy* owner_of(const Snapshot& snapshot, std::uint64_t owner);

}  // namespace shmetrics::collector
