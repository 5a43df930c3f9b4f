// Stamps of gauges: the clock of this program stops where a test wants it to.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <latch>
#include <thread>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

struct Hold {
  std::latch read{1}, go_on{1};
};
thread_local Hold* hold = nullptr;  // where this thread waits once it has read the time

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (clock == CLOCK_BOOTTIME && hold != nullptr) {
    hold->read.count_down();
    hold->go_on.wait();
  }
  return result;
}

namespace shmetrics {
namespace {

TEST(Stamp, AThreadThatReadTheTimeLongAgoDoesNotMakeALaterValueOlder) {
  const tests::TemporaryFolder folder;
  Options options;
  options.path = folder.file("a.seg");
  const Gauge gauge = Registry::open(options).gauge("g", "G", {}, GaugeMode::mostrecent);
  Hold held;
  std::thread first([&] {
    hold = &held;
    gauge.set(1);
    hold = nullptr;
  });
  held.read.wait();
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              gauge.set(2);
              return 0;
            })),
            0);
  gauge.set(3);
  held.go_on.count_down();
  first.join();
  EXPECT_EQ(tests::scrape(options.path)["g"], 3) << "set last, by the same process as the held one";
}

}  // namespace
}  // namespace shmetrics
