// Stands in for shm/shared_word.hpp, which it comes before on the include path: the same operations by the same names,
// carried out by the explorer. So the code of the project runs as it is; a word of it is an address, and no memory.
#pragma once

#include <bit>
#include <cstdint>

#include "tests/model/litmus/explorer.hpp"

namespace shmetrics::shm {

class SharedWord {
 public:
  using Site = litmus::Site;
  using Order = std::memory_order;

  SharedWord() = default;
  SharedWord(const SharedWord&) = delete;
  SharedWord& operator=(const SharedWord&) = delete;

  std::uint64_t load_relaxed() const noexcept { return litmus::load(this, Order::relaxed, {}); }
  std::uint64_t load_acquire(Site site = Site::current()) const noexcept {
    return litmus::load(this, Order::acquire, site);
  }
  void store_relaxed(std::uint64_t value) noexcept { litmus::store(this, value, Order::relaxed, {}); }
  void store_release(std::uint64_t value, Site site = Site::current()) noexcept {
    litmus::store(this, value, Order::release, site);
  }
  void add_relaxed(std::uint64_t n) noexcept {
    update_relaxed([n](std::uint64_t seen) { return seen + n; });
  }
  bool exchange_if_equal_acq_rel(std::uint64_t expected, std::uint64_t desired, Site site = Site::current()) noexcept {
    return litmus::exchange_if_equal(this, expected, desired, Order::acq_rel, site);
  }
  bool exchange_if_equal_release(std::uint64_t expected, std::uint64_t desired, Site site = Site::current()) noexcept {
    return litmus::exchange_if_equal(this, expected, desired, Order::release, site);
  }
  template <typename Change>
  void update_relaxed(Change change) noexcept {
    std::uint64_t seen = load_relaxed();
    while (!litmus::exchange_if_equal(this, seen, change(seen), Order::relaxed, {})) seen = load_relaxed();
  }
  void raise_to_release(std::uint64_t value, Site site = Site::current()) noexcept {
    std::uint64_t seen = load_relaxed();
    while (seen < value && !litmus::exchange_if_equal(this, seen, value, Order::release, site)) seen = load_relaxed();
  }
  void add_double_relaxed(double n) noexcept {
    update_relaxed([n](std::uint64_t bits) { return std::bit_cast<std::uint64_t>(std::bit_cast<double>(bits) + n); });
  }
  double load_double_relaxed() const noexcept { return std::bit_cast<double>(load_relaxed()); }
  void store_double_relaxed(double value) noexcept { store_relaxed(std::bit_cast<std::uint64_t>(value)); }

 private:
  std::uint64_t unused_;
};
static_assert(sizeof(SharedWord) == 8);

}  // namespace shmetrics::shm

// The fences of that code.
namespace std {
inline void litmus_fence(memory_order order, litmus::Site site = litmus::Site::current()) noexcept {
  litmus::fence(order, site);
}
}  // namespace std
#define atomic_thread_fence litmus_fence
