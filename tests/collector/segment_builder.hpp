// A segment made by hand: a real file with a real header, whose tables, directory and cells the test fills as a worker
// would, or as no worker ever would.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/directory.hpp"
#include "shm/lock_byte.hpp"
#include "shm/native_window.hpp"
#include "shm/segment.hpp"
#include "shm/segment_view.hpp"

namespace shmetrics::tests {

inline constexpr shm::Geometry kSmall{
    .workers = 4, .thread_slots = 4, .cells = 2 * shm::kGrowthCells, .directory_bytes = 65536};

inline std::string temporary_path() {
  static std::atomic<int> number{0};
  const std::string path =
      "/dev/shm/shmetrics-test-" + std::to_string(getpid()) + "-" + std::to_string(number++) + ".seg";
  unlink(path.c_str());  // a test that was killed, and had the same pid, may have left it
  return path;
}

inline shm::Schema plain(shm::MetricType type, std::string_view name, std::vector<std::string_view> labels = {}) {
  return {.type = type,
          .cell_kind = shm::CellKind::kDouble,
          .gauge_mode = {},
          .name = name,
          .help = "Help.",
          .unit = {},
          .labels = std::move(labels),
          .bounds = {}};
}
inline shm::Schema counter(std::string_view name, std::vector<std::string_view> labels = {},
                           shm::CellKind kind = shm::CellKind::kUnsigned) {
  shm::Schema schema = plain(shm::MetricType::kCounter, name, std::move(labels));
  schema.cell_kind = kind;
  return schema;
}
inline shm::Schema gauge(std::string_view name, shm::GaugeMode mode, std::vector<std::string_view> labels = {}) {
  shm::Schema schema = plain(shm::MetricType::kGauge, name, std::move(labels));
  schema.gauge_mode = mode;
  return schema;
}
inline shm::Schema histogram(std::string_view name, std::vector<double> bounds,
                             std::vector<std::string_view> labels = {}) {
  shm::Schema schema = plain(shm::MetricType::kHistogram, name, std::move(labels));
  schema.bounds = std::move(bounds);
  return schema;
}
inline shm::Schema native_histogram(std::string_view name, double low, double high, double factor,
                                    std::vector<std::string_view> labels = {}) {
  const auto bounds = shm::native_bounds(low, high, factor);
  shm::Schema schema = histogram(name, {bounds.begin(), bounds.end()}, std::move(labels));
  schema.is_native = true;
  return schema;
}

class SegmentBuilder {
 public:
  explicit SegmentBuilder(const shm::Geometry& geometry = kSmall) : path_(temporary_path()), geometry_(geometry) {
    opened_ = shm::open_or_create(path_, {.geometry = geometry, .mode = 0600, .group = {}});
    base_ = static_cast<std::byte*>(
        mmap(nullptr, geometry.file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, opened_.file.get(), 0));
  }
  ~SegmentBuilder() {
    munmap(base_, geometry_.file_bytes());
    unlink(path_.c_str());
  }
  SegmentBuilder(const SegmentBuilder&) = delete;
  SegmentBuilder& operator=(const SegmentBuilder&) = delete;

  const std::string& path() const { return path_; }
  const shm::Geometry& geometry() const { return geometry_; }
  std::byte* base() const { return base_; }
  shm::SegmentView view() const { return {base_, geometry_}; }

  std::uint32_t entries() const { return entries_; }
  /// The record that an entry names.
  std::span<std::byte> record(std::uint32_t entry) const {
    const auto named = shm::IndexEntry::of(view().index(entry).load_relaxed());
    return {view().directory_bytes() + named.offset, named.length};
  }
  /// Any bytes as the next record. Returns the number of its entry. Unless `in_spill`, the spill does not grow to hold
  /// its cells, as every writer makes it.
  std::uint32_t append(std::string_view record, bool in_spill = true) {
    auto& space = view().directory().space;
    const auto at = static_cast<std::uint32_t>(space.load_relaxed());
    space.store_relaxed(at + record.size());
    std::memcpy(view().directory_bytes() + at, record.data(), record.size());
    if (in_spill) spill(cells_.thread_cells - 1);
    if (in_spill && cells_.process_cells > 0) gauge_spill(cells_.process_cells - 1);
    view().index(entries_).store_release(shm::IndexEntry{at, static_cast<std::uint32_t>(record.size())}.word());
    return entries_++;
  }

