// OFD write locks on bytes beyond the end of the file, and the lock that lives as long as the process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "shm/descriptor.hpp"
#include "shm/layout.hpp"

namespace shmetrics::shm {

constexpr std::uint64_t claim_byte(std::uint32_t worker) {
  return kClaimLocks + 2 * std::uint64_t{worker};
}
constexpr std::uint64_t live_byte(std::uint32_t worker) {
  return claim_byte(worker) + 1;
}

/// Takes the byte for the open file description behind `fd`, without waiting. False: somebody else has it, or the
/// kernel failed.
bool try_lock(int fd, std::uint64_t byte) noexcept;
/// The same, again with short pauses until the deadline. Never F_OFD_SETLKW: a stopped holder must not stop everybody.
bool lock_until(int fd, std::uint64_t byte, std::chrono::steady_clock::time_point deadline) noexcept;
void unlock(int fd, std::uint64_t byte) noexcept;

/// What carries locks at this moment, in the one thread that takes some. A child that is forked in the middle would
/// keep its parent's locks for as long as it lives: it drops its copies.
struct LockWindow {
  std::atomic<const Descriptor*> file{nullptr};
  std::atomic<void*> pages{nullptr};  // until fork does not inherit them
  std::atomic<std::size_t> page_bytes{0};
  void drop_in_child() noexcept;
};
inline constinit LockWindow lock_window;

/// For pages mapped through a descriptor that carries a lock: no child inherits them. False: the kernel failed.
bool keep_from_children(void* pages, std::size_t bytes) noexcept;

/// Shows `file` in the window for a scope.
class InLockWindow {
 public:
  explicit InLockWindow(const Descriptor& file) noexcept { lock_window.file = &file; }
  ~InLockWindow() { lock_window.file = nullptr; }
  InLockWindow(const InLockWindow&) = delete;
  InLockWindow& operator=(const InLockWindow&) = delete;
};

/// Whether another open file description holds a write lock on any of `count` bytes. Takes nothing, blocks nobody,
/// needs read permission only.
enum class Held { kNo, kYes, kUnknown };
Held probe(int fd, std::uint64_t byte, std::uint64_t count = 1) noexcept;

}  // namespace shmetrics::shm
