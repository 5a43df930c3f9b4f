// In what order the segments are read, and how much time and memory each may take. All together have one deadline and
// one budget of bytes, so that no file costs another segment's scrape.
//
// Each is given an equal part of what is left when its turn comes. One that needs more is read again behind all
// others, with what they have left over; if that is not enough either, it is not up. While others would wait for it, it
// is then not read for a second, after the next time for two, and so on up to a minute.
//
// Threads: one thread. Failure: std::bad_alloc alone. Lifetime: a call keeps nothing but the pauses of the segments.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <vector>

#include "collector/read_share.hpp"
#include "exporter/scrape/segment_set.hpp"

namespace shmetrics::exporter {

/// Of what the segments keep between scrapes: the text before numbers, or as much as a response may have where that is
/// more; and what was parsed of them.
inline constexpr std::uint64_t kMostTextBytes = 64u << 20;
inline constexpr std::uint64_t kMostParsedBytes = 96u << 20;
inline constexpr std::chrono::seconds kMostPause{60};

struct ReadBudget {
  std::chrono::milliseconds time = collector::kMostReadTime;
  std::uint64_t text_bytes = kMostTextBytes;
  std::uint64_t held_bytes = text_bytes + kMostParsedBytes;
  const std::atomic<bool>* is_stopped = nullptr;  // true, at any time: there is no time left
};

/// Reads all of them. The statuses are in the order of the segments.
std::vector<collector::SegmentStatus> read_in_turn(std::list<FollowedSegment>& segments, const ReadBudget& budget);

}  // namespace shmetrics::exporter
