#include "collector/scraper.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <istream>
#include <optional>
#include <span>

#include "collector/render.hpp"
#include "collector/snapshot.hpp"
#include "shm/naming.hpp"
#include "shm/segment.hpp"

namespace shmetrics::collector {
namespace {

constexpr std::size_t kMostMapBytes = 1 << 20;  // some ten thousand mappings

/// A shared mapping for writing, as a line of /proc/PID/maps has it.
struct WritableMapping {
  std::uint64_t offset = 0, bytes = 0;
  shm::FileId file;
};
std::optional<WritableMapping> parse_mapping(const std::string& line) {
  std::uint64_t begin = 0, end = 0, offset = 0, inode = 0;
  unsigned device_major = 0, device_minor = 0;
  char access[5] = "";
  const int found = std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &begin, &end,
                                access, &offset, &device_major, &device_minor, &inode);
  if (found != 7 || access[1] != 'w' || access[3] != 's') return std::nullopt;
  return WritableMapping{offset, end - begin, {makedev(device_major, device_minor), inode}};
}

}  // namespace

std::string default_path() {
  return shm::default_path();
}

void check_pages() {
  shm::check_pages();
}

bool is_segment_name(std::string_view name) {
  return !name.empty() && shm::is_valid_label_value(name);
}

Scraper::Scraper(std::string path, std::string segment, Admission admission)
    : reader_(std::make_unique<SnapshotReader>(std::move(path), std::move(segment), std::move(admission))) {}
Scraper::Scraper(std::unique_ptr<SnapshotReader> reader) : reader_(std::move(reader)) {}
Scraper::~Scraper() = default;
Scraper::Scraper(Scraper&&) noexcept = default;
Scraper& Scraper::operator=(Scraper&&) noexcept = default;

const std::string& Scraper::path() const {
  return reader_->path();
}

const std::string& Scraper::segment() const {
  return reader_->segment();
}

std::uint64_t Scraper::held_bytes() const {
  return reader_->held_bytes();
}

SegmentStatus Scraper::read(const ReadShare& share) {
  is_up_ = false;
  try {
    reader_->read(share);
    SegmentStatus status = status_of(*reader_);
    is_up_ = true;
    return status;
  } catch (const shm::Error& error) {
    SegmentStatus status;
    status.segment = reader_->segment();
    status.problem = error.what();
    status.ran_out = dynamic_cast<const RanOut*>(&error) != nullptr;
    return status;
  }
}

ScrapedSegment Scraper::view() const {
  if (!is_up_) return {};
  return {reader_->catalog().families(), &reader_->snapshot().totals, reader_->catalog().entries()};
}

bool Scraper::has_workers() const {
  return reader_->has_workers();
}

void Scraper::hide() {
  is_up_ = false;
  reader_->forget();
}

SegmentStatus Scraper::scrape(std::string& text) {
  SegmentStatus status = read();
  TextOutput out(text);
  FamilyGroups(view()).for_each({}, [&](std::span<const FamilyPart> parts) { render_text(parts, out); });
  return status;
}

bool Scraper::is_owner(std::uint32_t worker, std::istream& maps) const {
  if (!is_up_ || worker >= reader_->snapshot().workers.size()) return false;
  const Snapshot& snapshot = reader_->snapshot();
  const shm::Geometry& geometry = reader_->geometry();
  std::vector<std::uint64_t> slots{geometry.process_slot(worker)};
  for (std::uint32_t i = 0; i < snapshot.owners.size(); ++i) {
    if (owner_of(snapshot, snapshot.owners[i]) == &snapshot.workers[worker]) slots.push_back(geometry.thread_slot(i));
  }
  std::size_t read = 0;
  for (std::string line; read < kMostMapBytes && std::getline(maps, line); read += line.size()) {
    const auto mapping = parse_mapping(line);
    if (!mapping || mapping->file != reader_->file_id()) continue;
    const auto is_in = [&](std::uint64_t slot) { return slot - mapping->offset < mapping->bytes; };
    if (std::any_of(slots.begin(), slots.end(), is_in)) return true;
  }
  return false;
}

std::vector<WorkerRow> Scraper::workers() const {
  return is_up_ ? worker_rows(reader_->snapshot()) : std::vector<WorkerRow>();
}

}  // namespace shmetrics::collector
