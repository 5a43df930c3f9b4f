// Real child processes: run a function in one, wait for it, kill it.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <utility>

namespace shmetrics::tests {

/// Forks a child that runs `body` and then exits in order (with its atexit handlers) by the returned code.
template <typename Body>
pid_t forked(Body body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid > 0) return pid;
  int code = 99;
  try {
    code = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
  }
  std::exit(code);
}

/// The exit code of a child, or minus the signal that ended it.
inline int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 1000;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

inline int kill_and_wait(pid_t pid) {
  kill(pid, SIGKILL);
  return wait_for(pid);
}

/// A pipe that lets one process tell another that it has come so far.
class Baton {
 public:
  Baton() {
    if (pipe(ends_) != 0) throw std::runtime_error("pipe");
  }
  ~Baton() {
    close(ends_[0]);
    close(ends_[1]);
  }
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

  void pass() const {
    const char byte = 'x';
    if (write(ends_[1], &byte, 1) != 1) std::abort();
  }
  void receive(int times = 1) const {
    char byte = 0;
    for (int i = 0; i < times; ++i) {
      pollfd readable{ends_[0], POLLIN, 0};
      if (poll(&readable, 1, 60'000) != 1) {
        std::fputs("nobody passed the baton in 60 s\n", stderr);
        std::abort();
      }
      if (read(ends_[0], &byte, 1) != 1) std::abort();
    }
  }

 private:
  int ends_[2];
};

/// Forks a child that runs `act` and then stays until it is killed. Returns when it has run.
template <typename Act>
pid_t forked_to_stay(Act act) {
  const Baton done;
  const pid_t pid = forked([&]() -> int {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    act();
    done.pass();
    for (;;) pause();
  });
  done.receive();
  return pid;
}

}  // namespace shmetrics::tests
