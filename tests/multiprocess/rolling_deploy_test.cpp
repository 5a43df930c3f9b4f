// A deploy under load: workers of two releases, of which the newer one has another label and other bounds, count side
// by side, an old one begins to count only when the new one has declared, a canary crashes all the time, and the deploy
// is rolled back. At every step all answers are counted; at every moment nothing that was shown goes back.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <shmetrics/shmetrics.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "collector/check.hpp"
#include "tests/child_process.hpp"
#include "tests/forked.hpp"
#include "tests/multiprocess/directory_log.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

enum Release { kOld, kNew, kCanary, kReleases };
constexpr int kWorkers = 3;  // of a master
// Binary fractions: their sums are exact.
constexpr std::array<double, 5> kDurations = {0.0625, 0.25, 0.75, 1.5, 8};

class RollingDeploy : public ::testing::Test {
 protected:
  struct Shared {
    // Of each release: updates that were begun, and that are done.
    std::atomic<std::uint64_t> begun[kReleases], answered[kReleases], halves[kReleases];
    std::atomic<bool> paused;
    std::atomic<int> parked;
    std::atomic<bool> stop;
    std::atomic<bool> idlers_work;
    std::atomic<int> declared;
    std::atomic<int> canary_deaths;
  };

  RollingDeploy() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

  struct Metrics {
    Family<Counter, kRuntimeLabels> requests;
    Family<Histogram, kRuntimeLabels> duration;
    Counter untouched;
    Gauge active;
  };
  Metrics declare(Release release) const {
    const Registry registry = Registry::open(options_);
    static const std::vector<std::string_view> labels[] = {{"method"}, {"method", "status"}, {"method", "build"}};
    static const Buckets bounds[] = {{0.1, 1}, {0.1, 0.5, 1, 5}, {0.2, 2}};
    const Metrics metrics{
        registry.counter("requests_total", "Requests", RuntimeLabels(labels[release])),
        registry.histogram("duration_seconds", "Durations", RuntimeLabels(labels[release]), bounds[release]),
        registry.counter("untouched_total", "The same in each release"), registry.gauge("active", "Active")};
    if (metrics.requests.error() || metrics.duration.error()) {
      throw std::runtime_error(metrics.requests.error().message() + metrics.duration.error().message());
    }
    return metrics;
  }
  static std::span<const std::string_view> values(Release release, std::uint64_t n) {
    static const std::string_view all[kReleases][2][2] = {
        {{"GET", ""}, {"POST", ""}}, {{"GET", "200"}, {"POST", "500"}}, {{"GET", "7"}, {"POST", "8"}}};
    return std::span(all[release][n % 2]).first(release == kOld ? 1 : 2);
  }

