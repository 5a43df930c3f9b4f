#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/forked.hpp"
#include "tests/quiet_update.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

class UpdateTest : public ::testing::Test {
 protected:
  static Registry open(const std::string& path) {
    Options options;
    options.path = path;
    return Registry::open(options);
  }
  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Registry registry_ = open(path_);
};

template <typename Number>
concept Countable = requires(Counter counter, Number n) {
  counter.inc(n);
};

TEST_F(UpdateTest, CountersTakeAnyIntegerAndNothingElse) {
  static_assert(Countable<int> && Countable<unsigned> && Countable<long> && Countable<std::uint8_t>);
  static_assert(!Countable<std::string>);
  const Counter hits = registry_.counter("a_total", "A");
  hits.inc();
  hits.inc(5);
  hits.inc(0);
  hits.inc(std::uint8_t{200});
  hits.inc(std::uint64_t{1} << 60);
  EXPECT_NE(tests::scrape(path_).text.find("\na_total 1152921504606847182\n"), std::string::npos) << "in full digits";
}

TEST_F(UpdateTest, LabelValuesThatDifferInOneByteAreTwoSeriesAtEveryLength) {
  const auto family = registry_.counter("a_total", "A", {"x", "y"});
  std::vector<std::string> values;
  for (std::size_t size = 0; size <= 40; ++size) {
    values.emplace_back(size, 'a');
    for (std::size_t i = 0; i < size; ++i) (values.emplace_back(size, 'a'))[i] = 'b';
  }
  for (int round = 0; round < 2; ++round) {  // registered, then found
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::vector<char> exact(values[i].begin(), values[i].end());  // what is read beyond it, a sanitizer sees
      family.with(std::string_view(exact.data(), exact.size()), "z").inc(i);
    }
  }
  const tests::Scrape scrape = tests::scrape(path_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(scrape["a_total{x=\"" + values[i] + "\",y=\"z\"}"], 2.0 * static_cast<double>(i));
  }
}

TEST_F(UpdateTest, EachObservationFindsItsBucketWhateverTheNumberOfBounds) {
  for (const std::size_t count : {1, 2, 3, 4, 5, 8, 13, 63, 64}) {
    const std::string name = "a" + std::to_string(count);
    const Histogram histogram = registry_.histogram(name, "A", {}, linear_buckets(1, 1, count));
    for (std::size_t bound = 1; bound <= count; ++bound) {
      histogram.observe(static_cast<double>(bound));
      histogram.observe(std::nextafter(static_cast<double>(bound), INFINITY));
    }
    histogram.observe(INFINITY);
    histogram.observe(-INFINITY);
    const tests::Scrape scrape = tests::scrape(path_);
    for (std::size_t bound = 1; bound <= count; ++bound) {
      EXPECT_EQ(scrape[name + "_bucket{le=\"" + std::to_string(bound) + "\"}"], 2.0 * static_cast<double>(bound));
    }
    EXPECT_EQ(scrape[name + "_bucket{le=\"+Inf\"}"], 2.0 * static_cast<double>(count) + 2);
  }
}

TEST_F(UpdateTest, NegativeIncrementsAreRefusedAndCounted) {
  const Counter hits = registry_.counter("a_total", "A");
  hits.inc(3);
  hits.inc(-1);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total"], 3);
  EXPECT_EQ(tests::count_of(scrape.status.values_refused, "negative"), 1u);
}

TEST_F(UpdateTest, ObservationsFallIntoTheBucketWhoseBoundTheyDoNotExceed) {
  const Histogram h = registry_.histogram("h", "H", {}, {0.1, 1, 10});
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {-infinity, -1.0, 0.1, 0.10000000000000002, 1.0, 10.0, 11.0}) h.observe(value);
  tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["h_bucket{le=\"0.1\"}"], 3);
  EXPECT_EQ(scrape["h_bucket{le=\"1\"}"], 5);
  EXPECT_EQ(scrape["h_bucket{le=\"10\"}"], 6);
  EXPECT_EQ(scrape["h_bucket{le=\"+Inf\"}"], 7);
  EXPECT_EQ(scrape["h_count"], 7);
}

TEST_F(UpdateTest, NanIsRefusedAndCounted) {
  const Histogram h = registry_.histogram("h", "H", {}, {1});
  h.observe(std::nan(""));
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["h_count"], 0);
  EXPECT_EQ(scrape["h_sum"], 0);
  EXPECT_EQ(tests::count_of(scrape.status.values_refused, "nan"), 1u);
}

