// What a segment's directory says, taken in entry by entry and kept between scrapes: families sorted by name, series by
// label values, the text before each number, and where in the slots the numbers are. A name with several generations is
// one family that adds them up.
//
// It sees private copies of records only. Whatever the bytes are: a record that breaks a rule is quarantined (skipped
// and counted), no name and no series is there twice, and memory is bounded by kMaxPrefixBytes, kMaxFamilies and the
// bytes of the records.
//
// Threads: one thread. Failure: std::bad_alloc alone; a bad record is counted. Lifetime: what it returns is valid until
// the next record is taken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "collector/family.hpp"
#include "collector/generations.hpp"
#include "collector/read_share.hpp"
#include "shm/directory.hpp"

namespace shmetrics::collector {

/// A family of a few dozen bytes in the directory takes a kilobyte here, and there may be millions.
inline constexpr std::size_t kMaxFamilies = 32768;
inline constexpr std::size_t kMaxProblems = 100;  // kept as text; all are counted

enum class ColumnKind { kUnsigned, kDouble, kObserved };

/// Neighbouring thread cells that are copied and added up in the same way.
struct Run {
  std::uint32_t first_cell = 0;
  std::uint32_t cells = 0;
  ColumnKind kind{};
  std::uint32_t width = 1;  // cells of a series
  std::uint32_t total = 0;  // where the first of them is added up
};

/// The exemplars of one series.
struct ExemplarRun {
  std::uint32_t first_cell = 0;  // in a slot
  std::uint32_t count = 0;
  std::uint32_t total = 0;  // where the first exemplar that is shown is kept
  const CatalogFamily* family = nullptr;
};

class Catalog {
 public:
  /// With a name, every series gets the label `segment`.
  explicit Catalog(const shm::Geometry& geometry, std::string segment = {})
      : parser_(geometry), segment_(std::move(segment)) {}
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  /// Takes in the next entry: its record, or why it has none. The functions below include it after settle().
  void add(std::span<const std::byte> record);
  void skip(std::string problem);
  void settle();
  std::uint32_t entries() const { return parser_.entries(); }
  /// From now on, series whose text would pass this limit are left out; or 2 GiB, since KeptParts counts in 32 bits.
  void limit_text(std::uint64_t most_bytes) { most_text_bytes_ = std::min<std::uint64_t>(most_bytes, INT32_MAX); }

  /// By name, each once; without families that have ended or are quarantined.
  const std::vector<const CatalogFamily*>& families() const { return families_; }
  /// By cell; they do not overlap.
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<ExemplarRun>& exemplars() const { return exemplars_; }
  const std::vector<GaugePlace>& gauges() const { return gauges_; }
  const shm::CellCursor& cells() const { return parser_.cells(); }
  /// Cells that totals need: those of the runs, without the gaps between them, and
  /// behind them what sums of generations take.
  std::uint32_t total_cells() const { return total_cells_; }
  /// What all of this takes, roughly, with what a scrape adds up. It grows with the records, whatever they say.
  std::uint64_t held_bytes() const;
  /// Adds up the generations, after all slots have been added to the totals.
  void add_up_generations(Totals& totals) const;

  std::uint64_t series_count() const;  // that are shown; overflow series not counted
  std::uint64_t quarantined_families() const { return quarantined_families_; }
  std::uint64_t quarantined_series() const { return quarantined_series_ + left_out_series_; }
  /// How many of the quarantined are of a newer release, so that nothing is wrong with them.
  std::uint64_t newer_records() const { return newer_records_; }
  /// One line each, the first kMaxProblems: damaged records, and records of a newer release.
  const std::vector<std::string>& problems() const { return problems_; }
  const std::vector<std::string>& newer() const { return newer_; }

 private:
  /// The generations of one name.
  struct Metric {
    std::vector<CatalogFamily*> generations;  // the oldest first; none: ended
    std::unique_ptr<MergedFamily> merged;     // of two or more
    bool is_dirty = false;
  };
  struct Served {
    CatalogFamily* family = nullptr;
    Metric* metric = nullptr;
  };

  void add_family(const shm::ParsedFamily& parsed);
  void add_series(const shm::ParsedSeries& parsed);
  void add_unknown(const shm::UnknownRecord& record);
  std::uint32_t add_run(std::uint32_t first_cell, ColumnKind kind, std::uint32_t width);
  void add_to(const Served& served, CatalogSeries series, std::span<const std::string_view> values,
              std::uint32_t first_cell, std::uint32_t entry);
  std::uint32_t place(const CatalogFamily& family, std::uint32_t first_cell);
  void quarantine(const shm::Defect& defect);
  Metric* metric_of(std::string_view name);
  Metric* claim(const shm::ParsedFamily& parsed);
  void end(Metric& metric);
  void add_generation(Metric& metric, CatalogFamily& family);
  void settle_generations();
  void list_families();
  std::string no_room() const;

  shm::DirectoryParser parser_;
  std::string segment_;
  std::deque<CatalogFamily> store_;  // does not move what it holds
  std::deque<Metric> metrics_;
  std::unordered_map<std::uint32_t, Served> by_entry_;
  std::unordered_map<std::string, Metric*> claims_;  // every name that a metric produces
  std::vector<const CatalogFamily*> families_;
  std::vector<CatalogFamily*> dirty_;
  std::vector<Metric*> merged_;
  std::vector<Run> runs_;
  std::vector<ExemplarRun> exemplars_;
  std::uint64_t exemplar_count_ = 0;
  std::vector<GaugePlace> gauges_;
  std::uint32_t run_cells_ = shm::kPrefixCells;  // of all runs; without gaps, a cell is added up under its own number
  std::uint32_t total_cells_ = shm::kPrefixCells;
  std::uint64_t text_bytes_ = 0;
  std::uint64_t most_text_bytes_ = kMaxPrefixBytes;
  std::uint64_t record_bytes_ = 0;
  std::uint64_t kept_bytes_ = 0;  // that the families' KeptFields take once there is a scrape by protobuf, at most
  bool has_new_families_ = false;
  std::uint64_t quarantined_families_ = 0;
  std::uint64_t quarantined_series_ = 0;
  std::uint64_t left_out_series_ = 0;  // of sums of generations
  std::uint64_t newer_records_ = 0;
  std::vector<std::string> problems_;
  std::vector<std::string> newer_;
};

}  // namespace shmetrics::collector
