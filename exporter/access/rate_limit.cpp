#include "exporter/access/rate_limit.hpp"

#include <algorithm>

namespace shmetrics::exporter {

using std::chrono::milliseconds;

std::optional<milliseconds> RateBucket::wait_for(const RateLimit& limit, Clock::time_point time) {
  if (limit.interval.count() == 0) return std::nullopt;
  const auto now = std::chrono::floor<milliseconds>(time);
  // No less than full, and no more missing than it holds: a reload may have made it smaller.
  full_at_ = std::clamp(full_at_, now, now + limit.interval * limit.burst);
  const auto room = limit.interval * (limit.burst - 1);
  if (full_at_ - now > room) return full_at_ - now - room;
  full_at_ += limit.interval;
  return std::nullopt;
}

}  // namespace shmetrics::exporter
