// What this process knows of the directory: families by name, series by label values, gauges by cell. Grows as the log
// grows.
//
// All of it under the control lock, but for SeriesTable::find and the constant parts of a FamilyState.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <shmetrics/shmetrics.hpp>
#include "client/series_table.hpp"
#include "shm/directory.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {

/// A family in this process. Never freed: families and handles point to it, also in static storage.
struct FamilyState {
  Attachment* attachment = nullptr;
  std::uint32_t offset = 0;  // of its record
  std::uint32_t registry = 0;
  shm::MetricType type{};
  shm::CellKind cell_kind{};
  shm::GaugeMode gauge_mode{};
  std::uint32_t first_cell = 0;  // of the only or the overflow series
  std::uint32_t overflow_tally = 0;
  std::uint32_t series_limit = 0;
  std::uint32_t bound_count = 0;
  std::array<double, shm::kMaxBounds> bounds{};  // +Inf behind the last
  std::string name;
  std::string help;
  std::vector<std::string> labels;
  mutable std::atomic<std::uint32_t> series_count{0};
  mutable bool declared_here = false;  // by this process or one that it was forked from

  shm::Schema schema() const;
  bool in_process_slots() const { return shm::in_process_slots(type); }
};

class DirectoryMirror {
 public:
  DirectoryMirror(Attachment& attachment, const shm::Geometry& geometry, const std::byte* directory,
                  std::uint32_t registry)
      : attachment_(attachment),
        registry_(registry),
        directory_(directory),
        parser_(geometry),
        series_(directory, geometry.cells) {}

  /// Parses records up to `committed`, which must be readable. False: the log has a record that is not to be trusted,
  /// and nothing may be appended behind it. Throws std::bad_alloc.
  bool refresh(std::uint64_t committed);

  const FamilyState* family(std::string_view name) const;
  /// The name of the family that already gives rise to one of these names; empty when none does.
  std::string claimant(const std::vector<std::string>& names, std::string_view except) const;

  const SeriesTable& series() const { return series_; }
  std::uint32_t position() const { return parser_.position(); }
  const shm::CellCursor& cells() const { return parser_.cells(); }
  const std::vector<shm::GaugePlace>& gauges() const { return gauges_; }
  bool sound() const { return sound_; }

 private:
  void add(const shm::ParsedFamily& parsed);
  void add(const shm::ParsedSeries& parsed);

  Attachment& attachment_;
  std::uint32_t registry_;
  const std::byte* directory_;
  shm::DirectoryParser parser_;
  SeriesTable series_;
  bool sound_ = true;
  std::unordered_map<std::uint32_t, std::unique_ptr<FamilyState>> by_offset_;
  std::unordered_map<std::string, FamilyState*> by_name_;
  std::unordered_map<std::string, FamilyState*> claims_;
  std::vector<shm::GaugePlace> gauges_;
};

}  // namespace shmetrics::detail
