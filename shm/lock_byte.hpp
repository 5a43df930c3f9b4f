// OFD write locks on bytes beyond the end of the file, and the lock that lives as long as the process.
//
// Threads: any; taking a lock to keep it, one thread of a process at a time. Failure: by result; nothing throws.
// Lifetime: a lock lives as long as the last copy of its descriptor and the last mapping through it.
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

/// Takes the byte for the open file description behind `fd`, without waiting. False: another process has it, or the
/// kernel failed.
bool try_lock(int fd, std::uint64_t byte) noexcept;
/// Whether nobody else has any lock on the byte, not even one for reading.
bool can_lock(int fd, std::uint64_t byte) noexcept;
/// As try_lock(), tried again with short pauses until the deadline. Never F_OFD_SETLKW: a stopped holder must not stop
/// all others.
bool lock_until(int fd, std::uint64_t byte, std::chrono::steady_clock::time_point deadline) noexcept;
void unlock(int fd, std::uint64_t byte) noexcept;

/// The descriptor and the pages by which this process holds a lock right now. A child that is forked meanwhile inherits
/// both and would keep the lock alive, so the child's fork handler drops them.
struct LockWindow {
  std::atomic<const Descriptor*> file{nullptr};
  std::atomic<void*> pages{nullptr};  // until fork does not inherit them
  std::atomic<std::size_t> page_bytes{0};
  void drop_in_child() noexcept;
};
inline constinit LockWindow lock_window;

/// Keeps children from inheriting pages that are mapped by a descriptor with a lock. False: the kernel failed.
bool keep_from_children(void* pages, std::size_t bytes) noexcept;

/// Shows `file` in the window for a scope.
class InLockWindow {
 public:
  explicit InLockWindow(const Descriptor& file) noexcept { lock_window.file = &file; }
  ~InLockWindow() { lock_window.file = nullptr; }
  InLockWindow(const InLockWindow&) = delete;
  InLockWindow& operator=(const InLockWindow&) = delete;
};

/// Whether another open file description holds a write lock on any of `count` bytes. It takes no lock, does not wait,
/// and needs only read permission.
enum class Held { kNo, kYes, kUnknown };
Held probe(int fd, std::uint64_t byte, std::uint64_t count = 1) noexcept;

}  // namespace shmetrics::shm
