// `rate_limit` of the web configuration: a bucket of so many requests, which gets one back each interval.
//
// Threads: the io thread. Failure: none. Lifetime: a bucket lives as long as the server, and outlasts reloads of the
// limit.
#pragma once

#include <chrono>
#include <optional>

namespace shmetrics::exporter {

struct RateLimit {
  std::chrono::milliseconds interval{0};  // 0: there is no limit
  int burst = 0;                          // at most so many at once, and after a pause
};

/// For all clients together, as the toolkit has it. Full at the start.
class RateBucket {
 public:
  using Clock = std::chrono::steady_clock;

  /// Takes one request out. Nothing: it may be answered. Else how long until the next one may.
  std::optional<std::chrono::milliseconds> wait_for(const RateLimit& limit, Clock::time_point now);

 private:
  // In milliseconds the longest interval times the largest burst is still a number.
  std::chrono::time_point<Clock, std::chrono::milliseconds> full_at_{};  // when it would be full again, if nobody came
};

}  // namespace shmetrics::exporter
