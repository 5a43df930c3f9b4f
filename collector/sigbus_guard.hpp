// Reads a mapping whose file may be truncated meanwhile: a SIGBUS inside the guarded range becomes a flag, and does not
// end the process.
//
// The handler is installed once, for the process, by the first guard of a range: this is for programs of ours. A
// library within somebody's program guards nothing. The handler maps a zero page over the address and returns (no
// longjmp: it would skip destructors). Any other SIGBUS goes to the handler that was there before. After damage the
// mapping holds foreign zeros: throw it away, and everything that was copied from it.
//
// Threads: a guard is its thread's. Failure: none; damage is a flag. Lifetime: the innermost guard ends first.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace shmetrics::collector {

/// Guards one range in the calling thread, for the guard's lifetime, and unblocks SIGBUS there. Guards nest.
class SigbusGuard {
 public:
  SigbusGuard(const void* begin, std::size_t bytes);
  /// Guards nothing and installs nothing.
  SigbusGuard() : SigbusGuard(nullptr, 0) {}
  ~SigbusGuard();
  SigbusGuard(const SigbusGuard&) = delete;
  SigbusGuard& operator=(const SigbusGuard&) = delete;

  /// Whether a page was missing so far. Ask often: copying on through thousands of missing pages costs a fault each.
  bool is_damaged() const noexcept { return is_damaged_.load(std::memory_order_relaxed); }

  /// For the handler: mends the fault if the address is this guard's or an outer one's.
  static bool mend(const void* address) noexcept;

 private:
  std::uintptr_t begin_;
  std::uintptr_t end_;
  SigbusGuard* outer_;
  std::atomic<bool> is_damaged_{false};
};

}  // namespace shmetrics::collector
