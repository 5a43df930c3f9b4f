#include "collector/sigbus_guard.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <mutex>

namespace shmetrics::collector {
namespace {

constinit thread_local SigbusGuard* innermost = nullptr;
struct sigaction previous_action {};
std::uintptr_t page_bytes = 0;  // sysconf is not for signal handlers

void on_sigbus(int number, siginfo_t* info, void*) {
  const int kept_errno = errno;
  const bool is_mended = info->si_code > 0 && SigbusGuard::mend(info->si_addr);
  if (!is_mended) {
    // Back to the former owner of the signal; a fault strikes again on return, a sent signal needs the raise.
    sigaction(number, &previous_action, nullptr);
    if (info->si_code <= 0) raise(number);
  }
  errno = kept_errno;
}

void install_once() {
  static std::once_flag flag;
  std::call_once(flag, [] {
    page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action {};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous_action);
  });
}

}  // namespace

SigbusGuard::SigbusGuard(const void* begin, std::size_t bytes)
    : begin_(reinterpret_cast<std::uintptr_t>(begin)), end_(begin_ + bytes), outer_(innermost) {
  if (bytes == 0) {
    innermost = this;
    return;
  }
  install_once();
  // A fault while the signal is blocked kills the process, handler or not.
  sigset_t bus;
  sigemptyset(&bus);
  sigaddset(&bus, SIGBUS);
  pthread_sigmask(SIG_UNBLOCK, &bus, nullptr);
  innermost = this;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

SigbusGuard::~SigbusGuard() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  innermost = outer_;
}

bool SigbusGuard::mend(const void* address) noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (SigbusGuard* guard = innermost; guard != nullptr; guard = guard->outer_) {
    if (at < guard->begin_ || at >= guard->end_) continue;
    guard->is_damaged_.store(true, std::memory_order_relaxed);
    void* page = reinterpret_cast<void*>(at / page_bytes * page_bytes);
    return mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

}  // namespace shmetrics::collector
