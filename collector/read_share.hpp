// How much time and memory a read of a segment may take, and which files it may read. Plain data.
//
// Threads: any. Failure: none. Lifetime: `is_stopped` must outlive the read.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace shmetrics::collector {

inline constexpr auto kMostReadTime = std::chrono::seconds(5);  // of one read; half of what Prometheus waits

inline constexpr std::uint64_t kMaxPrefixBytes = 256u << 20;  // one record asks for up to a thousand times its own size

/// Asked for each file that is opened: why it must not be read, in one line; empty when it may.
using Admission = std::function<std::string(int file)>;

/// A segment that needs more is not up, and its status says so.
struct ReadShare {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::now() + kMostReadTime;
  std::uint64_t held_bytes = UINT64_MAX;          // of memory that the Scraper holds after it
  std::uint64_t text_bytes = kMaxPrefixBytes;     // of these, the text before numbers; series beyond are left out
  const std::atomic<bool>* is_stopped = nullptr;  // becomes true when the read must end at once
};

}  // namespace shmetrics::collector