  void answer(const Metrics& metrics, Release release, std::uint64_t n) {
    shared_.begun[release] += 1;
    metrics.requests.with(values(release, n)).inc();
    metrics.duration.with(values(release, n)).observe(kDurations[n % kDurations.size()]);
    metrics.untouched.inc();
    shared_.answered[release] += 1;
  }
  int work(Release release, bool is_idle) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Metrics metrics = declare(release);
    shared_.declared += 1;
    while (is_idle && !shared_.idlers_work && !is_told_to_leave(release)) usleep(1000);
    metrics.active.set(1);
    for (std::uint64_t n = 0; !is_told_to_leave(release); ++n) {
      answer(metrics, release, n);
      if (n % 64 == 0) usleep(500);
      if (!shared_.paused) continue;
      shared_.parked += 1;
      while (shared_.paused) usleep(500);
      shared_.parked -= 1;
    }
    return 0;
  }
  bool is_told_to_leave(Release release) const { return shared_.stop || leaves_[release]->load(); }

  /// A master that declares what its workers will use, and ends when they have.
  pid_t start_master(Release release, int idle = 0) {
    leaves_[release]->store(false);
    const int before = shared_.declared;
    const pid_t master = forked([&, release, idle] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      static_cast<void>(declare(release));
      std::vector<pid_t> workers;
      for (int i = 0; i < kWorkers; ++i) workers.push_back(forked([&] { return work(release, i < idle); }));
      int failed = 0;
      for (const pid_t worker : workers) failed += wait_for(worker) == 0 ? 0 : 1;
      return failed;
    });
    for (int i = 0; i < 20'000 && shared_.declared < before + kWorkers; ++i) usleep(1000);
    EXPECT_EQ(shared_.declared, before + kWorkers);
    working_ += kWorkers - idle;
    return master;
  }
  void stop_master(pid_t master, Release release) {
    leaves_[release]->store(true);
    EXPECT_EQ(wait_for(master), 0);
    working_ -= kWorkers;
  }

  /// Crashes, and comes again, until the end; never paused.
  pid_t start_canary() {
    return forked([&] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::mt19937 random(5);
      for (unsigned longest = 9000; !shared_.stop;) {  // microseconds
        const pid_t canary = forked([&]() -> int {
          prctl(PR_SET_PDEATHSIG, SIGKILL);
          const Metrics metrics = declare(kCanary);
          for (std::uint64_t n = 0;; ++n) answer(metrics, kCanary, n);
        });
        usleep(static_cast<useconds_t>(1000 + random() % (longest - 1000)));
        kill_and_wait(canary);
        if (shared_.answered[kCanary] == 0) longest *= 2;  // on a slow machine it takes longer to declare
        shared_.canary_deaths += 1;
      }
      return 0;
    });
  }

  static double sum(const Scrape& result, const std::string& prefix) {
    double total = 0;
    for (const auto& [name, value] : result.values) total += name.starts_with(prefix) ? value : 0;
    return total;
  }
  using Counts = std::array<double, 3>;  // of answers: in the counter, in the histogram, in what no release has changed
  static Counts counts(const Scrape& result) {
    return {sum(result, "requests_total"), sum(result, "duration_seconds_count"),
            result.has("untouched_total") ? result["untouched_total"] : 0};
  }
  double total(const std::atomic<std::uint64_t> (&of)[kReleases]) const {
    return static_cast<double>(of[kOld] + of[kNew] + of[kCanary]);
  }

  /// One scrape in the middle of everything.
  void look() {
    const double done = total(shared_.answered);
    const Scrape result = scrape(scraper_);
    const double begun = total(shared_.begun);
    ASSERT_TRUE(result.status.up) << result.status.problem;
    ++scrapes_;
    for (const auto& [name, value] : result.values) {
      if (name == "active") continue;
      const auto [highest, is_new] = highest_.try_emplace(name, value);
      ASSERT_GE(value, highest->second) << name << " went back";
      highest->second = value;
      names_seen_[name] = scrapes_;
    }
    for (const auto& [name, last] : names_seen_) ASSERT_EQ(last, scrapes_) << name << " was shown and is gone";
    for (const double count : counts(result)) {
      ASSERT_GE(count, done);
      ASSERT_LE(count, begun);
    }
    check_buckets(result);
    const double torn = static_cast<double>(result.status.torn_reads);
    EXPECT_LE(torn, scrapes_);
    EXPECT_FALSE(result.text.find("__overflow__") != std::string::npos);
  }
  /// Cumulative at any moment, and up to the count.
  static void check_buckets(const Scrape& result) {
    std::map<std::string, std::map<double, double>> buckets;
    for (const auto& [name, value] : result.values) {
      const auto le = name.find("le=\"");
      if (!name.starts_with("duration_seconds_bucket") || le == std::string::npos) continue;
      const std::string bound = name.substr(le + 4, name.find('"', le + 4) - le - 4);
      buckets[name.substr(23, le - 23)][bound == "+Inf" ? 1e300 : std::stod(bound)] = value;
    }
    for (const auto& [labels, by_bound] : buckets) {
      double below = 0;
      for (const auto& [bound, value] : by_bound) {
        ASSERT_GE(value, below) << labels << bound;
        below = value;
      }
      const std::string all = labels.size() > 1 ? labels.substr(0, labels.size() - 1) + "}" : "";
      ASSERT_EQ(result["duration_seconds_count" + all], below);
    }
  }
  void endure(std::chrono::milliseconds duration) {
    for (const auto end = std::chrono::steady_clock::now() + duration; std::chrono::steady_clock::now() < end;) {
      ASSERT_NO_FATAL_FAILURE(look());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  /// With all workers but the canary at rest: counted is answered, to the last one.
  void check_step(const char* step) {
    ASSERT_NO_FATAL_FAILURE(endure(std::chrono::milliseconds(250)));
    shared_.paused = true;
    for (int i = 0; i < 20'000 && shared_.parked < working_; ++i) usleep(1000);
    ASSERT_EQ(shared_.parked, working_) << step;
    ASSERT_NO_FATAL_FAILURE(look());
    const Scrape result = scrape(scraper_);
    for (const char* const family : {"requests_total{", "duration_seconds_count{"}) {
      double of_others = 0;
      for (const auto& [name, value] : result.values) {
        if (name.starts_with(family) && name.find("build=") == std::string::npos) of_others += value;
      }
      EXPECT_EQ(of_others, static_cast<double>(shared_.answered[kOld] + shared_.answered[kNew])) << step << family;
    }
    EXPECT_EQ(shared_.answered[kOld], shared_.begun[kOld]);
    std::printf("%-40s %8llu answers of the old release, %8llu of the new one, %8llu of the canary\n", step,
                static_cast<unsigned long long>(shared_.answered[kOld]),
                static_cast<unsigned long long>(shared_.answered[kNew]),
                static_cast<unsigned long long>(shared_.answered[kCanary]));
    shared_.paused = false;
    for (int i = 0; i < 20'000 && shared_.parked > 0; ++i) usleep(1000);
  }

  TemporaryFolder folder_;
  Options options_{.path = folder_.file("a.seg")};
  Shared& shared_ = shared<Shared>();
  std::array<std::atomic<bool>*, kReleases> leaves_ = {&shared<std::atomic<bool>>(), &shared<std::atomic<bool>>(),
                                                       &shared<std::atomic<bool>>()};
  collector::Scraper scraper_{options_.path};
  std::map<std::string, double> highest_;
  std::map<std::string, int> names_seen_;
  int working_ = 0;
  int scrapes_ = 0;
};

TEST_F(RollingDeploy, EveryAnswerIsCountedAtEveryStepAndNothingShownGoesBack) {
  const pid_t old_master = start_master(kOld, 1);
  const pid_t canary = start_canary();
  check_step("old release, one worker idle");
  const pid_t new_master = start_master(kNew);
  check_step("both releases");
  shared_.idlers_work = true;
  working_ += 1;
  check_step("the idle one works");
  stop_master(old_master, kOld);
  check_step("new release");
  const pid_t rolled_back = start_master(kOld);
  check_step("rolled back, both releases");
  stop_master(new_master, kNew);
  check_step("rolled back");
  ASSERT_TRUE(eventually([&] { return shared_.answered[kCanary] > 0; }));
  shared_.stop = true;
  EXPECT_EQ(wait_for(rolled_back), 0);
  EXPECT_EQ(wait_for(canary), 0);
  look();
  const DirectoryLog log = read_log(options_.path);
  EXPECT_TRUE(log.problems.empty()) << log.problems.front();
  EXPECT_EQ(log.generations.at("requests_total"), 3u) << "a canary that comes again, and a roll-back, find theirs";
  EXPECT_EQ(log.generations.at("duration_seconds"), 3u);
  EXPECT_EQ(log.generations.at("untouched_total"), 1u);
  const Scrape result = scrape(scraper_);
  EXPECT_EQ(result.status.family_generations.size(), 2u);
  for (const auto& refused : result.status.declarations_refused) EXPECT_EQ(refused.count, 0u) << refused.reason;
  EXPECT_EQ(collector::check_segment(options_.path).verdict, collector::CheckReport::Verdict::kSound);
  std::printf("%d deaths of the canary, %d scrapes, %llu torn reads\n", shared_.canary_deaths.load(), scrapes_,
              static_cast<unsigned long long>(result.status.torn_reads));
}

// Two types of one name cannot be one metric: the new one waits, and says so, until nobody of the old release lives.
TEST_F(RollingDeploy, AnotherTypeIsRefusedByNameWhileAnOldWorkerLivesAndComesWhenNoneDoes) {
  constexpr int kOfOld = 1000;
  const Baton old_has_counted, old_leaves;
  const pid_t old_worker = forked([&] {
    const auto size = Registry::open(options_).histogram("size_bytes", "Sizes", {"method"}, {1, 10});
    for (int i = 0; i < kOfOld; ++i) size.with("GET").observe(1);
    old_has_counted.pass();
    old_leaves.receive();
    for (int i = 0; i < kOfOld; ++i) size.with("GET").observe(1);
    return size.error() ? 1 : 0;
  });
  old_has_counted.receive();
  std::string said;
  options_.quiet = true;
  const auto size = Registry::open(options_).summary("size_bytes", "Sizes", {"method"});
  EXPECT_EQ(size.error(), Errc::incompatible);
  EXPECT_NE(size.error().message().find("'size_bytes'"), std::string::npos) << size.error().message();
  EXPECT_NE(size.error().message().find("workers live"), std::string::npos) << size.error().message();
  int answered = 2 * kOfOld;
  const auto answer = [&](int times) {
    for (int i = 0; i < times; ++i) size.with("GET").observe(1);
    answered += times;
  };
  answer(500);
  old_leaves.pass();
  EXPECT_EQ(wait_for(old_worker), 0);
  // The old type's numbers while it stands, and what was dropped: nothing is missing.
  Scrape result = scrape(options_.path);
  EXPECT_EQ(count_of(result.status.declarations_refused, "other_type"), 1u);
  EXPECT_EQ(result["size_bytes_count{method=\"GET\"}"] +
                static_cast<double>(count_of(result.status.updates_dropped, "refused_family")),
            answered);
  EXPECT_TRUE(result.has("size_bytes_bucket{method=\"GET\",le=\"+Inf\"}"));
  const auto is_summary = [&] { return !scrape(options_.path).has("size_bytes_bucket{method=\"GET\",le=\"+Inf\"}"); };
  const auto begin = std::chrono::steady_clock::now();
  while (!is_summary() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(20)) {
    answer(100);
    usleep(10'000);
  }
  const std::chrono::duration<double> healed_after = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(is_summary()) << "tried again once a second by with()";
  answer(100);
  result = scrape(options_.path);
  EXPECT_EQ(2 * kOfOld + result["size_bytes_count{method=\"GET\"}"] +
                static_cast<double>(count_of(result.status.updates_dropped, "refused_family")),
            answered)
      << "what stood under the name is at its end, and all since then is counted or said to be dropped";
  EXPECT_EQ(collector::check_segment(options_.path).verdict, collector::CheckReport::Verdict::kSound);
  std::printf("another type: healed %.2f s after the last old worker had gone, %llu updates dropped\n",
              healed_after.count(),
              static_cast<unsigned long long>(count_of(result.status.updates_dropped, "refused_family")));
}

TEST_F(RollingDeploy, WithoutLabelsAnotherTypeComesToo) {
  const Baton old_has_counted, old_leaves;
  const pid_t old_worker = forked([&] {
    Registry::open(options_).summary("size_bytes", "Size").observe(1);
    old_has_counted.pass();
    old_leaves.receive();
    return 0;
  });
  old_has_counted.receive();
  options_.quiet = true;
  const std::vector<std::string_view> no_labels, no_values;
  const auto size = Registry::open(options_).gauge("size_bytes", "Size", RuntimeLabels(no_labels), GaugeMode::shared);
  EXPECT_EQ(size.error(), Errc::incompatible);
  old_leaves.pass();
  EXPECT_EQ(wait_for(old_worker), 0);
  const auto is_shown = [&] {
    size.with(no_values).set(7);
    const Scrape result = scrape(options_.path);
    return result.has("size_bytes") && result["size_bytes"] == 7;
  };
  for (int waited = 0; waited < 2'000 && !is_shown(); ++waited) usleep(10'000);
  EXPECT_TRUE(is_shown()) << "tried again once a second by with()";
}

TEST_F(RollingDeploy, AnotherTypeIsAppendedAtOnceWhenNobodyLives) {
  EXPECT_EQ(wait_for(forked([&] {
              Registry::open(options_).histogram("size_bytes", "Sizes", {"method"}, {1, 10}).with("GET").observe(1);
              return 0;
            })),
            0);
  const auto size = Registry::open(options_).summary("size_bytes", "Sizes", {"method"});
  EXPECT_FALSE(size.error()) << size.error().message();
  size.with("GET").observe(1);
  const Scrape result = scrape(options_.path);
  EXPECT_EQ(result["size_bytes_count{method=\"GET\"}"], 1);
  EXPECT_EQ(count_of(result.status.updates_dropped, "refused_family"), 0u);
}

}  // namespace
}  // namespace shmetrics::tests
