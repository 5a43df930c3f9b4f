#include "collector/scraper.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <istream>
#include <iterator>
#include <limits>
#include <optional>

#include "collector/render.hpp"
#include "collector/snapshot.hpp"
#include "shm/naming.hpp"
#include "shm/segment.hpp"

namespace shmetrics::collector {
namespace {

constexpr double kNanosecond = 1e-9;

// By shm::Tally and shm::Overflow.
constexpr std::string_view kDropReasons[] = {"series_limit", "no_entry", "refused_family", "no_memory", "busy"};
constexpr std::string_view kRefusedValues[] = {"nan", "infinite", "negative"};
constexpr std::string_view kDeclarationReasons[] = {"rule",          "other_type", "schemas",   "same_process",
                                                    "newer_release", "directory",  "no_memory", "busy"};
constexpr std::string_view kOverflowNames[] = {"series_limit",  "cells",     "directory",
                                               "invalid_value", "no_memory", "busy"};
static_assert(std::size(kDropReasons) + std::size(kRefusedValues) + std::size(kDeclarationReasons) ==
              shm::kUsedTallies);
static_assert(std::size(kOverflowNames) == shm::kOverflowReasons);

WorkerState state_of(const WorkerCopy& worker) {
  if (worker.epoch == 0 || !worker.has_counted) return WorkerState::kUnused;
  if (worker.is_live) return WorkerState::kLive;
  return worker.is_released ? WorkerState::kReleased : WorkerState::kDead;
}

// The entry that owns a slot now, or nothing: a free slot, one of a former owner, a word that no writer leaves.
const WorkerCopy* owner_of(const Snapshot& snapshot, std::uint64_t owner) {
  const std::uint64_t entry = (owner >> shm::kOwnerEpochBits) - 1;  // 0 becomes more than any entry
  if (entry >= snapshot.workers.size()) return nullptr;
  const std::uint64_t epoch = owner & ((std::uint64_t{1} << shm::kOwnerEpochBits) - 1);
  return snapshot.workers[entry].epoch == epoch ? &snapshot.workers[entry] : nullptr;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

constexpr std::size_t kMostMapBytes = 1 << 20;  // some ten thousand mappings

/// A shared mapping for writing, as a line of /proc/PID/maps has it.
struct WritableMapping {
  std::uint64_t offset = 0, bytes = 0;
  shm::FileId file;
};
std::optional<WritableMapping> parse_mapping(const std::string& line) {
  std::uint64_t begin = 0, end = 0, offset = 0, inode = 0;
  unsigned device_major = 0, device_minor = 0;
  char access[5] = "";
  const int found = std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &begin, &end,
                                access, &offset, &device_major, &device_minor, &inode);
  if (found != 7 || access[1] != 'w' || access[3] != 's') return std::nullopt;
  return WritableMapping{offset, end - begin, {makedev(device_major, device_minor), inode}};
}

// Whatever the worker wrote, it ends up on a terminal.
std::string printable(std::span<const char> bytes) {
  std::string text(bytes.begin(), std::find(bytes.begin(), bytes.end(), '\0'));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

void count_workers(const Snapshot& snapshot, SegmentStatus& status) {
  for (const WorkerCopy& worker : snapshot.workers) {
    switch (state_of(worker)) {
      case WorkerState::kLive:
        ++status.workers_live;
        break;
      case WorkerState::kDead:
        ++status.workers_dead;
        break;
      case WorkerState::kReleased:
        ++status.workers_released;
        break;
      case WorkerState::kUnused:
        ++status.workers_unused;
        break;
    }
    status.worker_deaths = accumulate(status.worker_deaths, worker.deaths);
  }
  for (const std::uint64_t owner : snapshot.owners) {
    const WorkerCopy* worker = owner_of(snapshot, owner);
    ++(worker != nullptr && worker->is_live ? status.slots_used : status.slots_free);
  }
}

void count_overflow(const CatalogFamily& family, const Totals& totals, SegmentStatus& status) {
  std::array<std::uint64_t, shm::kOverflowReasons> counts{};
  const auto add = [&](const CatalogFamily& generation) {
    if (generation.overflow_tally == 0) return;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      counts[i] = accumulate(counts[i], totals.cells[generation.overflow_tally + i]);
    }
  };
  add(family);
  for (const CatalogFamily* generation : family.generations) add(*generation);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) status.series_overflow.push_back({family.name, {kOverflowNames[i], counts[i]}});
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
  // The two cell spaces have the same limit: what counts is which one is nearer to it.
  status.cells_used = std::max(catalog.cells().thread_cells, catalog.cells().process_cells);
  status.directory_used_bytes = snapshot.directory_used_bytes;
  for (const CatalogFamily* family : catalog.families()) {
    count_overflow(*family, snapshot.totals, status);
    if (!family->generations.empty()) {
      status.family_generations.emplace_back(family->name, family->generations.size());
    }
  }
  status.quarantined_families = catalog.quarantined_families() + (snapshot.is_directory_cut ? 1 : 0);
  status.quarantined_series = catalog.quarantined_series();
  status.newer_records = catalog.newer_records();
}

SegmentStatus describe(const SnapshotReader& reader) {
  SegmentStatus status;
  status.segment = reader.segment();
  status.up = true;
  status.notice = reader.orphaned_by();
  if (status.notice.empty() && !reader.is_on_tmpfs()) {
    status.notice =
        reader.path() + " is not on tmpfs: the kernel's write-back may stall workers; move it to /dev/shm or /run";
  }
  status.id = hex(reader.header().segment_id);
  status.layout_version = reader.header().layout_version;
  status.created_unix_seconds = static_cast<double>(reader.header().created_unix_ns) * kNanosecond;
  status.cells_limit = reader.geometry().cells;
  status.directory_limit_bytes = reader.geometry().directory_bytes;

  const Snapshot& snapshot = reader.snapshot();
  count_workers(snapshot, status);
  count_catalog(reader.catalog(), snapshot, status);
  status.updates_dropped = tallies(snapshot, shm::Tally::kDroppedSeriesLimit, kDropReasons);
  status.values_refused = tallies(snapshot, shm::Tally::kRefusedNan, kRefusedValues);
  status.declarations_refused = tallies(snapshot, shm::Tally::kDeclarationRule, kDeclarationReasons);
  status.torn_reads = snapshot.torn_reads;
  status.quarantined_slots = snapshot.quarantined_slots;
  status.quarantined_workers = snapshot.quarantined_workers;
  return status;
}

}  // namespace

