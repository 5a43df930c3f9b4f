// Protects the thread that makes an update from side effects of the slow path.
//
// Threads: any. Failure: none. Lifetime: a scope.
#pragma once

#include <pthread.h>

#include <cerrno>

namespace shmetrics::detail {

/// For the length of a scope: errno comes back as it was, and pthread_cancel waits. Cancellation would unwind a
/// noexcept function, which ends the process.
class SlowPath {
 public:
  SlowPath() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state_); }
  ~SlowPath() {
    pthread_setcancelstate(cancel_state_, nullptr);
    errno = saved_errno_;
  }
  SlowPath(const SlowPath&) = delete;
  SlowPath& operator=(const SlowPath&) = delete;

 private:
  int saved_errno_ = errno;
  int cancel_state_ = 0;
};

}  // namespace shmetrics::detail
