#include "shm/lock_byte.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <thread>

namespace shmetrics::shm {
namespace {

// OFD, not POSIX, locks (also not Boost's file_lock): those vanish when anyone in the process closes any descriptor of
// the file.
int lock_call(int fd, int command, short type, std::uint64_t byte, std::uint64_t count,
              struct flock& request) noexcept {
  request = {};
  request.l_type = type;
  request.l_whence = SEEK_SET;
  request.l_start = static_cast<off_t>(byte);
  request.l_len = static_cast<off_t>(count);
  return fcntl(fd, command, &request);
}

}  // namespace

bool try_lock(int fd, std::uint64_t byte) noexcept {
  struct flock request;
  return lock_call(fd, F_OFD_SETLK, F_WRLCK, byte, 1, request) == 0;
}

bool can_lock(int fd, std::uint64_t byte) noexcept {
  struct flock request;
  return lock_call(fd, F_OFD_GETLK, F_WRLCK, byte, 1, request) == 0 && request.l_type == F_UNLCK;
}

bool lock_until(int fd, std::uint64_t byte, std::chrono::steady_clock::time_point deadline) noexcept {
  constexpr auto kPause = std::chrono::microseconds(50);  // an append takes some 20
  while (!try_lock(fd, byte)) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

void unlock(int fd, std::uint64_t byte) noexcept {
  struct flock request;
  lock_call(fd, F_OFD_SETLK, F_UNLCK, byte, 1, request);
}

void LockWindow::drop_in_child() noexcept {
  // The other thread's stack, and the object on it, are in the child's copy of the memory.
  if (const Descriptor* inherited = file.exchange(nullptr); inherited != nullptr && *inherited) close(inherited->get());
  if (void* const inherited = pages.exchange(nullptr)) munmap(inherited, page_bytes);
}

bool keep_from_children(void* pages, std::size_t bytes) noexcept {
  lock_window.page_bytes = bytes;
  lock_window.pages = pages;
  const bool is_kept = madvise(pages, bytes, MADV_DONTFORK) == 0;
  lock_window.pages = nullptr;
  return is_kept;
}

Held probe(int fd, std::uint64_t byte, std::uint64_t count) noexcept {
  // Asking for a read lock ignores read locks. Anybody who may read the file could take one and fake a living worker.
  struct flock request;
  if (lock_call(fd, F_OFD_GETLK, F_RDLCK, byte, count, request) != 0) return Held::kUnknown;
  return request.l_type == F_UNLCK ? Held::kNo : Held::kYes;
}

}  // namespace shmetrics::shm
