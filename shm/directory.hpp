// Records of the directory: encode one, parse the log entry by entry.
//
// The parser reads each field once into memory of its own and checks it there, so it may run over a private copy
// (reader) or over the live mapping (client) alike: other processes can make its answer wrong, not its behaviour.
//
// Threads: one thread at a time. Failure: std::bad_alloc alone; what is wrong with a record is a Defect. Lifetime: what
// was parsed points into the parsed bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "shm/geometry.hpp"
#include "shm/naming.hpp"

namespace shmetrics::shm {

/// An entry of the index: where record n lies, in bytes from the directory's start.
struct IndexEntry {
  std::uint32_t offset = 0;
  std::uint32_t length = 0;

  static constexpr IndexEntry of(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
  }
  constexpr std::uint64_t word() const { return std::uint64_t{length} << 32 | offset; }
  constexpr std::uint64_t end() const { return std::uint64_t{offset} + length; }
  /// Whether it can be a record: aligned, of a possible length, in the heap.
  constexpr bool is_valid(const Geometry& geometry) const {
    return offset % 8 == 0 && offset >= geometry.heap() && length % 8 == 0 && length >= sizeof(RecordHead) &&
           length <= kMaxRecordBytes && end() <= geometry.directory_bytes;
  }
};

/// The next free cell of each cell space: where those of the last record end.
struct CellCursor {
  std::uint32_t thread_cells = kPrefixCells;
  std::uint32_t process_cells = 0;
  std::uint32_t& of(MetricType type) { return in_process_slots(type) ? process_cells : thread_cells; }
  bool operator==(const CellCursor&) const = default;
};

struct ParsedFamily {
  std::uint32_t entry = 0;  // number of its entry; a family's identity
  FamilyRecord record{};
  Schema schema;  // its views point into the parsed bytes
};

struct ParsedSeries {
  std::uint32_t entry = 0;
  SeriesRecord record{};
  std::uint32_t value_count = 0;
  std::array<std::string_view, kMaxLabels> value_storage;  // points into the parsed bytes
  std::span<const std::string_view> values() const { return {value_storage.data(), value_count}; }
};

/// A sound record of a newer release: it has an unknown kind, type, cell kind, gauge mode or flag, or is a series of
/// such a family. The parser skips it. It is no damage.
struct UnknownRecord {
  std::uint32_t entry = 0;
  bool is_series = false;
  std::string_view family_name;  // of a family record, as far as it can be told; points into the parsed bytes
  std::uint32_t type = 0;        // of a family record
  std::uint32_t first_process_cell = 0;
  std::uint32_t process_cells = 0;  // its own
  ClaimAction claim_action = ClaimAction::kZero;
};

/// A record that is damaged, and not to be used.
struct Defect {
  std::uint32_t entry = 0;
  std::string problem;
  bool is_series = false;
};

/// Walks the log from its beginning, over any number of calls as the log grows.
class DirectoryParser {
 public:
  explicit DirectoryParser(const Geometry& geometry) : geometry_(geometry) {}

  using Step = std::variant<ParsedFamily, ParsedSeries, UnknownRecord, Defect>;
  /// The record of the next entry; `record` is what the entry names. If it throws, the entry is still the next.
  Step next(std::span<const std::byte> record);
  /// The next entry names nothing that can be read.
  Defect skip(std::string problem);

  std::uint32_t entries() const { return entries_; }
  const CellCursor& cells() const { return cells_; }

 private:
  // What a series record is checked against.
  struct Known {
    MetricType type{};
    std::uint16_t label_count = 0;
    bool is_unknown = false;
    ClaimAction claim_action = ClaimAction::kZero;
    std::uint32_t series_cells = 0;
  };
  Step parse(std::span<const std::byte> record);
  Step parse_family(std::span<const std::byte> record, const RecordHead& head);
  Step parse_series(std::span<const std::byte> record, const RecordHead& head);
  Step unknown(const RecordHead& head, bool is_series, ClaimAction action);
  Step unknown_family(std::span<const std::byte> record, const FamilyRecord& fields);
  Step reject(std::string problem, bool is_series) const;
  // The cells of one record in one space.
  struct OwnCells {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  std::string refuse_cells(OwnCells own, std::uint32_t free, std::uint32_t end) const;
  std::string place(OwnCells thread, OwnCells process, const RecordHead& head);

  Geometry geometry_;
  std::uint32_t entries_ = 0;
  CellCursor cells_;
  bool is_behind_defect_ = false;  // then only the next record says where its cells begin
  std::unordered_map<std::uint32_t, Known> families_;
};

/// Bytes of a record, ready to be copied into the heap. Its cells are taken from `cells`, which moves on.
std::string encode_family(const Schema& schema, std::uint64_t created_unix_ns, std::uint32_t series_limit,
                          CellCursor& cells);
/// `series_cells`: of each series of its family.
std::string encode_series(std::uint32_t family_entry, MetricType type, std::uint32_t series_cells,
                          std::span<const std::string_view> values, std::uint64_t created_unix_ns, CellCursor& cells);

/// XXH3 over a record, as its head stores it.
std::uint64_t record_checksum(std::span<const std::byte> record);
/// Fills in the head of a record whose body is complete: pads it, and writes length, kind, ends and checksum.
void seal(std::string& record, RecordKind kind, const CellCursor& ends);

}  // namespace shmetrics::shm
