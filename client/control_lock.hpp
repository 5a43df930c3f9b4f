// The one in-process lock. Held for every registration and every window in which a lock descriptor is open, so that
// fork, which takes it first, falls between them. Never held on the update path; never waited for without a deadline.
#pragma once

#include <chrono>
#include <mutex>
#include <new>
#include <thread>

namespace shmetrics::detail {

/// A std::mutex that is waited for by trying: std::timed_mutex would do, if the thread sanitizer of GCC 12 knew
/// pthread_mutex_clocklock. Works with std::unique_lock.
class ControlLock {
 public:
  bool try_lock() noexcept { return mutex_.try_lock(); }
  void unlock() noexcept { mutex_.unlock(); }

  bool try_lock_until(std::chrono::steady_clock::time_point deadline) noexcept {
    constexpr auto kPause = std::chrono::microseconds(50);  // a registration takes some 20
    while (!mutex_.try_lock()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::sleep_for(kPause);
    }
    return true;
  }
  bool try_lock_for(std::chrono::milliseconds patience) noexcept {
    return try_lock_until(std::chrono::steady_clock::now() + patience);
  }
  /// In a forked child: whoever held it is not in this process.
  void start_anew() noexcept { new (&mutex_) std::mutex; }

 private:
  std::mutex mutex_;
};

ControlLock& control_lock();

}  // namespace shmetrics::detail
