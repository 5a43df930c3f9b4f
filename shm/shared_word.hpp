// The only type that touches words which another process may touch at the same time.
//
// Eight bytes, naturally aligned, lock-free; the memory order stands in the name of each operation, so that a call site
// reads as what it is. Wider atomics fault on a read-only mapping, narrower ones are not needed.
//
// Threads: any, and other processes. Failure: none. Lifetime: that of the mapping; never made or destroyed in one.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

namespace shmetrics::shm {

#if defined(SHMETRICS_SIMULATED)
/// tests/simulation alone: every access is a point at which another worker may go on, or this one be killed.
void simulated_step(const void* word) noexcept;
#else
constexpr void simulated_step(const void*) noexcept {}
#endif

class SharedWord {
 public:
  SharedWord() = default;
  SharedWord(const SharedWord&) = delete;
  SharedWord& operator=(const SharedWord&) = delete;

  std::uint64_t load_relaxed() const noexcept { return stepped().load(std::memory_order_relaxed); }
  std::uint64_t load_acquire() const noexcept { return stepped().load(std::memory_order_acquire); }
  void store_relaxed(std::uint64_t value) noexcept { stepped().store(value, std::memory_order_relaxed); }
  void store_release(std::uint64_t value) noexcept { stepped().store(value, std::memory_order_release); }
  void add_relaxed(std::uint64_t n) noexcept { stepped().fetch_add(n, std::memory_order_relaxed); }

  bool exchange_if_equal_acq_rel(std::uint64_t expected, std::uint64_t desired) noexcept {
    return stepped().compare_exchange_strong(expected, desired, std::memory_order_acq_rel, std::memory_order_relaxed);
  }
  /// The same, to publish: a thread that reads `desired` by an acquire sees everything that was written before.
  bool exchange_if_equal_release(std::uint64_t expected, std::uint64_t desired) noexcept {
    return stepped().compare_exchange_strong(expected, desired, std::memory_order_release, std::memory_order_relaxed);
  }
  /// Replaces the word by change(word), again until no other process came between.
  template <typename Change>
  void update_relaxed(Change change) noexcept {
    std::uint64_t seen = load_relaxed();
    while (!stepped().compare_exchange_weak(seen, change(seen), std::memory_order_relaxed)) {
    }
  }
  void raise_to_release(std::uint64_t value) noexcept {
    std::uint64_t seen = load_relaxed();
    while (seen < value &&
           !stepped().compare_exchange_weak(seen, value, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }
  void add_double_relaxed(double n) noexcept {
    update_relaxed([n](std::uint64_t bits) { return std::bit_cast<std::uint64_t>(std::bit_cast<double>(bits) + n); });
  }

  double load_double_relaxed() const noexcept { return std::bit_cast<double>(load_relaxed()); }
  void store_double_relaxed(double value) noexcept { store_relaxed(std::bit_cast<std::uint64_t>(value)); }

 private:
  std::atomic<std::uint64_t>& stepped() noexcept {
    simulated_step(this);
    return word_;
  }
  const std::atomic<std::uint64_t>& stepped() const noexcept {
    simulated_step(this);
    return word_;
  }

  std::atomic<std::uint64_t> word_;
};

static_assert(sizeof(SharedWord) == 8 && alignof(SharedWord) == 8);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace shmetrics::shm