TEST_F(UpdateTest, ThreadsOfOneProcessShareItsGauges) {
  const Gauge active = registry_.gauge("active", "A");
  active.inc(5);
  std::thread([&] { active.dec(); }).join();
  active.inc(0.5);
  EXPECT_EQ(tests::scrape(path_)["active"], 4.5);
  std::thread([&] { active.set(-2); }).join();
  EXPECT_EQ(tests::scrape(path_)["active"], -2) << "the last set wins, whoever did it";
}

TEST_F(UpdateTest, InFlightHoldsForItsScope) {
  const auto active = registry_.gauge("active", "A", {"kind"});
  {
    const InFlight guard(active.with("x"));
    EXPECT_EQ(tests::scrape(path_)["active{kind=\"x\"}"], 1);
  }
  EXPECT_EQ(tests::scrape(path_)["active{kind=\"x\"}"], 0);
}

// With a hash that holds no secret, these endings made it a rotation, and the 3,000 series one run through the table.
TEST_F(UpdateTest, LabelValuesMadeForTheHashAreFoundAsFastAsOthers) {
  Options wide;
  wide.path = folder_.file("wide.seg");
  wide.series_per_family = 3000;
  const Registry registry = Registry::open(wide);
  const auto time_with = [&](const char* name, const std::string& ending) {
    const auto family = registry.counter(name, "A", {"x"});
    std::vector<std::string> values;
    for (int i = 0; i < 3000; ++i) {
      values.push_back({static_cast<char>('0' + i / 60), static_cast<char>('0' + i % 60)});
      family.with(values.back() += "abcdef" + ending).inc();
    }
    // Of this thread alone, so that other work on the machine does not matter.
    const auto processor_ns = [] {
      timespec now{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
      return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
    };
    double best = 1e18;
    for (int round = 0; round < 10; ++round) {
      const double begin = processor_ns();
      for (const std::string& value : values) family.with(value).inc();
      best = std::min(best, processor_ns() - begin);
    }
    return best;
  };
  const double others = time_with("others_total", "harmless");
  EXPECT_LT(time_with("made_total", "\x45\x73\x70\x03\x2e\x0a\x19\x13"), 10 * others);
}

TEST_F(UpdateTest, ATimerObservesSeconds) {
  const auto duration = registry_.histogram("d_seconds", "D", {"route"}, {0.001, 60});
  {
    const Timer timer(duration.with("/"));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["d_seconds_bucket{route=\"/\",le=\"0.001\"}"], 0);
  EXPECT_EQ(scrape["d_seconds_bucket{route=\"/\",le=\"60\"}"], 1);
  EXPECT_GE(scrape["d_seconds_sum{route=\"/\"}"], 0.005);
}

TEST_F(UpdateTest, HandlesOutliveTheRegistryObject) {
  Counter hits;
  {
    const Registry copy = registry_;
    hits = copy.counter("a_total", "A", {"l"}).with("v");
  }
  hits.inc();
  EXPECT_EQ(tests::scrape(path_)["a_total{l=\"v\"}"], 1);
}

TEST_F(UpdateTest, ASlotGrowsWithItsSeries) {
  Options wide;
  wide.path = folder_.file("wide.seg");
  wide.series_per_family = 20000;
  const auto hits = Registry::open(wide).counter("a_total", "A", {"n"});
  for (int i = 0; i < 10000; ++i) hits.with(std::to_string(i)).inc(i);
  for (int i = 0; i < 10000; ++i) hits.with(std::to_string(i)).inc();
  const tests::Scrape scrape = tests::scrape(wide.path);
  for (int i = 0; i < 10000; i += 777) {
    EXPECT_EQ(scrape["a_total{n=\"" + std::to_string(i) + "\"}"], i + 1);
  }
  EXPECT_EQ(scrape.status.series, 10000u);
}

TEST_F(UpdateTest, AThreadThatEndedLeavesItsCountsAndItsSlot) {
  const Counter hits = registry_.counter("a_total", "A");
  for (int i = 0; i < 100; ++i) std::thread([&] { hits.inc(); }).join();
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total"], 100);
  EXPECT_LE(scrape.status.slots_used, 2u) << "the next thread took the slot over";
}

TEST_F(UpdateTest, ErrnoStaysAsItWas) {
  const auto hits = registry_.counter("a_total", "A", {"l"});
  const Gauge active = registry_.gauge("active", "A");
  errno = 4242;
  hits.with("new").inc();
  active.inc();
  std::thread([&] {
    errno = 4243;
    hits.with("another").inc();
    EXPECT_EQ(errno, 4243);
  }).join();
  EXPECT_EQ(errno, 4242);
}

#ifndef __SANITIZE_ADDRESS__  // whose own end of a thread does not survive the unwinding of a cancelled one
TEST_F(UpdateTest, ACancelledThreadEndsWhereItMayAndNotInAnUpdate) {
  const auto hits = registry_.counter("a_total", "A", {"l"});
  std::atomic<bool> is_cancelled{false};
  std::thread thread([&] {
    while (!is_cancelled) std::this_thread::yield();
    hits.with("first").inc();  // opens files, which are points of cancellation
    pthread_testcancel();
    ADD_FAILURE() << "was not cancelled";
  });
  pthread_cancel(thread.native_handle());
  is_cancelled = true;
  thread.join();
  EXPECT_EQ(tests::scrape(path_)["a_total{l=\"first\"}"], 1);
}
#endif

TEST_F(UpdateTest, AnUpdateMakesNoSystemCallAndAllocatesNothing) {
  const Counter hits = registry_.counter("a_total", "A");
  const auto jobs = registry_.counter("jobs_total", "Jobs", {"queue"});
  const FloatCounter cost = registry_.float_counter("cost_total", "Cost");
  const Gauge active = registry_.gauge("active", "Active");
  const Gauge most = registry_.gauge("most", "Most", {}, GaugeMode::max);
  const Histogram sizes = registry_.histogram("h", "H", {}, {1, 2, 3});
  const Summary bytes = registry_.summary("s", "S");
  const auto update = [&] {
    hits.inc();
    hits.inc(-1);
    jobs.with("mail").inc();
    cost.inc(0.5);
    active.inc();
    most.set(3);
    sizes.observe(2.5);
    sizes.observe(NAN);
    bytes.observe(7);
  };
  const int outcome = tests::outcome_of_quiet(update);
  if (outcome == tests::kNoSeccomp) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(outcome, 0);
  EXPECT_EQ(tests::scrape(path_)["a_total"], 2001);
}

namespace from_handler {
std::optional<Counter> hits;
std::optional<Histogram> sizes;
volatile sig_atomic_t calls = 0;
}  // namespace from_handler

TEST_F(UpdateTest, ASignalHandlerThatInterruptsNoUpdateCountsWhateverElseItInterrupts) {
  from_handler::hits = registry_.counter("a_total", "A");
  from_handler::sizes = registry_.histogram("h", "H", {}, {1});
  from_handler::hits->inc(0);  // a slot, before the first signal
  std::signal(SIGALRM, [](int) {
    from_handler::hits->inc();
    from_handler::sizes->observe(2);
    from_handler::calls = from_handler::calls + 1;
  });
  const auto every = [](suseconds_t us) {
    const itimerval timer{{0, us}, {0, us}};
    setitimer(ITIMER_REAL, &timer, nullptr);
  };
  every(200);
  // The allocator's lock is what a handler must not want, and so are a scrape's and a registration's here.
  while (from_handler::calls < 2000) {
    for (int i = 0; i < 100; ++i) std::string(static_cast<std::size_t>(i) * 100, 'x').shrink_to_fit();
    tests::scrape(path_);
  }
  every(0);
  std::signal(SIGALRM, SIG_DFL);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total"], from_handler::calls);
  EXPECT_EQ(scrape["h_sum"], 2.0 * from_handler::calls);
  EXPECT_EQ(scrape["h_count"], from_handler::calls);
}

TEST_F(UpdateTest, ANullPointerIsAnEmptyLabelValue) {
  const auto hits = registry_.counter("a_total", "A", {"l"});
  const char* unset = nullptr;
  hits.with(unset).inc();
  EXPECT_EQ(tests::scrape(path_)["a_total{l=\"\"}"], 1);
  static_assert(!LabelValue<std::nullptr_t> && LabelValue<std::string> && LabelValue<char[4]>);
}

TEST_F(UpdateTest, DestructorsOfThreadLocalsStillCount) {
  const Counter hits = registry_.counter("a_total", "A");
  struct Last {
    Counter counter;
    ~Last() { counter.inc(); }
  };
  std::thread([&] {
    thread_local Last last{hits};
    last.counter.inc();
  }).join();
  EXPECT_EQ(tests::scrape(path_)["a_total"], 2);
}

}  // namespace
}  // namespace shmetrics
