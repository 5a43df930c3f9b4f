// The one in-process lock. Held for every registration and every window in which a lock descriptor is open, so that
// fork, which takes it first, falls between them. Never held on the update path; never waited for without a deadline.
//
// Threads: any. Failure: by result, after the deadline. Lifetime: the lock lives as long as the process, and begins
// anew in a child.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <new>
#include <thread>

namespace shmetrics::detail {

using Clock = std::chrono::steady_clock;

/// How long a registration waits for this lock. Its holder waits for no process, so a late holder was off the processor
/// all the time.
inline constexpr auto kPatience = std::chrono::milliseconds(100);

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds patience = kPatience) : end_(Clock::now() + patience) {}
  bool is_over() const { return Clock::now() >= end_; }

 private:
  Clock::time_point end_;
};

/// A std::mutex that is waited for by trying: std::timed_mutex would do, if the thread sanitizer of GCC 12 knew
/// pthread_mutex_clocklock.
class ControlLock {
 public:
  bool try_lock() noexcept { return mutex_.try_lock(); }
  void unlock() noexcept {
    holder_.fetch_add(1, std::memory_order_relaxed);
    mutex_.unlock();
  }
  bool try_lock_until(const Deadline& deadline) noexcept {
    constexpr auto kPause = std::chrono::microseconds(20);  // a few registrations
    const std::uint64_t first = holder_.load(std::memory_order_relaxed);
    while (!try_lock()) {
      const std::uint64_t holder = holder_.load(std::memory_order_relaxed);
      // Another thread has already waited for this holder in vain: this one does not wait again.
      if (late_holder_.load(std::memory_order_relaxed) == holder) return false;
      if (deadline.is_over()) {
        if (holder == first) late_holder_.store(holder, std::memory_order_relaxed);
        return false;
      }
      std::this_thread::sleep_for(kPause);
    }
    return true;
  }
  /// In a forked child: its holder, if any, is a thread of the parent.
  void start_anew() noexcept {
    new (&mutex_) std::mutex;
    holder_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> holder_{1};       // a number for each
  std::atomic<std::uint64_t> late_holder_{0};  // the last that kept somebody waiting to the end
};

// A constant-initialised global, not a function's static: a fork in the middle of its making would leave the child
// waiting.
inline constinit ControlLock control_lock;

/// Holds the control lock for a scope, if it was free in time.
class ControlGuard {
 public:
  explicit ControlGuard(const Deadline& deadline) noexcept : held_(control_lock.try_lock_until(deadline)) {}
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
  void close() noexcept { until_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<Clock::rep> until_{0};
};

}  // namespace shmetrics::detail
