#include "collector/segment_status.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/hex.hpp>
#include <iterator>
#include <span>
#include <utility>

#include "collector/snapshot.hpp"
#include "collector/worker_row.hpp"

namespace shmetrics::collector {
namespace {

constexpr double kNanosecond = 1e-9;

// By shm::Tally and shm::Overflow.
constexpr std::string_view kDropReasons[] = {"series_limit", "no_entry", "refused_family", "no_memory", "busy"};
constexpr std::string_view kRefusedValues[] = {"nan", "infinite", "negative"};
constexpr std::string_view kDeclarationReasons[] = {"rule",          "other_type", "schemas",   "same_process",
                                                    "newer_release", "directory",  "no_memory", "busy"};
constexpr std::string_view kExemplarReasons[] = {"not_declared", "invalid", "too_long", "no_slot"};
constexpr std::string_view kOverflowNames[] = {"series_limit",  "cells",     "directory",
                                               "invalid_value", "no_memory", "busy"};
static_assert(std::size(kDropReasons) + std::size(kRefusedValues) + std::size(kDeclarationReasons) +
                  std::size(kExemplarReasons) ==
              shm::kUsedTallies);
static_assert(std::size(kOverflowNames) == shm::kOverflowReasons);

void count_workers(const Snapshot& snapshot, SegmentStatus& status) {
  // By WorkerState.
  std::uint64_t* const counts[] = {&status.workers_live, &status.workers_dead, &status.workers_released,
                                   &status.workers_unused};
  for (const WorkerCopy& worker : snapshot.workers) {
    ++*counts[static_cast<std::size_t>(state_of(worker))];
    status.worker_deaths = accumulate(status.worker_deaths, worker.deaths);
  }
  for (const std::uint64_t owner : snapshot.owners) {
    const WorkerCopy* worker = owner_of(snapshot, owner);
    ++(worker != nullptr && worker->is_live ? status.slots_used : status.slots_free);
  }
}

using Overflows = std::array<std::uint64_t, shm::kOverflowReasons>;  // label sets, by reason

void count_overflow(const CatalogFamily& family, const Totals& totals, Overflows& counts) {
  const auto add = [&](const CatalogFamily& generation) {
    if (generation.overflow_tally == 0) return;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      counts[i] = accumulate(counts[i], totals.cells[generation.overflow_tally + i]);
    }
  };
  add(family);
  for (const CatalogFamily* generation : family.generations) add(*generation);
}

void list_overflow(std::string_view family, const Overflows& counts, SegmentStatus& status) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) status.series_overflow.push_back({std::string(family), {kOverflowNames[i], counts[i]}});
  }
}

// Tallies that follow each other, from `first` on.
std::vector<ReasonCount> tallies(const Snapshot& snapshot, shm::Tally first, std::span<const std::string_view> names) {
  std::vector<ReasonCount> counts;
  auto which = static_cast<std::size_t>(first);
  for (const std::string_view name : names) counts.push_back({name, snapshot.tallies[which++]});
  return counts;
}

void count_catalog(const Catalog& catalog, const Snapshot& snapshot, SegmentStatus& status) {
  status.families = catalog.families().size();
  status.series = catalog.series_count();
  // The two cell spaces have the same limit: the one that is nearer to it is shown.
  status.cells_used = std::max(catalog.cells().thread_cells, catalog.cells().process_cells);
  status.directory_used_bytes = snapshot.directory_used_bytes;
  Overflows counts{};
  for (const CatalogFamily* family : catalog.families()) {
    count_overflow(*family, snapshot.totals, counts);
    if (status.series_overflow.size() < kMostOverflows) list_overflow(family->name, std::exchange(counts, {}), status);
    if (!family->generations.empty()) {
      status.family_generations.emplace_back(family->name, family->generations.size());
    }
  }
  list_overflow(kOtherFamilies, counts, status);
  status.quarantined_families = catalog.quarantined_families() + (snapshot.is_directory_cut ? 1 : 0);
  status.quarantined_series = catalog.quarantined_series();
  status.newer_records = catalog.newer_records();
}

}  // namespace

SegmentStatus status_of(const SnapshotReader& reader) {
  SegmentStatus status;
  status.segment = reader.segment();
  status.up = true;
  status.notice = reader.orphaned_by();
  if (status.notice.empty() && !reader.is_on_tmpfs()) {
    status.notice = reader.path() +
                    " is not on tmpfs: the kernel's write-back may stall workers; move it to a tmpfs, such as /dev/shm";
  }
  boost::algorithm::hex_lower(std::begin(reader.header().segment_id), std::end(reader.header().segment_id),
                              std::back_inserter(status.id));
  status.layout_version = reader.header().layout_version;
  status.created_unix_seconds = static_cast<double>(reader.header().created_unix_ns) * kNanosecond;
  status.cells_limit = reader.geometry().cells;
  status.directory_limit_bytes = reader.geometry().directory_bytes;

  const Snapshot& snapshot = reader.snapshot();
  count_workers(snapshot, status);
  count_catalog(reader.catalog(), snapshot, status);
  status.updates_dropped = tallies(snapshot, shm::Tally::kDroppedSeriesLimit, kDropReasons);
  status.values_refused = tallies(snapshot, shm::Tally::kRefusedNan, kRefusedValues);
  status.values_refused.at(1).count += snapshot.infinite_values;  // once a cell that has passed the largest double
  status.declarations_refused = tallies(snapshot, shm::Tally::kDeclarationRule, kDeclarationReasons);
  status.exemplars_dropped = tallies(snapshot, shm::Tally::kExemplarNotDeclared, kExemplarReasons);
  status.torn_reads = snapshot.torn_reads;
  status.foreign_locks = snapshot.foreign_locks;
  status.birth_unix_ns = reader.birth_unix_ns();
  status.quarantined_slots = snapshot.quarantined_slots;
  status.quarantined_workers = snapshot.quarantined_workers;
  return status;
}

}  // namespace shmetrics::collector
