// Hooks of the library: at fork, at the end of a thread, at exit.
//
// Threads: any. Failure: by result. Lifetime: as long as the process.
#pragma once

namespace shmetrics::detail {

/// Installs the hooks, once, when the library is loaded: before the application's own, so that its fork handlers find a
/// child without the parent's slots. False: the kernel or libc refused, and no segment must be opened, because children
/// would write into their parents' slots.
bool process_hooks_work() noexcept;

/// Makes the calling thread's end give its slots back. False: its slots must not be claimed.
bool watch_thread_end() noexcept;

}  // namespace shmetrics::detail
