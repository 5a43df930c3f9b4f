// The directory of a segment as a test counts it, by the log alone: which label sets there are, that none is there
// twice, and that their cells have no gap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "shm/directory.hpp"
#include "shm/segment.hpp"
#include "shm/segment_view.hpp"

namespace shmetrics::tests {

struct DirectoryLog {
  std::uint32_t entries = 0;
  std::map<std::string, std::uint32_t> generations;  // by the family's name
  std::map<std::string, std::uint64_t> label_sets;   // likewise, of all generations
  std::uint64_t record_bytes = 0;                    // of all records together
  std::uint64_t heap_bytes = 0;                      // given out, whether a record names it or not
  shm::CellCursor cells;                             // behind the last record
  std::vector<std::string> problems;                 // one line each
};

namespace log_reading {

struct Reader {
  DirectoryLog log;
  std::map<std::uint32_t, shm::ParsedFamily> families;  // by entry; their views outlive them in the mapping
  std::set<std::pair<std::uint32_t, std::vector<std::string>>> seen;
  shm::CellCursor expected;

  void complain(std::uint32_t entry, const std::string& what) {
    log.problems.push_back("entry " + std::to_string(entry) + ": " + what);
  }
  void take_cells(std::uint32_t entry, std::uint32_t first, std::uint32_t count, std::uint32_t& next) {
    if (first != next) complain(entry, "cells from " + std::to_string(first) + " instead of " + std::to_string(next));
    next = first + count;
  }
  void operator()(const shm::ParsedFamily& family) {
    const std::string name(family.schema.name);
    ++log.generations[name];
    log.label_sets.try_emplace(name);
    families.emplace(family.entry, family);
    const auto own = shm::series_cells(family.schema);
    if (!family.schema.labels.empty()) {
      const bool has_overflow = !shm::in_process_slots(family.schema.type);
      const std::uint32_t series = has_overflow ? own : 0;
      // Which of the two comes first is the encoder's business.
      const bool tally_first = family.record.overflow_tally == expected.thread_cells;
      if (tally_first) {
        take_cells(family.entry, family.record.overflow_tally, shm::kOverflowReasons, expected.thread_cells);
      }
      if (has_overflow) take_cells(family.entry, family.record.first_cell, series, expected.thread_cells);
      if (!tally_first) {
        take_cells(family.entry, family.record.overflow_tally, shm::kOverflowReasons, expected.thread_cells);
      }
    } else {
      take_cells(family.entry, family.record.first_cell, own, expected.of(family.schema.type));
    }
  }
  void operator()(const shm::ParsedSeries& series) {
    const shm::Schema& schema = families.at(series.record.family).schema;
    const std::string name(schema.name);
    ++log.label_sets[name];
    std::vector<std::string> values(series.values().begin(), series.values().end());
    if (!seen.emplace(series.record.family, std::move(values)).second) complain(series.entry, "a label set twice");
    take_cells(series.entry, series.record.first_cell, shm::series_cells(schema), expected.of(schema.type));
  }
  void operator()(const shm::UnknownRecord& unknown) { complain(unknown.entry, "unknown"); }
  void operator()(const shm::Defect& defect) { complain(defect.entry, defect.problem); }
};

}  // namespace log_reading

inline DirectoryLog read_log(const std::string& path) {
  const shm::OpenedSegment segment = shm::open_for_reading(path);
  const std::uint64_t bytes = segment.geometry.directory() + segment.geometry.directory_bytes;
  const auto mapped = shm::map(segment.file, boost::interprocess::read_only, 0, bytes, path);
  const shm::SegmentView view(static_cast<std::byte*>(mapped.get_address()), segment.geometry);
  shm::DirectoryParser parser(segment.geometry);
  log_reading::Reader reader;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  while (parser.entries() < segment.geometry.index_entries()) {
    const std::uint32_t entry = parser.entries();
    const std::uint64_t word = view.index(entry).load_acquire();
    if (word == 0) break;
    const auto place = shm::IndexEntry::of(word);
    if (!place.is_valid(segment.geometry)) {
      reader.complain(entry, "names no place in the heap");
      break;
    }
    reader.log.record_bytes += place.length;
    ranges.emplace_back(place.offset, place.end());
    std::visit(reader, parser.next({view.directory_bytes() + place.offset, place.length}));
  }
  reader.log.entries = parser.entries();
  reader.log.cells = parser.cells();
  if (!(reader.expected == parser.cells())) reader.complain(parser.entries(), "cells behind the last series");
  reader.log.heap_bytes = view.directory().space.load_relaxed() - segment.geometry.heap();
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) reader.complain(0, "two records overlap");
  }
  return reader.log;
}

}  // namespace shmetrics::tests
