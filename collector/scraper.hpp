// One segment, scraped: what exporter and tools call. It keeps what may be kept between scrapes (the mapping, the
// parsed directory, sorted prefixes) and trusts nothing that it finds.
//
// Not thread-safe: one scrape at a time per Scraper. Reads only; takes no lock; an exporter that stops or dies disturbs
// no worker.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/family_groups.hpp"
#include "collector/reading.hpp"

namespace shmetrics::collector {

/// One of a fixed list of reasons, and how often it was met since the segment exists.
struct ReasonCount {
  std::string_view reason;  // a label value of the self metrics; lives as long as the program
  std::uint64_t count = 0;
};
/// Label sets of a family that share its overflow series, for one reason.
struct FamilyOverflow {
  std::string family;
  ReasonCount refused;
};

/// What a segment says about itself at one scrape; section 8 of the design names the self metrics that are made of it.
struct SegmentStatus {
  std::string segment;  // its name, empty when it has none
  bool up = false;
  std::string problem;  // one line, empty when up: what is wrong and what to do
  std::string notice;   // one line, for a log: up, but something is odd; mostly empty
  std::string id;       // of the segment, 32 hex digits
  std::uint32_t layout_version = 0;
  double created_unix_seconds = 0;
  std::uint64_t workers_live = 0, workers_dead = 0, workers_released = 0, workers_unused = 0;
  std::uint64_t slots_used = 0, slots_free = 0;
  std::uint64_t families = 0, series = 0;
  std::uint64_t cells_used = 0, cells_limit = 0;
  std::uint64_t directory_used_bytes = 0, directory_limit_bytes = 0;
  std::uint64_t worker_deaths = 0;
  // Each has all of its reasons, zeros too, in a fixed order.
  std::vector<ReasonCount> declarations_refused;  // rule other_type schemas same_process newer_release directory
                                                  // no_memory busy
  std::vector<ReasonCount> updates_dropped;       // series_limit no_entry refused_family no_memory busy
  std::vector<ReasonCount> values_refused;        // nan infinite negative
  std::vector<FamilyOverflow> series_overflow;    // by family, then reason; none that is 0
  std::vector<std::pair<std::string, std::uint64_t>> family_generations;  // families that have more than one
  std::uint64_t torn_reads = 0;                                           // over the life of this Scraper
  std::uint64_t quarantined_families = 0, quarantined_series = 0, quarantined_slots = 0, quarantined_workers = 0;
  std::uint64_t newer_records = 0;  // among the quarantined: written by a newer release, and sound
};

/// The client's default path: $SHMETRICS_SEGMENT if it is set and not empty, else /dev/shm/shmetrics.seg.
std::string default_path();

/// Whether a segment can have this name: it becomes a label value. Empty means no name.
bool is_segment_name(std::string_view name);

class Scraper {
 public:
  /// With a name, every series gets the label `segment` before all others.
  explicit Scraper(std::string path, std::string segment = {});
  ~Scraper();
  Scraper(Scraper&&) noexcept;
  Scraper& operator=(Scraper&&) noexcept;

  /// Reads the segment and appends its families to `text` in Prometheus text format 0.0.4, sorted by name. A segment
  /// that is missing or unusable appends nothing and says so in the status: no error, it may come. Throws
  /// std::bad_alloc only.
  SegmentStatus scrape(std::string& text);

  /// The same in two steps. read() looks at the segment; the others speak of what the last read() saw, and are empty
  /// when it was not up. `wanted` picks families by name; without it all are taken. Throws std::bad_alloc only.
  using Wanted = std::function<bool(std::string_view)>;
  SegmentStatus read();
  void render(std::string& text, const Wanted& wanted = {}) const;
  std::vector<Family> families(const Wanted& wanted = {}) const;
  std::vector<WorkerRow> workers() const;
  /// Whether a process, whose /proc/PID/maps (proc(5)) these are, is the one that has the worker's entry: it has mapped
  /// a slot of the entry's owner for writing, which nobody else has while that lives. A pid proves nothing.
  bool is_owner(std::uint32_t worker, std::istream& maps) const;

  /// What the last read() saw, for a format that takes several segments together. Valid until the next read() or the
  /// end of this Scraper.
  SegmentView view() const;

  const std::string& path() const;
  const std::string& segment() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shmetrics::collector
