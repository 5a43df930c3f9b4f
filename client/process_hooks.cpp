#include "client/process_hooks.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "client/attachment.hpp"
#include "client/slow_path.hpp"
#include "client/writer.hpp"
#include "shm/lock_byte.hpp"

namespace shmetrics::detail {
namespace {

constexpr auto kForkPatience = std::chrono::milliseconds(200);  // then without the lock

// Per thread, because another thread's fork may begin before this one's has ended.
constinit thread_local bool fork_holds_control = false;

pthread_key_t exit_key;
bool hooks_work = false;

void before_fork() {
  const SlowPath slow;
  fork_holds_control = control_lock.try_lock_until(Deadline(kForkPatience));
}

void after_fork_in_parent() {
  if (std::exchange(fork_holds_control, false)) control_lock.unlock();
}

void after_fork_in_child() {
  const SlowPath slow;
  control_lock.start_anew();
  const bool is_whole = std::exchange(fork_holds_control, false);
  if (!is_whole) shm::lock_window.drop_in_child();
  forget_threads();
  Attachment::for_each([is_whole](Attachment& attachment) {
    attachment.forget_process(is_whole);
    // A worker that drops its privileges later could not open the file any more.
    if (geteuid() == 0) attachment.entry.claim();
  });
}

void at_thread_end(void*) {
  give_back_all_slots();
}

void at_exit() {
  release_worker();
}

// A plug-in that was linked with the static library may be unloaded; the hooks cannot.
void pin_library() {
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&at_exit), &self) == 0 || self.dli_fname == nullptr) return;
  dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

// Early: a static registry of the application may be opened before this file's own initialisers would run.
[[gnu::constructor(101)]] void install() {
  hooks_work = pthread_key_create(&exit_key, at_thread_end) == 0 &&
               pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0 &&
               std::atexit(at_exit) == 0 && std::at_quick_exit(at_exit) == 0;
}

}  // namespace

bool process_hooks_work() noexcept {
  static std::atomic<bool> is_pinned{false};
  if (!is_pinned.exchange(true)) pin_library();
  return hooks_work;
}

bool watch_thread_end() noexcept {
  // A key, not a thread_local object: keys are destroyed after the application's thread_local objects, which may still
  // count.
  return pthread_setspecific(exit_key, &exit_key) == 0;
}

}  // namespace shmetrics::detail

namespace shmetrics {

void release_worker() noexcept {
  detail::Attachment::for_each([](detail::Attachment& attachment) { attachment.entry.release(); });
}

}  // namespace shmetrics
