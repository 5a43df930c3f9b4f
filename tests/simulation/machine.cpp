// The machine that the virtual workers see: its clock is the stage's, its pids are the actors', and each lock call is a
// step. Functions of libc, taken over for the whole program; for whom is no actor they are what they always are.
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdarg>

#include "tests/simulation/mutants.hpp"
#include "tests/simulation/stage.hpp"

namespace {

using namespace shmetrics::simulation;  // NOLINT

constexpr long kSecond = 1'000'000'000;
constexpr long kStart = 1'000'000;  // seconds; any time will do, but the same in each run

}  // namespace

extern "C" {

[[gnu::visibility("default")]] int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (self() == nullptr) return static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  const std::uint64_t now = stage().clock_ns;
  *time = {kStart + static_cast<long>(now / kSecond), static_cast<long>(now % kSecond)};
  return 0;
}

[[gnu::visibility("default")]] int nanosleep(const timespec* time, timespec* left) {
  if (self() == nullptr) return static_cast<int>(syscall(SYS_nanosleep, time, left));
  stage().clock_ns += static_cast<std::uint64_t>(time->tv_sec * kSecond + time->tv_nsec);
  step(true);
  return 0;
}

// It decides where a worker begins to look for an entry.
[[gnu::visibility("default")]] pid_t getpid() noexcept {
  if (self() == nullptr) return static_cast<pid_t>(syscall(SYS_getpid));
  return static_cast<pid_t>(100 + self()->process);
}

// With euid 0 a child claims its entry within fork.
[[gnu::visibility("default")]] uid_t geteuid() noexcept {
  constexpr uid_t kNobody = 65534;
  const auto real = static_cast<uid_t>(syscall(SYS_geteuid));
  return self() == nullptr || stage().plan.is_root || real != 0 ? real : kNobody;
}

[[gnu::visibility("default")]] int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  if (command != F_OFD_SETLK && command != F_OFD_GETLK) {
    return static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
  }
  step();
  const auto& request = *static_cast<struct flock*>(argument);
  // Who asks what a write lock would meet goes on from the byte of the answer: it must be of the question.
  if (command == F_OFD_SETLK || request.l_type == F_RDLCK) mutate_lock(*static_cast<struct flock*>(argument));
  const int result = static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
  if (command == F_OFD_SETLK && result == 0 && request.l_type == F_WRLCK) {
    note_lock(static_cast<std::uint64_t>(request.l_start));
  }
  return result;
}
}
