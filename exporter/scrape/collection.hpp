// The parts of a scrape: the families of all segments, then the self metrics.
//
// Threads: one thread; stop() any. Failure: std::bad_alloc alone. Lifetime: that of the program; a text is the
// caller's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collector/family_groups.hpp"
#include "collector/openmetrics.hpp"
#include "exporter/request/scrape_query.hpp"
#include "exporter/scrape/process_metrics.hpp"
#include "exporter/scrape/segment_set.hpp"
#include "exporter/scrape/self_metrics.hpp"

namespace shmetrics::exporter {

struct CollectionOptions {
  bool exporter_metrics = true;
  bool worker_processes = false;
  SegmentOwners owners = {};  // whose segments are read, beside those of this user and of root
  collector::Created created = collector::Created::kNo;  // OpenMetrics alone
  std::size_t max_bytes = collector::kMaxTextBytes;      // of the families, as text; series beyond are left out
};

class Collection {
 public:
  explicit Collection(std::vector<SegmentSpec> segments, CollectionOptions options = {});

  /// Looks at all segments, and logs what has changed. Takes little more than collector::kMostReadTime, whatever they
  /// hold. Throws std::bad_alloc only.
  void read();
  /// A read() that is under way, and all that follow, end soon. From any thread.
  void stop() { is_stopped_ = true; }

  /// The last read() as the query wants it. If it wants gzip, each piece of text is compressed as it is made, and the
  /// whole text never exists. Equal queries with equal counts get the same text, except the duration. Empty if no
  /// segment has the name that the query asks for. Throws std::bad_alloc only.
  std::string render(const ScrapeQuery& query, const RequestCounts& counts);

 private:
  /// False, as the next: no segment has the name that the query asks for. `left_out`: series of each segment.
  bool render(const ScrapeQuery& query, const RequestCounts& counts, std::string& body,
              std::vector<std::uint64_t>& left_out);
  bool write(const ScrapeQuery& query, const RequestCounts& counts, collector::TextOutput& out);
  bool write_snapshot(const std::string& segment, collector::TextOutput& out);
  void write_families(const ScrapeQuery& query, collector::TextOutput& out);
  void log_left_out(std::span<const std::uint64_t> of_segments);
  void rank();

  CollectionOptions options_;
  SegmentSet segments_;
  std::uint64_t next_rank_ = 0;
  std::atomic<bool> is_stopped_ = false;
  std::vector<collector::SegmentStatus> statuses_;
  std::vector<WorkerProcesses> workers_;             // of each segment
  std::optional<collector::FamilyGroups> families_;  // views into the scrapers of segments_
  ProcessStatus process_;
  std::chrono::duration<double> read_time_{};
  std::size_t expected_bytes_ = 0;
  bool is_crowded_ = false;  // the segments want more than max_bytes: each gets a share
  LogThrottle throttle_;
};

}  // namespace shmetrics::exporter