std::string default_path() {
  return shm::default_path();
}

bool is_segment_name(std::string_view name) {
  return !name.empty() && shm::is_valid_label_value(name);
}

struct Scraper::State {
  State(std::string path, std::string segment) : reader(std::move(path), std::move(segment)) {}
  SnapshotReader reader;
  bool is_up = false;
};

Scraper::Scraper(std::string path, std::string segment)
    : state_(std::make_unique<State>(std::move(path), std::move(segment))) {}
Scraper::~Scraper() = default;
Scraper::Scraper(Scraper&&) noexcept = default;
Scraper& Scraper::operator=(Scraper&&) noexcept = default;

const std::string& Scraper::path() const {
  return state_->reader.path();
}

const std::string& Scraper::segment() const {
  return state_->reader.segment();
}

SegmentView Scraper::view() const {
  if (!state_->is_up) return {};
  return {state_->reader.catalog().families(), &state_->reader.snapshot().totals};
}

SegmentStatus Scraper::scrape(std::string& text) {
  SegmentStatus status = read();
  render(text);
  return status;
}

SegmentStatus Scraper::read() {
  state_->is_up = false;
  try {
    state_->reader.read();
    SegmentStatus status = describe(state_->reader);
    state_->is_up = true;
    return status;
  } catch (const shm::Error& error) {
    SegmentStatus status;
    status.segment = state_->reader.segment();
    status.problem = error.what();
    return status;
  }
}

void Scraper::render(std::string& text, const Wanted& wanted) const {
  if (!state_->is_up) return;
  for (const CatalogFamily* family : state_->reader.catalog().families()) {
    if (!wanted || wanted(family->name)) render_text(*family, state_->reader.snapshot().totals, text);
  }
}

std::vector<Family> Scraper::families(const Wanted& wanted) const {
  std::vector<Family> families;
  if (!state_->is_up) return families;
  for (const CatalogFamily* family : state_->reader.catalog().families()) {
    if (wanted && !wanted(family->name)) continue;
    families.push_back(collector::describe(*family, state_->reader.snapshot().totals));
  }
  return families;
}

bool Scraper::is_owner(std::uint32_t worker, std::istream& maps) const {
  if (!state_->is_up || worker >= state_->reader.snapshot().workers.size()) return false;
  const Snapshot& snapshot = state_->reader.snapshot();
  const shm::Geometry& geometry = state_->reader.geometry();
  std::vector<std::uint64_t> slots{geometry.process_slot(worker)};
  for (std::uint32_t i = 0; i < snapshot.owners.size(); ++i) {
    if (owner_of(snapshot, snapshot.owners[i]) == &snapshot.workers[worker]) slots.push_back(geometry.thread_slot(i));
  }
  std::size_t read = 0;
  for (std::string line; read < kMostMapBytes && std::getline(maps, line); read += line.size()) {
    const auto mapping = parse_mapping(line);
    if (!mapping || mapping->file != state_->reader.file_id()) continue;
    const auto is_in = [&](std::uint64_t slot) { return slot - mapping->offset < mapping->bytes; };
    if (std::any_of(slots.begin(), slots.end(), is_in)) return true;
  }
  return false;
}

std::vector<WorkerRow> Scraper::workers() const {
  std::vector<WorkerRow> rows;
  if (!state_->is_up) return rows;
  const Snapshot& snapshot = state_->reader.snapshot();
  for (const WorkerCopy& worker : snapshot.workers) {
    WorkerRow& row = rows.emplace_back();
    row.worker = static_cast<std::uint32_t>(rows.size() - 1);
    row.state = state_of(worker);
    row.pid = worker.pid;
    row.program = printable(worker.program);
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
