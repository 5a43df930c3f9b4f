// Records of the directory: encode one, parse what is committed.
//
// The parser reads each field once into memory of its own and checks it there, so it may run over a private copy
// (reader) or over the live mapping (client) alike: other processes can make its answer wrong, not its behaviour.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "shm/geometry.hpp"
#include "shm/naming.hpp"

namespace shmetrics::shm {

/// The next free cell of each cell space: the end of the last record of that space.
struct CellCursor {
  std::uint32_t thread_cells = kPrefixCells;
  std::uint32_t process_cells = 0;
  std::uint32_t& of(MetricType type) { return in_process_slots(type) ? process_cells : thread_cells; }
};

struct ParsedFamily {
  std::uint32_t offset = 0;  // of the record in the directory; a family's identity
  FamilyRecord record{};
  bool gap = false;  // cells lie unused before it: no writer leaves that
  Schema schema;     // its views point into the parsed bytes
};

struct ParsedSeries {
  std::uint32_t offset = 0;
  SeriesRecord record{};
  bool gap = false;
  std::uint32_t value_count = 0;
  std::array<std::string_view, kMaxLabels> value_storage;  // points into the parsed bytes
  std::span<const std::string_view> values() const { return {value_storage.data(), value_count}; }
};

/// A record that is not to be used. `readable_on` tells whether parsing can go on behind it.
struct Defect {
  std::uint32_t offset = 0;
  std::string problem;
  bool is_series = false;
  bool readable_on = true;
};

/// Walks the log from its beginning, over any number of calls as the log grows.
class DirectoryParser {
 public:
  explicit DirectoryParser(const Geometry& geometry) : geometry_(geometry) {}

  /// The next record in `directory`, which holds the directory from its first byte up to `committed`; monostate at the
  /// end.
  using Step = std::variant<std::monostate, ParsedFamily, ParsedSeries, Defect>;
  Step next(std::span<const std::byte> directory);

  std::uint32_t position() const { return position_; }
  const CellCursor& cells() const { return cells_; }

 private:
  // What a series record is checked against.
  struct Known {
    MetricType type;
    std::uint16_t label_count;
    std::uint16_t bound_count;
  };
  Step parse_family(std::span<const std::byte> record);
  Step parse_series(std::span<const std::byte> record);
  Step reject(std::string problem, bool is_series);
  std::string place(MetricType type, std::uint32_t first_cell, std::uint32_t count);

  Geometry geometry_;
  std::uint32_t position_ = sizeof(DirectoryHead);
  CellCursor cells_;
  bool gap_ = false;
  std::unordered_map<std::uint32_t, Known> families_;
};

/// Bytes of a record, ready to be copied behind `committed`. A family's cells are taken from `cells`, which moves on.
struct FamilyPlacement {
  std::uint64_t created_unix_ns = 0;
  std::uint32_t series_limit = 0;
  std::uint32_t supersedes = 0;
};
std::string encode_family(const Schema& schema, const FamilyPlacement& placement, CellCursor& cells);
std::string encode_series(std::uint32_t family_offset, MetricType type, std::size_t bound_count,
                          std::span<const std::string_view> values, std::uint64_t created_unix_ns, CellCursor& cells);

/// XXH3 over a record, as its head stores it.
std::uint64_t record_checksum(std::span<const std::byte> record);

}  // namespace shmetrics::shm
