// Counts the system calls of this thread between two moments, without a tracer: the kernel sends a signal for each
// (prctl(2), PR_SET_SYSCALL_USER_DISPATCH, since Linux 5.11), whose handler makes the call itself. Calls that a child
// makes are not counted: the kernel does not pass this on.
#pragma once

#if defined(__x86_64__)
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

namespace shmetrics::tests {

class SystemCalls {
 public:
  /// False: this kernel cannot.
  static bool begin() {
    struct sigaction action {};
    action.sa_sigaction = take;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigfillset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, nullptr) != 0) return false;
    count_ = 0;
    blocked_ = 0;
    // Off for the return from the handler, which is a system call too: glibc's restorer, a few bytes.
    const auto restorer = reinterpret_cast<unsigned long>(restorer_of_sigsys());
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, restorer, 16UL, &blocked_) != 0) return false;
    blocked_ = 1;
    return true;
  }
  static int end() {
    blocked_ = 0;
    prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0UL, 0UL, 0UL);
    return count_;
  }

 private:
  // As the kernel has it: the libc's struct does not show it.
  static void* restorer_of_sigsys() {
    struct {
      void* handler;
      unsigned long flags;
      void* restorer;
      unsigned long mask;
    } action{};
    syscall(SYS_rt_sigaction, SIGSYS, nullptr, &action, sizeof action.mask);
    return action.restorer;
  }
  static void take(int, siginfo_t*, void* context) {
    blocked_ = 0;
    count_ = count_ + 1;
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    register long r10 asm("r10") = registers[REG_R10];
    register long r8 asm("r8") = registers[REG_R8];
    register long r9 asm("r9") = registers[REG_R9];
    long result = registers[REG_RAX];
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(registers[REG_RDI]), "S"(registers[REG_RSI]), "d"(registers[REG_RDX]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    registers[REG_RAX] = result;
    blocked_ = 1;  // in a forked child nobody reads it
  }

  inline static volatile char blocked_ = 0;
  inline static volatile int count_ = 0;
};

}  // namespace shmetrics::tests
#endif
