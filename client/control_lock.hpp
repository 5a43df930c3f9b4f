// The one in-process lock. Held for every registration and every window in which a lock descriptor is open, so that
// fork, which takes it first, falls between them. Never held on the update path; never waited for without a deadline.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <new>
#include <thread>

namespace shmetrics::detail {

using Clock = std::chrono::steady_clock;

/// How long to wait: `idle` for a holder that gets nowhere, `total` in all. Registering 100 label sets in each of 8 new
/// processes at once sent 504 of 800 to the overflow series when the whole wait was 1 ms, though everybody made
/// progress (docs/architecture.md).
struct Patience {
  std::chrono::milliseconds idle;
  std::chrono::milliseconds total;
};
inline constexpr Patience kDeclarePatience{std::chrono::milliseconds(100), std::chrono::milliseconds(100)};
inline constexpr Patience kUpdatePatience{std::chrono::milliseconds(1), std::chrono::milliseconds(20)};

/// The deadline of one registration, for both of its locks.
class Deadline {
 public:
  explicit Deadline(Patience patience) : idle_(patience.idle), end_(Clock::now() + patience.total) { rest(); }

  /// Somebody got ahead: the idle time starts anew.
  void rest() { idle_end_ = Clock::now() + idle_; }
  bool is_over() const {
    const auto now = Clock::now();
    return now >= end_ || now >= idle_end_;
  }

 private:
  std::chrono::milliseconds idle_;
  Clock::time_point end_;
  Clock::time_point idle_end_;
};

/// Tries again with short pauses until `attempt` succeeds or the deadline is over; `progress` is a number that changes
/// as others get ahead.
template <typename Attempt, typename Progress>
bool wait_until(Deadline& deadline, Attempt attempt, Progress progress) noexcept {
  constexpr auto kPause = std::chrono::microseconds(20);  // what a registration takes
  deadline.rest();                                        // what was done since it was made was progress too
  for (auto seen = progress(); !attempt();) {
    if (const auto now = progress(); now != seen) {
      seen = now;
      deadline.rest();
    }
    if (deadline.is_over()) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

/// A std::mutex that is waited for by trying: std::timed_mutex would do, if the thread sanitizer of GCC 12 knew
/// pthread_mutex_clocklock.
class ControlLock {
 public:
  bool try_lock() noexcept {
    if (!mutex_.try_lock()) return false;
    holders_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  void unlock() noexcept { mutex_.unlock(); }
  bool try_lock_until(Deadline& deadline) noexcept {
    return wait_until(
        deadline, [this] { return try_lock(); }, [this] { return holders_.load(std::memory_order_relaxed); });
  }
  /// In a forked child: whoever held it is not in this process.
  void start_anew() noexcept { new (&mutex_) std::mutex; }

 private:
  std::mutex mutex_;
  std::atomic<unsigned> holders_{0};
};

// A constant-initialised global, not a function's static: a fork in the middle of its making would leave the child
// waiting.
inline constinit ControlLock control_lock;

/// Holds the control lock for a scope, if it was free in time.
class ControlGuard {
 public:
  explicit ControlGuard(Deadline& deadline) noexcept : held_(control_lock.try_lock_until(deadline)) {}
  explicit ControlGuard(std::try_to_lock_t) noexcept : held_(control_lock.try_lock()) {}
  ~ControlGuard() {
    if (held_) control_lock.unlock();
  }
  ControlGuard(const ControlGuard&) = delete;
  ControlGuard& operator=(const ControlGuard&) = delete;
  explicit operator bool() const noexcept { return held_; }

 private:
  bool held_;
};

/// A moment before which something is not tried again.
class Breaker {
 public:
  static constexpr auto kPause = std::chrono::seconds(1);

  bool is_open() const noexcept {
    return Clock::now().time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }
  void open() noexcept { until_.store((Clock::now() + kPause).time_since_epoch().count(), std::memory_order_relaxed); }
  void close() noexcept {
    until_.store(0, std::memory_order_relaxed);
    strikes_.store(0, std::memory_order_relaxed);
  }
  /// Opens at the fifth failure in a row: one may be a holder that the machine has just stopped for a moment.
  void strike() noexcept {
    constexpr int kStrikes = 5;
    if (strikes_.fetch_add(1, std::memory_order_relaxed) + 1 < kStrikes) return;
    strikes_.store(0, std::memory_order_relaxed);
    open();
  }

 private:
  std::atomic<int> strikes_{0};
  std::atomic<Clock::rep> until_{0};
};

}  // namespace shmetrics::detail
