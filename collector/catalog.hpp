// What a segment's directory says, parsed as it grows and kept between scrapes: families sorted by name, series by
// label values, the text before each number, and where in the slots the numbers are.
//
// It sees a private copy of the directory only. Whatever the bytes are: a record that breaks a rule is quarantined
// (skipped and counted), no name and no series is there twice, and memory is bounded by kMaxPrefixBytes, kMaxFamilies
// and the directory's own size.
//
// Not thread-safe. Throws std::bad_alloc only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "collector/family.hpp"
#include "shm/directory.hpp"

namespace shmetrics::collector {

/// The exporter sends no more than this; one record can ask for a thousand times its own size.
inline constexpr std::uint64_t kMaxPrefixBytes = 256u << 20;
/// A family of a few dozen bytes in the directory takes a kilobyte here, and there may be millions.
inline constexpr std::size_t kMaxFamilies = 131072;
inline constexpr std::size_t kMaxProblems = 100;  // kept as text; all are counted

enum class ColumnKind { kUnsigned, kDouble, kObserved };

/// Neighbouring thread cells that are copied and added up in the same way.
struct Run {
  std::uint32_t first_cell = 0;
  std::uint32_t cells = 0;
  ColumnKind kind{};
  std::uint32_t width = 1;  // cells of a series
};

struct GaugePlace {
  std::uint32_t first_cell = 0;  // process cell
  shm::GaugeMode mode{};
};

class Catalog {
 public:
  /// With a name, every series gets the label `segment`.
  explicit Catalog(const shm::Geometry& geometry, std::string segment = {})
      : parser_(geometry), segment_(std::move(segment)) {}
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  /// Parses what was committed since: the directory's bytes from known_bytes() on. False: `has_time` said no, asked now
  /// and then; what is left is parsed by the next call, which may add no bytes.
  using HasTime = std::function<bool()>;
  bool append(std::span<const std::byte> committed, const HasTime& has_time = {});
  std::uint64_t known_bytes() const { return bytes_.size(); }

  /// By name. Superseded and quarantined families are not among them.
  const std::vector<const CatalogFamily*>& families() const { return families_; }
  /// By cell; they do not overlap.
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<GaugePlace>& gauges() const { return gauges_; }
  const shm::CellCursor& cells() const { return parser_.cells(); }

  std::uint64_t series_count() const;  // overflow series not counted
  std::uint64_t quarantined_families() const { return quarantined_families_; }
  std::uint64_t quarantined_series() const { return quarantined_series_; }
  /// One line each, the first kMaxProblems.
  const std::vector<std::string>& problems() const { return problems_; }
  /// Offsets of records before which cells lie unused, the first kMaxProblems. They are served all the same.
  const std::vector<std::uint32_t>& gaps() const { return gaps_; }

 private:
  void add_family(const shm::ParsedFamily& parsed);
  void add_series(const shm::ParsedSeries& parsed);
  void add_run(std::uint32_t first_cell, ColumnKind kind, std::uint32_t width);
  std::uint32_t place(const CatalogFamily& family, std::uint32_t first_cell);
  void quarantine(bool is_series, std::uint32_t offset, const std::string& problem);
  CatalogFamily* superseded_by(const shm::ParsedFamily& parsed);
  void drop(CatalogFamily& family);
  void add_to(CatalogFamily& family, CatalogSeries series, std::uint32_t record_offset);
  void settle();
  void note_gap(std::uint32_t offset);

  shm::DirectoryParser parser_;
  std::string segment_;
  std::vector<std::byte> bytes_;
  std::deque<CatalogFamily> store_;                              // does not move what it holds
  std::unordered_map<std::uint32_t, CatalogFamily*> by_offset_;  // null: quarantined
  std::unordered_map<std::string, std::uint32_t> claims_;        // name -> its family's offset
  std::vector<const CatalogFamily*> families_;
  std::vector<CatalogFamily*> dirty_;
  std::vector<Run> runs_;
  std::vector<GaugePlace> gauges_;
  std::uint64_t text_bytes_ = 0;
  bool has_new_families_ = false;
  bool is_behind_ = false;  // records of bytes_ wait to be parsed
  std::uint64_t quarantined_families_ = 0;
  std::uint64_t quarantined_series_ = 0;
  std::vector<std::string> problems_;
  std::vector<std::uint32_t> gaps_;
};

}  // namespace shmetrics::collector
