// One segment, scraped: what exporter and tools call. It keeps what may be kept between scrapes (the mapping, the parsed
// directory, sorted prefixes) and trusts nothing that it finds.
//
// Not thread-safe: one scrape at a time per Scraper. Reads only; takes no lock; an exporter that stops or dies disturbs no worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace shmetrics::collector {

/// What a segment says about itself at one scrape; section 8 of the design names the self metrics that are made of it.
struct SegmentStatus {
  bool up = false;
  std::string problem;  // one line, empty when up: what is wrong and what to do
  double created_unix_seconds = 0;
  std::uint64_t workers_live = 0, workers_dead = 0, workers_released = 0, workers_unused = 0;
  std::uint64_t slots_used = 0, slots_free = 0;
  std::uint64_t families = 0, series = 0;
  std::uint64_t cells_used = 0, cells_limit = 0;
  std::uint64_t directory_used_bytes = 0, directory_limit_bytes = 0;
  std::uint64_t worker_deaths = 0;
  std::uint64_t dropped_series_limit = 0, dropped_no_entry = 0;
  std::uint64_t refused_nan = 0, refused_infinite = 0, refused_negative = 0;
  std::vector<std::pair<std::string, std::uint64_t>> series_overflow;  // family -> refused label sets
  std::uint64_t torn_reads = 0;                                        // over the life of this Scraper
  std::uint64_t quarantined_families = 0, quarantined_series = 0, quarantined_slots = 0, quarantined_workers = 0;
};

class Scraper {
 public:
  explicit Scraper(std::string path);
  ~Scraper();
  Scraper(Scraper&&) noexcept;
  Scraper& operator=(Scraper&&) noexcept;

  /// Reads the segment and appends its families to `text` in Prometheus text format 0.0.4, sorted by name. A segment that is missing or
  /// unusable appends nothing and says so in the status: no error, it may come. Throws std::bad_alloc only.
  SegmentStatus scrape(std::string& text);

  const std::string& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shmetrics::collector
