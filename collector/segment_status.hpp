// The state of a segment at one read: plain data, and a pure function that makes it.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shmetrics::collector {

class SnapshotReader;

/// One of a fixed list of reasons, and how often it was met since the segment exists.
struct ReasonCount {
  std::string_view reason;  // a label value of the self metrics; lives as long as the program
  std::uint64_t count = 0;
};
/// Once so many are listed, further families of the segment are added up: each of 32,768 may have six.
inline constexpr std::size_t kMostOverflows = 1000;
inline constexpr std::string_view kOtherFamilies = "(others)";  // their name, which no family can have

/// Label sets of a family that share its overflow series, for one reason.
struct FamilyOverflow {
  std::string family;
  ReasonCount refused;
};

/// The state of a segment at one scrape; the self metrics are made of it.
struct SegmentStatus {
  std::string segment;  // its name, empty when it has none
  bool up = false;
  std::string problem;   // one line, empty when up: what is wrong and what to do
  bool ran_out = false;  // it is not up because its ReadShare was too small
  std::string notice;    // one line, for a log: up, but something is odd; mostly empty
  std::string id;        // of the segment, 32 hex digits
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
  std::vector<ReasonCount> exemplars_dropped;     // not_declared invalid too_long no_slot
  std::vector<ReasonCount> updates_dropped;       // series_limit no_entry refused_family no_memory busy
  std::vector<ReasonCount> values_refused;        // nan infinite negative
  std::vector<FamilyOverflow> series_overflow;    // by family, then reason; none that is 0
  std::vector<std::pair<std::string, std::uint64_t>> family_generations;  // families that have more than one
  std::uint64_t torn_reads = 0;                                           // over the life of this Scraper
  std::uint64_t quarantined_families = 0, quarantined_series = 0, quarantined_slots = 0, quarantined_workers = 0;
  std::uint64_t foreign_locks = 0;  // read locks on the lock bytes, which no worker takes; seen up to kLockPause later
  std::uint64_t birth_unix_ns = 0;  // of the file, as the file system has it; 0: it does not tell
  std::uint64_t newer_records = 0;  // among the quarantined: written by a newer release, and sound

  std::uint64_t quarantined() const {
    return quarantined_families + quarantined_series + quarantined_slots + quarantined_workers;
  }
};

/// Of the reader's last read(), which must have succeeded. Throws std::bad_alloc only.
SegmentStatus status_of(const SnapshotReader& reader);

}  // namespace shmetrics::collector
