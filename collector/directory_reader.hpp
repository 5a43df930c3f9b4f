// Follows the directory of one segment: steps over the entries that have come and takes their records into a catalog.
// Part of the snapshot: it sees shared memory, under the caller's guard.
//
// Threads: one thread. Failure: std::bad_alloc alone; a bad entry is counted. Lifetime: the mapping must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "collector/catalog.hpp"
#include "collector/mapped_segment.hpp"
#include "collector/sigbus_guard.hpp"

namespace shmetrics::collector {

class DirectoryReader {
 public:
  DirectoryReader(const shm::Geometry& geometry, const std::string& segment) : catalog_(geometry, segment) {}

  enum class Outcome {
    kRead,
    kStopped,   // `goes_on` said no, asked now and then: the next call goes on where this one ended
    kReplaced,  // the last known entry names something else: another log has taken the place of this one. Or what lay
                // in a hole can be read now: start anew
    kDamaged,   // as the guard says
  };
  using GoesOn = std::function<bool()>;
  Outcome follow(const MappedSegment& mapped, const SigbusGuard& guard, const GoesOn& goes_on);

  const Catalog& catalog() const { return catalog_; }
  void limit_text(std::uint64_t most_bytes) { catalog_.limit_text(most_bytes); }
  /// The records add up to more bytes than the heap has, so the rest is left out. A correct index never does that.
  bool is_cut() const { return is_cut_; }
  /// What it keeps in memory, roughly.
  std::uint64_t held_bytes() const { return catalog_.held_bytes(); }

 private:
  bool is_same_log(const MappedSegment& mapped) const;
  bool is_hole_filled(const MappedSegment& mapped) const;
  std::size_t copy_index(const MappedSegment& mapped);
  void take(std::uint64_t word, const MappedSegment& mapped);

  Catalog catalog_;
  std::vector<std::uint64_t> batch_;       // entries of the index that are being taken in
  std::uint64_t last_ = 0;                 // that was taken in
  std::vector<std::uint64_t> record_;      // a private copy
  std::uint64_t record_bytes_ = 0;         // of all so far
  std::vector<shm::IndexEntry> in_holes_;  // records that were skipped for that, the first few
  bool is_cut_ = false;
};

}  // namespace shmetrics::collector
