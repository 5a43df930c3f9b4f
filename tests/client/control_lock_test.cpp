// Who waits for the control lock, and how long.
#include "client/control_lock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace shmetrics::detail {
namespace {

using std::chrono::milliseconds;

/// Whether a thread that waits for so long gets the lock, which it gives back.
bool comes_by(ControlLock& lock, milliseconds patience) {
  const bool has_it = lock.try_lock_until(Deadline(patience));
  if (has_it) lock.unlock();
  return has_it;
}

TEST(ControlLock, WhoHasWaitedForSeveralHoldersInVainKeepsNobodyFromWaitingForTheLast) {
  ControlLock lock;
  bool has_waited_in_vain = false;
  while (!has_waited_in_vain) {  // else it came between the two holders
    ASSERT_TRUE(lock.try_lock());
    std::atomic<bool> has_begun = false;  // on a busy machine it would else wait for the second holder alone
    std::thread first([&] {
      has_begun = true;
      has_waited_in_vain = !comes_by(lock, milliseconds(40));
    });
    while (!has_begun) std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds(20));
    lock.unlock();
    while (!lock.try_lock()) std::this_thread::yield();
    first.join();
    if (!has_waited_in_vain) lock.unlock();
  }
  bool has_come_by = false;
  std::thread second([&] { has_come_by = comes_by(lock, std::chrono::seconds(60)); });
  std::this_thread::sleep_for(milliseconds(20));
  lock.unlock();
  second.join();
  EXPECT_TRUE(has_come_by);
}

TEST(ControlLock, WhoWaitsBehindOneThatHasWaitedForTheSameHolderInVainGivesUpAtOnce) {
  ControlLock lock;
  ASSERT_TRUE(lock.try_lock());
  std::thread([&] { EXPECT_FALSE(comes_by(lock, milliseconds(20))); }).join();
  std::thread([&] { EXPECT_FALSE(comes_by(lock, std::chrono::hours(1))); }).join();
  lock.unlock();
  EXPECT_TRUE(comes_by(lock, milliseconds(0)));
}

}  // namespace
}  // namespace shmetrics::detail
