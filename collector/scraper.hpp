// One segment, scraped: what exporter and tools call. It keeps what may be kept between scrapes (the mapping, the
// parsed directory, sorted prefixes) and trusts nothing that it finds.
//
// Reads only; takes no lock; an exporter that stops or dies disturbs no worker.
//
// Threads: one thread for each Scraper. Failure: std::bad_alloc alone; a segment that cannot be read is a status.
// Lifetime: a view is valid until the next read().
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "collector/family_groups.hpp"
#include "collector/read_share.hpp"
#include "collector/segment_status.hpp"
#include "collector/worker_row.hpp"

namespace shmetrics::collector {

/// The client's default path, of the user that this program runs as: shm::default_path().
std::string default_path();

/// Throws shm::Error where no segment can be opened, because memory has larger pages: shm::check_pages().
void check_pages();

/// Whether a segment can have this name: it becomes a label value. Empty means no name.
bool is_segment_name(std::string_view name);

class Scraper {
 public:
  /// With a name, every series gets the label `segment` before all others. Files that are not admitted are not up.
  explicit Scraper(std::string path, std::string segment = {}, Admission admission = {});
  /// Looks by a reader that was made in another way.
  explicit Scraper(std::unique_ptr<SnapshotReader> reader);
  ~Scraper();
  Scraper(Scraper&&) noexcept;
  Scraper& operator=(Scraper&&) noexcept;

  /// Looks at the segment. One that is missing or unusable says so in its status: no error, it may come. Throws
  /// std::bad_alloc only.
  SegmentStatus read(const ReadShare& share = {});

  /// The last read(); without families if the segment was not up. Valid until the next read() or the end of this
  /// Scraper.
  ScrapedSegment view() const;
  std::vector<WorkerRow> workers() const;
  /// Whether a process, whose /proc/PID/maps (proc(5)) these are, is the one that has the worker's entry: it has mapped
  /// a slot of the entry's owner for writing, which nobody else has while that lives. A pid proves nothing.
  bool is_owner(std::uint32_t worker, std::istream& maps) const;

  /// Whether workers live in the file that was read last; also after its path has gone.
  bool has_workers() const;
  /// Until the next read(), view() and workers() have nothing, and it keeps nothing.
  void hide();

  /// read(), and all families appended in text format 0.0.4.
  SegmentStatus scrape(std::string& text);

  /// What it keeps in memory, roughly.
  std::uint64_t held_bytes() const;

  const std::string& path() const;
  const std::string& segment() const;

 private:
  std::unique_ptr<SnapshotReader> reader_;
  bool is_up_ = false;
};

}  // namespace shmetrics::collector
