// Registrations by many processes at once: every acknowledged increment is in its own series, whoever is killed,
// stopped or off the processor. storm.hpp says how. Some seconds.
#include "tests/multiprocess/storm.hpp"

#include <fstream>
#include <thread>

namespace shmetrics::tests {
namespace {

TEST_F(Storm, KilledStoppedAndForkedInItEachProcessHasEachOfItsLabelSetsOnce) {
  rage({.sets = 1000, .busy_loops = 4, .kills = 150, .most_time = std::chrono::seconds(4)});
}

/// Processes that wait for each other and then open, declare and register at once, each for itself.
class Rush : public ::testing::Test {
 protected:
  struct Shared {
    std::atomic<bool> go;
    std::atomic<int> ready;
  };

  static constexpr int kSets = 20;

  pid_t start(int process, int sets, int updates, void (*before)(const Rush&) = nullptr) {
    return forked([this, process, sets, updates, before] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (before != nullptr) before(*this);
      shared_.ready += 1;
      while (!shared_.go) usleep(100);
      const Registry registry = Registry::open(options_);
      const auto hits = registry.counter("hits_total", "Of all", {"n"}, {.series_limit = 10'000, .unit = {}});
      const auto own = registry.counter("own_total", "Of one", {"process"}, {.series_limit = 10'000, .unit = {}});
      const auto duration = registry.histogram("duration_seconds", "Durations", {"n"}, {0.5, 1});
      const Gauge active = registry.gauge("active", "Active");
      for (int n = 0; n < sets; ++n) {
        const Counter counted = hits.with(std::to_string(n));
        const Histogram observed = duration.with(std::to_string(n));
        for (int i = 0; i < updates; ++i) counted.inc();
        for (int i = 0; i < updates; ++i) observed.observe(1);
      }
      own.with(std::to_string(process)).inc();
      active.set(1);
      return hits.error() || own.error() || duration.error() ? 1 : 0;
    });
  }
  double release_and_wait(const std::vector<pid_t>& processes) {
    while (shared_.ready < static_cast<int>(processes.size())) usleep(1000);
    const auto begin = std::chrono::steady_clock::now();
    shared_.go = true;
    for (const pid_t process : processes) EXPECT_EQ(wait_for(process), 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  void check(int processes, int sets, int updates) {
    const Scrape result = scrape(options_.path);
    ASSERT_TRUE(result.status.up) << result.status.problem;
    for (int n = 0; n < sets; ++n) {
      const std::string label = "{n=\"" + std::to_string(n) + "\"}";
      ASSERT_EQ(result["hits_total" + label], processes * updates);
      ASSERT_EQ(result["duration_seconds_count" + label], processes * updates);
    }
    for (int process = 0; process < processes; ++process) {
      ASSERT_EQ(result["own_total{process=\"" + std::to_string(process) + "\"}"], 1);
    }
    EXPECT_TRUE(result.status.series_overflow.empty());
    EXPECT_EQ(result.status.updates_dropped.size(), 5u);
    for (const auto& dropped : result.status.updates_dropped) EXPECT_EQ(dropped.count, 0u) << dropped.reason;
    const DirectoryLog log = read_log(options_.path);
    EXPECT_TRUE(log.problems.empty()) << log.problems.front();
    EXPECT_EQ(log.entries, static_cast<std::uint32_t>(4 + 2 * sets + processes)) << "nothing is there twice";
  }

  TemporaryFolder folder_;
  Options options_{.path = folder_.file("a.seg")};
  Shared& shared_ = shared<Shared>();
};

TEST_F(Rush, ThreeHundredProcessesThatStartAtOnceAgreeOnOneOfEach) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kProcesses = 60;
#else
  constexpr int kProcesses = 300;
#endif
  options_.workers = options_.slots = 512;
  std::vector<pid_t> processes;
  for (int process = 0; process < kProcesses; ++process) processes.push_back(start(process, kSets, 5));
  const double seconds = release_and_wait(processes);
  check(kProcesses, kSets, 5);
  std::printf("%d processes at once: all done in %.2f s\n", kProcesses, seconds);
}

/// A control group whose processes have half a processor together, version 1 or 2.
class HalfAProcessor {
 public:
  HalfAProcessor() {
    for (const auto& [parent, name, quota] : {std::tuple{"/sys/fs/cgroup/cpu/", "cpu.cfs_quota_us", "50000"},
                                              std::tuple{"/sys/fs/cgroup/", "cpu.max", "50000 100000"}}) {
      path_ = parent + ("shmetrics-test-" + std::to_string(getpid()));
      if (mkdir(path_.c_str(), 0755) != 0) continue;
      if (write(name, quota)) return;
      rmdir(path_.c_str());
    }
    path_.clear();
  }
  ~HalfAProcessor() {
    for (int i = 0; !path_.empty() && i < 100 && rmdir(path_.c_str()) != 0; ++i) usleep(10'000);
  }
  HalfAProcessor(const HalfAProcessor&) = delete;
  HalfAProcessor& operator=(const HalfAProcessor&) = delete;
  bool is_there() const { return !path_.empty(); }
  bool enter() const { return write("cgroup.procs", "0"); }
  /// How often it had used up what it may have; nothing is known of it: -1.
  long throttled() const {
    std::ifstream file(path_ + "/cpu.stat");
    std::string word;
    for (long value = 0; file >> word >> value;) {
      if (word == "nr_throttled") return value;
    }
    return -1;
  }

 private:
  bool write(const std::string& name, const std::string& value) const {
    std::ofstream file(path_ + "/" + name);
    return static_cast<bool>(file << value << std::flush);
  }
  std::string path_;
};

const HalfAProcessor* quota = nullptr;

TEST_F(Rush, WithHalfAProcessorForAllOfThemNobodyEndsInTheOverflowSeries) {
  const HalfAProcessor half;
  if (!half.is_there()) GTEST_SKIP() << "NOT TESTED: no control group with a quota of processor time can be made here";
  quota = &half;
  constexpr int kProcesses = 16;
  constexpr int kOfEach = 200;
  constexpr int kUpdates = 20'000;  // after each registration, so that they last over many periods of the quota
  std::vector<pid_t> processes;
  for (int process = 0; process < kProcesses; ++process) {
    processes.push_back(start(process, kOfEach, kUpdates, [](const Rush&) {
      if (!quota->enter()) std::abort();
    }));
  }
  const double seconds = release_and_wait(processes);
  check(kProcesses, kOfEach, kUpdates);
  std::printf("half a processor for %d processes: all done in %.2f s, throttled %ld times\n", kProcesses, seconds,
              half.throttled());
}

// With several threads that register, one may wait for another of its own process longer than 100 ms: busy, and said.
TEST_F(Rush, OfThreadsThatRegisterAtOnceAtMostThoseThatAreCountedAsBusyShareTheOverflowSeries) {
  constexpr int kProcesses = 8;
  constexpr int kThreads = 4;
  constexpr int kOfEach = 300;
  const BusyLoops loops(4);
  std::vector<pid_t> processes;
  for (int process = 0; process < kProcesses; ++process) {
    processes.push_back(forked([&] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const Registry registry = Registry::open(options_);
      const auto hits = registry.counter("hits_total", "Of all", {"n"}, {.series_limit = 10'000, .unit = {}});
      std::vector<std::thread> threads;
      std::atomic<int> children{0};
      for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          for (int i = 0; i < kOfEach; ++i) hits.with(std::to_string((i + t * kOfEach / kThreads) % kOfEach)).inc();
        });
      }
      threads.emplace_back([&] {  // forks while the others are in the middle of something
        for (int i = 0; i < 5; ++i) {
          const pid_t child = fork();
          if (child == 0) {
            for (int n = 0; n < kOfEach; ++n) hits.with(std::to_string(n)).inc();
            _exit(0);  // what the threads of its parent have allocated would pass for a leak
          }
          children += wait_for(child) == 0 ? 1 : 0;
        }
      });
      for (std::thread& thread : threads) thread.join();
      return children == 5 ? 0 : 1;
    }));
  }
  for (const pid_t process : processes) EXPECT_EQ(wait_for(process), 0);
  const Scrape result = scrape(options_.path);
  double sum = 0;
  for (const auto& [name, value] : result.values) sum += value;
  EXPECT_EQ(sum, kProcesses * (kThreads + 5) * kOfEach) << "nothing is lost";
  const char* const overflow = "hits_total{n=\"__overflow__\"}";
  const double shared = result.has(overflow) ? result[overflow] : 0;
  const std::uint64_t busy = overflow_of(result.status, "hits_total", "busy");
  EXPECT_LE(shared, static_cast<double>(busy));
  for (const auto& seen : result.status.series_overflow) EXPECT_EQ(seen.refused.reason, "busy");
  const DirectoryLog log = read_log(options_.path);
  EXPECT_TRUE(log.problems.empty()) << log.problems.front();
  EXPECT_LE(log.entries, 1u + kOfEach);
  std::printf("%d threads in each of %d processes: %llu of %.0f updates busy\n", kThreads, kProcesses,
              static_cast<unsigned long long>(busy), sum);
}

}  // namespace
}  // namespace shmetrics::tests
