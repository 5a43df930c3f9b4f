#include "collector/cell_check.hpp"

#include <algorithm>
#include <bit>

namespace shmetrics::collector {
namespace {

using std::to_string;

constexpr std::size_t kRedoCells = 3;
constexpr std::size_t kFirstTally = offsetof(shm::SlotPrefix, tallies) / 8;

// The series of a histogram or summary that begins at `cell`.
const Run* observed_at(const Catalog& catalog, std::uint64_t cell) {
  const auto& runs = catalog.runs();
  const auto after =
      std::partition_point(runs.begin(), runs.end(), [cell](const Run& run) { return run.first_cell <= cell; });
  if (after == runs.begin()) return nullptr;
  const Run& run = *std::prev(after);
  const bool begins_here = cell < run.first_cell + run.cells && (cell - run.first_cell) % run.width == 0;
  return run.kind == ColumnKind::kObserved && begins_here ? &run : nullptr;
}

// Worth a look only while the sequence that it names is odd; but its position names a series of the directory at any
// time, unless it never was written, or speaks of a series that came after the directory was copied.
void check_redo(std::span<const std::uint64_t> cells, const Catalog& catalog, const Report& report) {
  const std::uint64_t position = cells[0];
  const std::uint64_t first_cell = position & UINT32_MAX;
  const std::uint64_t bucket = position >> 32;
  if (position == 0) return;
  if (bucket >= shm::kMaxCells) return report("redo record names cell " + to_string(bucket) + ", no slot has so many");
  if (first_cell >= catalog.cells().thread_cells) return;
  const Run* run = observed_at(catalog, first_cell);
  if (run == nullptr) return report("redo record names cell " + to_string(first_cell) + ", no histogram begins there");
  if (bucket < first_cell + shm::kHistogramBuckets || bucket >= first_cell + run->width) {
    report("redo record names bucket cell " + to_string(bucket) + ", outside the histogram at cell " +
           to_string(first_cell));
  }
}

void check_prefix(std::span<const std::uint64_t> cells, const Catalog& catalog, bool is_spill, const Report& report) {
  if (!is_zero(cells.subspan(kRedoCells, kFirstTally - kRedoCells)))
    report("reserved words of its prefix are not zero");
  if (is_spill) {
    if (!is_zero(cells.first(kRedoCells))) report("has a redo record, the spill uses none");
    if (!is_zero(cells.subspan(kFirstTally + shm::kUsedTallies, shm::kTallies - shm::kUsedTallies))) {
      report("has a tally that nobody counts");
    }
  } else {
    if (!is_zero(cells.subspan(kFirstTally, shm::kTallies))) report("has tallies, only the spill counts them");
    check_redo(cells, catalog, report);
  }
}

void check_exemplars(std::span<const std::uint64_t> cells, const Catalog& catalog, bool is_spill,
                     const Report& report) {
  for (const ExemplarRun& run : catalog.exemplars()) {
    for (std::uint32_t i = 0; i < run.count; ++i) {
      const std::size_t first = run.first_cell + i * shm::kExemplarCells;
      if (first + shm::kExemplarCells > cells.size()) return;
      const auto exemplar = cells.subspan(first, shm::kExemplarCells);
      if (is_spill && !is_zero(exemplar)) {
        report("cell " + to_string(first) + " is of an exemplar, the spill has none");
      }
      const std::uint64_t bytes = exemplar[shm::kExemplarTextBytes];
      if (bytes > shm::kMaxExemplarText) {
        report("the exemplar at cell " + to_string(first) + " has labels of " + to_string(bytes) + " bytes, at most " +
               to_string(shm::kMaxExemplarText) + " fit");
      }
    }
  }
}

}  // namespace

bool is_zero(std::span<const std::uint64_t> words) {
  return std::all_of(words.begin(), words.end(), [](std::uint64_t word) { return word == 0; });
}

void check_thread_cells(std::span<const std::uint64_t> cells, const Catalog& catalog, bool is_spill,
                        const Report& report) {
  if (cells.size() < shm::kPrefixCells) return;
  check_prefix(cells, catalog, is_spill, report);
  check_exemplars(cells, catalog, is_spill, report);
  for (const Run& run : catalog.runs()) {
    const std::size_t end = std::min<std::size_t>(run.first_cell + run.cells, cells.size());
    for (std::size_t cell = run.first_cell; cell < end; cell += run.width) {
      const double value = std::bit_cast<double>(cells[cell]);
      if (run.kind == ColumnKind::kDouble && !(value >= 0)) {
        report("cell " + to_string(cell) + " of a float counter holds " + to_string(value));
      }
      if (run.kind == ColumnKind::kObserved && is_spill && cells[cell] != 0) {
        report("cell " + to_string(cell) + " is the sequence of a histogram, the spill uses none");
      }
    }
  }
}

void check_gauge_spill(std::span<const std::uint64_t> cells, const Catalog& catalog, const Report& report) {
  for (const GaugePlace& gauge : catalog.gauges()) {
    if (gauge.first_cell + shm::kGaugeCells > cells.size()) continue;
    const bool has_value = cells[gauge.first_cell + shm::kGaugeValue] != 0;
    if (cells[gauge.first_cell + shm::kGaugeStamp] != 0 || (has_value && !is_in_spill(gauge.mode))) {
      report("cell " + to_string(gauge.first_cell) +
             " of a gauge is not zero, only values of min, max and shared are kept here");
    }
  }
}

}  // namespace shmetrics::collector
