// A wall clock that a test sets without setting the machine's: stands before libc's, in workers by linking, in other
// programs by LD_PRELOAD. The offset in seconds is the first word of the file that SHMETRICS_TEST_CLOCK names.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

std::atomic<std::int64_t>* map_offset() {
  const char* path = std::getenv("SHMETRICS_TEST_CLOCK");
  const int fd = path == nullptr ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* word = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return word == MAP_FAILED ? nullptr : static_cast<std::atomic<std::int64_t>*>(word);
}

std::atomic<std::atomic<std::int64_t>*> offset{nullptr};

}  // namespace

extern "C" {

/// For a process that sets the variable only after its start.
[[gnu::visibility("default")]] bool shmetrics_test_clock_attach() {
  offset = map_offset();
  return offset != nullptr;
}

[[gnu::constructor]] static void attach() {
  shmetrics_test_clock_attach();
}

[[gnu::visibility("default")]] int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, now));
  const bool is_wall_clock = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (auto* seconds = offset.load(); result == 0 && is_wall_clock && seconds != nullptr) now->tv_sec += *seconds;
  return result;
}

[[gnu::visibility("default")]] time_t time(time_t* to) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (to != nullptr) *to = now.tv_sec;
  return now.tv_sec;
}

[[gnu::visibility("default")]] int gettimeofday(timeval* to, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  *to = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}
}