  struct Family {
    std::uint32_t entry = 0;
    std::uint32_t cell = 0;   // of the one series, or of the overflow series
    std::uint32_t tally = 0;  // first of those of label sets that share the overflow series
    shm::MetricType type{};
    std::uint32_t series_cells = 0;
  };
  Family family(const shm::Schema& schema, std::uint64_t created_unix_ns = 1) {
    Family made{.entry = 0,
                .cell = cells_.of(schema.type),
                .tally = 0,
                .type = schema.type,
                .series_cells = shm::series_cells(schema)};
    const std::string record = shm::encode_family(schema, created_unix_ns, 1000, cells_);
    made.tally = schema.labels.empty() ? 0 : cells_.thread_cells - shm::kOverflowReasons;
    made.entry = append(record);
    return made;
  }
  /// Returns the series' first cell.
  std::uint32_t series(const Family& family, std::vector<std::string_view> values, std::uint64_t created_unix_ns = 2) {
    const std::uint32_t cell = cells_.of(family.type);
    append(shm::encode_series(family.entry, family.type, family.series_cells, values, created_unix_ns, cells_));
    return cell;
  }
  shm::CellCursor& cells() { return cells_; }

  /// A cell of a thread slot, of the spill, of a process slot; the slot grows to hold it.
  shm::SharedWord& thread(std::uint32_t slot, std::uint32_t cell) {
    return grown(view().slot(slot).cells_allocated, view().thread_cells(slot), cell);
  }
  shm::SharedWord& spill(std::uint32_t cell) {
    return grown(view().slot(geometry_.spill()).cells_allocated, view().spill_cells(), cell);
  }
  shm::SharedWord& gauge_spill(std::uint32_t cell) {
    return grown(view().slot(geometry_.gauge_spill()).cells_allocated, view().gauge_spill_cells(), cell);
  }
  shm::SharedWord& process(std::uint32_t worker, std::uint32_t cell) {
    return grown(view().worker(worker).cells_allocated, view().process_cells(worker), cell);
  }
  void set_gauge(std::uint32_t worker, std::uint32_t cell, double value, std::uint64_t stamp = 1) {
    process(worker, cell + shm::kGaugeValue).store_double_relaxed(value);
    process(worker, cell + shm::kGaugeStamp).store_release(stamp);
  }

  /// A worker of the given standing. A live one is alive until the descriptor is gone.
  void dead(std::uint32_t worker) {
    view().worker(worker).counted.store_relaxed(1);
    view().worker(worker).epoch.store_release(2);
  }
  [[nodiscard]] shm::Descriptor live(std::uint32_t worker) {
    dead(worker);
    shm::Descriptor holder(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    shm::try_lock(holder.get(), shm::claim_byte(worker));
    shm::try_lock(holder.get(), shm::live_byte(worker));
    return holder;
  }

 private:
  // Allocates by touching, a page at a time, then publishes: as a worker does it.
  shm::SharedWord& grown(shm::SharedWord& allocated, shm::SharedWord* cells, std::uint32_t cell) {
    const std::uint64_t wanted = (cell / shm::kGrowthCells + 1) * shm::kGrowthCells;
    for (std::uint64_t at = allocated.load_relaxed(); at < wanted; at += shm::kPageBytes / 8) cells[at].add_relaxed(0);
    allocated.raise_to_release(wanted);
    return cells[cell];
  }

  std::string path_;
  shm::Geometry geometry_;
  shm::OpenedSegment opened_;
  std::byte* base_ = nullptr;
  shm::CellCursor cells_;
  std::uint32_t entries_ = 0;
};

}  // namespace shmetrics::tests
