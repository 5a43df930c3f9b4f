// The directory's log, appended to as a release that does not exist yet would: whole records, whatever they say, by the
// protocol of docs/segment-format.md, "Append".
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shm/directory.hpp"
#include "shm/segment.hpp"
#include "shm/segment_view.hpp"
#include "shm/slot.hpp"

namespace shmetrics::tests {

/// What a record says beside its text.
struct RawFields {
  std::uint32_t type = static_cast<std::uint32_t>(shm::MetricType::kCounter);
  std::uint32_t cell_kind = static_cast<std::uint32_t>(shm::CellKind::kDouble);
  std::uint32_t gauge_mode = 0;
  std::uint32_t flags = 0;
  std::uint16_t claim_action = 0;
  std::uint32_t thread_cells = 0, process_cells = 0;  // its own
};
/// Where a record stands, and where its cells begin.
struct RawPlace {
  std::uint32_t entry = 0, first_thread_cell = 0, first_process_cell = 0;
};

class RawLog {
 public:
  explicit RawLog(const std::string& path) : opened_(shm::open_for_reading(path)), parser_(opened_.geometry) {
    opened_.file = shm::Descriptor(open(path.c_str(), O_RDWR | O_CLOEXEC));
    void* const base = mmap(nullptr, opened_.geometry.file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                            opened_.file.get(), 0);
    if (base == MAP_FAILED) throw std::runtime_error("mmap");
    view_ = {static_cast<std::byte*>(base), opened_.geometry};
  }
  ~RawLog() { munmap(view_.base(), opened_.geometry.file_bytes()); }
  RawLog(const RawLog&) = delete;
  RawLog& operator=(const RawLog&) = delete;

  const shm::SegmentView& view() const { return view_; }
  const shm::OpenedSegment& opened() const { return opened_; }

  RawPlace family(std::string_view name, const RawFields& fields, const std::vector<std::string_view>& labels = {}) {
    return append(shm::RecordKind::kFamily, fields, [&](const RawPlace& place) {
      shm::FamilyRecord record{};
      record.created_unix_ns = 1;
      record.type = fields.type;
      record.cell_kind = fields.cell_kind;
      record.gauge_mode = fields.gauge_mode;
      record.series_limit = 1000;
      record.first_cell = fields.process_cells > 0 ? place.first_process_cell : place.first_thread_cell;
      record.flags = fields.flags;
      record.label_count = static_cast<std::uint16_t>(labels.size());
      record.name_bytes = static_cast<std::uint16_t>(name.size());
      record.help_bytes = 4;
      record.claim_action = fields.claim_action;
      std::string bytes(reinterpret_cast<const char*>(&record), sizeof record);
      for (const std::string_view label : labels) append_length(bytes, label.size());
      bytes.append(name).append("Help");
      for (const std::string_view label : labels) bytes.append(label);
      return bytes;
    });
  }
  RawPlace series(std::uint32_t family, const RawFields& fields, const std::vector<std::string_view>& values) {
    return append(shm::RecordKind::kSeries, fields, [&](const RawPlace& place) {
      shm::SeriesRecord record{};
      record.created_unix_ns = 1;
      record.family = family;
      record.first_cell = fields.process_cells > 0 ? place.first_process_cell : place.first_thread_cell;
      std::string bytes(reinterpret_cast<const char*>(&record), sizeof record);
      for (const std::string_view value : values) append_length(bytes, value.size());
      for (const std::string_view value : values) bytes.append(value);
      return bytes;
    });
  }
  /// A record of a kind that nobody knows; the body means nothing to us.
  RawPlace unknown(std::uint32_t kind, const RawFields& fields, std::string_view body) {
    return append(static_cast<shm::RecordKind>(kind), fields,
                  [&](const RawPlace&) { return std::string(sizeof(shm::RecordHead), '\0').append(body); });
  }

 private:
  static void append_length(std::string& bytes, std::size_t size) {
    const auto length = static_cast<std::uint16_t>(size);
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
  }
  // To the end of the log; a defect is stepped over.
  void follow() {
    while (parser_.entries() < opened_.geometry.index_entries()) {
      const auto place = shm::IndexEntry::of(view_.index(parser_.entries()).load_acquire());
      if (place.word() == 0) return;
      parser_.next({view_.directory_bytes() + place.offset, place.length});
    }
  }
  // Every registered series has a home in the spill before an entry names it.
  void take_spill(std::uint32_t slot, std::uint64_t offset, std::uint32_t end) {
    if (end == 0) return;
    const std::uint32_t cells = shm::cells_to_hold(end - 1, opened_.geometry);
    if (fallocate(opened_.file.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(cells) * 8) != 0) {
      throw std::runtime_error("fallocate");
    }
    view_.slot(slot).cells_allocated.raise_to_release(cells);
  }
  template <typename Encode>
  RawPlace append(shm::RecordKind kind, const RawFields& fields, Encode encode) {
    for (;;) {
      follow();
      const RawPlace place{parser_.entries(), parser_.cells().thread_cells, parser_.cells().process_cells};
      std::string record = encode(place);
      shm::seal(record, kind,
                {place.first_thread_cell + fields.thread_cells, place.first_process_cell + fields.process_cells});
      const auto length = static_cast<std::uint32_t>(record.size());
      const std::uint64_t room = view_.directory().space.load_relaxed();
      if (room + length > opened_.geometry.directory_bytes) throw std::runtime_error("the directory is full");
      if (!view_.directory().space.exchange_if_equal_release(room, room + length)) continue;
      take_spill(opened_.geometry.spill(), opened_.geometry.spill_cells(),
                 place.first_thread_cell + fields.thread_cells);
      take_spill(opened_.geometry.gauge_spill(), opened_.geometry.gauge_spill_cells(),
                 place.first_process_cell + fields.process_cells);
      std::memcpy(view_.directory_bytes() + room, record.data(), length);
      const shm::IndexEntry entry{static_cast<std::uint32_t>(room), length};
      if (view_.index(place.entry).exchange_if_equal_release(0, entry.word())) return place;
    }
  }

  shm::OpenedSegment opened_;
  shm::SegmentView view_;
  shm::DirectoryParser parser_;
};

}  // namespace shmetrics::tests
