// Token buckets: who may do what how often. Of one worker; with N workers a client may do N times as much.
// Threads: any.
#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "examples/mastercrm/catalogue.hpp"

namespace mastercrm {

struct Limit {
  std::string_view type;      // whom it is for: ip, company
  std::string_view resource;  // what it is about
  double per_second, burst;
};

class RateLimiter {
 public:
  explicit RateLimiter(const Catalogue& metrics) : metrics_(metrics) {}

  /// Whether `who` may do it once more now.
  bool allows(const Limit& limit, std::string_view who) {
    const bool allowed = take(limit, who);
    metrics_.rate_limit_checks.with(limit.type, allowed ? "allowed" : "rejected").inc();
    if (!allowed) metrics_.rate_limit_rejections.with(limit.type, limit.resource).inc();
    return allowed;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMostBuckets = 100'000;
  struct Bucket {
    double tokens;
    Clock::time_point filled;
  };

  bool take(const Limit& limit, std::string_view who) {
    const auto now = Clock::now();
    const std::lock_guard lock(mutex_);
    if (buckets_.size() > kMostBuckets) buckets_.clear();  // everybody starts anew: memory stays bounded
    auto key = std::string(limit.type).append("/").append(limit.resource).append("/").append(who);
    auto& bucket = buckets_.try_emplace(std::move(key), Bucket{limit.burst, now}).first->second;
    const std::chrono::duration<double> passed = now - bucket.filled;
    bucket = {std::min(limit.burst, bucket.tokens + passed.count() * limit.per_second), now};
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  const Catalogue& metrics_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace mastercrm
