#include "collector/directory_check.hpp"

#include <algorithm>
#include <vector>

#include "shm/naming.hpp"

namespace shmetrics::collector {
namespace {

using std::to_string;

std::uint64_t index_word(const MappedSegment& mapped, std::uint64_t entry) {
  const std::uint64_t offset = mapped.geometry().directory() + sizeof(shm::DirectoryHead) + entry * 8;
  return mapped.data_bytes(offset, 8) == 8 ? mapped.words(offset)->load_acquire() : 0;
}

// Calls take(entry) for each entry from `first` on that is not empty, until it says false. Touches no hole.
template <typename Take>
void for_entries_from(const MappedSegment& mapped, std::uint64_t first, Take take) {
  const std::uint64_t begin = mapped.geometry().directory() + sizeof(shm::DirectoryHead);
  const std::uint64_t end = begin + std::uint64_t{mapped.geometry().index_entries()} * 8;
  for (std::uint64_t at = mapped.next_data(begin + first * 8, end); at < end; at = mapped.next_data(at, end)) {
    const std::uint64_t stop = at + std::max<std::uint64_t>(mapped.data_bytes(at, end - at), 8);
    for (; at < stop; at += 8) {
      if (mapped.words(at)->load_acquire() != 0 && !take((at - begin) / 8)) return;
    }
  }
}

// The log may grow meanwhile: then the empty entry, looked at again, is empty no more.
void check_end(const MappedSegment& mapped, std::uint64_t end, const Report& report) {
  for_entries_from(mapped, end, [&](std::uint64_t entry) {
    while (end < entry && index_word(mapped, end) != 0) ++end;
    if (end == entry) return ++end, true;
    report("directory entry " + to_string(entry) + " is behind the first empty one, " + to_string(end));
    return false;
  });
}

void check_overlap(std::vector<shm::IndexEntry> entries, const Report& report) {
  std::sort(entries.begin(), entries.end(),
            [](const shm::IndexEntry& a, const shm::IndexEntry& b) { return a.offset < b.offset; });
  for (std::size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].offset >= entries[i - 1].end()) continue;
    return report("directory records at " + to_string(entries[i - 1].offset) + " and " + to_string(entries[i].offset) +
                  " overlap");
  }
}

std::string difference(const CatalogFamily& before, const CatalogFamily& after) {
  if (before.cell_kind != after.cell_kind) return "another kind of number";
  if (before.labels != after.labels) return "other labels";
  if (before.bounds != after.bounds || before.window != after.window) return "other bounds";
  return before.gauge_mode != after.gauge_mode ? "another mode" : "the same twice";
}

}  // namespace

std::uint64_t check_directory(const MappedSegment& mapped, const DirectoryReader& reader, const Report& report) {
  const shm::Geometry& shape = mapped.geometry();
  if (mapped.data_bytes(shape.directory(), sizeof(shm::DirectoryHead)) == 0) {
    report("the head of the directory lies in a hole of the file");
    return 0;
  }
  const shm::DirectoryHead& head = mapped.directory();
  if (std::any_of(std::begin(head.reserved), std::end(head.reserved),
                  [](const shm::SharedWord& word) { return word.load_relaxed() != 0; })) {
    report("directory: reserved words of its head are not zero");
  }
  // Read behind the entries: whatever they name was given out before.
  const std::uint64_t space = head.space.load_relaxed();
  if (space % 8 != 0 || space < shape.heap() || space > shape.directory_bytes) {
    report("directory: the end of what was given out is " + to_string(space) + ", not a multiple of 8 from " +
           to_string(shape.heap()) + " to " + to_string(shape.directory_bytes));
  }
  std::vector<shm::IndexEntry> entries;
  for (std::uint64_t i = 0; i < reader.catalog().entries(); ++i) {
    const auto entry = shm::IndexEntry::of(index_word(mapped, i));
    if (entry.is_valid(shape)) entries.push_back(entry);
  }
  const auto beyond =
      std::find_if(entries.begin(), entries.end(), [&](const shm::IndexEntry& entry) { return entry.end() > space; });
  if (beyond != entries.end()) {
    report("directory record at " + to_string(beyond->offset) + " is beyond what was given out, up to " +
           to_string(space));
  }
  if (reader.is_cut()) {
    report("directory: its records come to more than the heap has");
  } else {
    check_end(mapped, reader.catalog().entries(), report);
  }
  check_overlap(std::move(entries), report);
  return std::clamp(space, shape.heap(), shape.directory_bytes) - shape.heap();
}

void warn_of_generations(const Catalog& catalog, const Report& report) {
  for (const CatalogFamily* family : catalog.families()) {
    const auto& generations = family->generations;
    if (generations.empty()) continue;
    report(shm::quoted(family->name) + " has " + to_string(generations.size()) + " schemas (" +
           difference(*generations.end()[-2], *generations.back()) +
           "): restart workers of the old release, if any runs");
  }
}

}  // namespace shmetrics::collector
