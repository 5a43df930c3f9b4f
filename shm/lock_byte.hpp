// OFD write locks on bytes beyond the end of the file, and the lock that lives as long as the process.
#pragma once

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

/// Whether another open file description holds a write lock on any of `count` bytes. Takes nothing, blocks nobody,
/// needs read permission only.
enum class Held { kNo, kYes, kUnknown };
Held probe(int fd, std::uint64_t byte, std::uint64_t count = 1) noexcept;

}  // namespace shmetrics::shm
