// A storm of registrations: many processes register the same label sets and their own at the same time, are killed and
// stopped in the middle, fork, and find the processor taken. Bounded: storm_test.cpp, long: storm_long_test.cpp.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "collector/check.hpp"
#include "tests/forked.hpp"
#include "tests/multiprocess/busy_loops.hpp"
#include "tests/multiprocess/directory_log.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

class Storm : public ::testing::Test {
 protected:
  using Clock = std::chrono::steady_clock;
  static constexpr int kProcesses = 16;
  static constexpr int kVictims = kProcesses / 2;  // the others are left alone
  static constexpr int kMostSets = 2000;
  struct Size {
    int sets;  // label sets that all share, and as many of each process alone
    int busy_loops;
    int kills;  // in all: as many storms as it takes
    std::chrono::seconds most_time;
  };
  struct Shared {
    // Added to after each update, so never ahead.
    std::atomic<std::uint32_t> shared_sets[kMostSets];
    std::atomic<std::uint32_t> own_sets[kProcesses][kMostSets];
    std::atomic<std::uint64_t> limited;
    std::atomic<int> progress[kProcesses];  // steps that its incarnations have done
    std::atomic<int> forks;
    std::atomic<int> scrapes;
    std::atomic<bool> stop;
    std::atomic<bool> all_have_ended;
  };

  Storm() {
    prctl(PR_SET_CHILD_SUBREAPER, 1);   // what victims have forked is waited for too
    setpriority(PRIO_PROCESS, 0, -10);  // if it may: or so many loops leave the killer little time
  }
  ~Storm() override {
    if (acknowledged_ != nullptr) acknowledged_->stop = true;
    for (const pid_t process : processes_) {
      if (process > 0) kill(process, SIGCONT);
    }
  }

  struct Families {
    Family<Counter, 1> shared;
    Family<Counter, 2> own;
    Family<Counter, 1> limited;
  };
  /// In each process anew: nobody inherits what another knows.
  Families declare() const {
    const Registry registry = Registry::open(options_);
    return {registry.counter("shared_total", "Of all", {"n"}, {.series_limit = 100'000, .unit = {}}),
            registry.counter("own_total", "Of one", {"process", "n"}, {.series_limit = 100'000, .unit = {}}),
            registry.counter("limited_total", "Of few", {"n"}, {.series_limit = limit(), .unit = {}})};
  }
  std::uint32_t limit() const { return static_cast<std::uint32_t>(size_.sets / 2); }
  int steps() const { return 3 * size_.sets; }

  /// One label set more: of all, of its own, or one that half of must share the overflow series.
  void step(const Families& families, int process, int number) {
    const int kind = number / size_.sets;
    const int n = number % size_.sets;
    if (kind == 0) {
      families.shared.with(std::to_string(n)).inc();
      acknowledged_->shared_sets[n].fetch_add(1, std::memory_order_release);
    } else if (kind == 1) {
      families.own.with(std::to_string(process), std::to_string(n)).inc();
      acknowledged_->own_sets[process][n].fetch_add(1, std::memory_order_release);
    } else {
      families.limited.with(std::to_string(n)).inc();
      acknowledged_->limited.fetch_add(1, std::memory_order_release);
    }
  }
  int run(int process) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpriority(PRIO_PROCESS, 0, 0);
    const Families families = declare();
    std::vector<int> order(static_cast<std::size_t>(steps()));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(process)));
    // What all share comes in one order, so that they are at the same label sets at the same time.
    for (int next = 0; int& number : order) number = number < size_.sets ? next++ : number;
    std::atomic<int>& progress = acknowledged_->progress[process];
    for (int at = progress; at < steps(); progress = ++at) {
      step(families, process, order[static_cast<std::size_t>(at)]);
      if (at % (steps() / 16) != steps() / 32) continue;
      acknowledged_->forks += 1;
      if (fork() == 0) {  // goes ahead of its parent, so that both register the same for a while
        for (int ahead = at; ahead < std::min(at + steps() / 16, steps()); ++ahead) {
          step(families, process, order[static_cast<std::size_t>(ahead)]);
        }
        std::exit(0);
      }
    }
    std::mt19937 random(static_cast<unsigned>(process));
    while (!acknowledged_->stop) step(families, process, static_cast<int>(random() % static_cast<unsigned>(steps())));
    return 0;
  }
  /// Kills or stops a victim that has come on since its start; one that never does anything would prove nothing.
  void harm(int victim) {
    const auto at = static_cast<std::size_t>(victim);
    if (acknowledged_->progress[victim] == begun_at_[at] || acknowledged_->progress[victim] == steps()) return;
    if (random_() % 2 == 0) {
      kill(processes_[at], SIGSTOP);
      stopped_.emplace_back(processes_[at], Clock::now() + std::chrono::milliseconds(random_() % 40));
      ++stops_;
      return;
    }
    kill(processes_[at], SIGKILL);
    dying_.push_back(processes_[at]);  // not waited for: it needs the processor for its end
    ++kills_[at];
    start(victim);
  }
  void wake_up_who_has_slept() {
    while (!stopped_.empty() && Clock::now() >= stopped_.front().second) {
      kill(stopped_.front().first, SIGCONT);
      stopped_.pop_front();
    }
  }
  void start(int process) {
    const auto at = static_cast<std::size_t>(process);
    begun_at_[at] = acknowledged_->progress[process];
    processes_[at] = forked([&, process] { return run(process); });
  }
  bool all_have_registered() const {
    return std::all_of(std::begin(acknowledged_->progress), std::end(acknowledged_->progress),
                       [&](const std::atomic<int>& done) { return done >= steps(); });
  }
  int kills() const { return std::accumulate(kills_.begin(), kills_.end(), 0); }

  /// Nothing that was shown goes back, and no label set has been sent to the overflow series.
  void look(collector::Scraper& scraper) {
    const std::uint64_t before = acknowledged_->limited;
    const Scrape seen = scrape(scraper);
    if (!seen.status.up) return;  // nobody has made it yet
    acknowledged_->scrapes += 1;
    for (const auto& [name, value] : seen.values) {
      ASSERT_GE(value, std::exchange(highest_[name], value)) << name << " went back";
    }
    ASSERT_GE(seen.values.size(), highest_.size()) << "something that was shown is gone";
    ASSERT_FALSE(seen.has("shared_total{n=\"__overflow__\"}"));
    ASSERT_FALSE(seen.has("own_total{process=\"__overflow__\",n=\"__overflow__\"}"));
    double limited = 0;
    for (const auto& [name, value] : seen.values) limited += name.starts_with("limited_total") ? value : 0;
    ASSERT_GE(limited, static_cast<double>(before));
  }

  /// A process of its own, at 20 Hz; once more when all have ended.
  int watch() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    collector::Scraper scraper(path_);
    for (bool is_last = false; !HasFailure() && !is_last; usleep(50'000)) {
      is_last = acknowledged_->all_have_ended;
      look(scraper);
    }
    return HasFailure() ? 1 : 0;
  }
  void rage(Size size) {
    size_ = size;
    const auto begin = Clock::now();
    const BusyLoops loops(size.busy_loops);
    while (kills_in_all_ < size.kills && Clock::now() - begin < size.most_time) {
      ASSERT_NO_FATAL_FAILURE(rage_once());
      ++storms_;
    }
    std::printf(
        "%d storms of %d label sets, %.2f s each in the mean: %d kills (%.0f updates in flight), %d stops, %d forks, "
        "%d "
        "scrapes; at most %.3f of the bytes of the records given out\n",
        storms_, label_sets(), seconds_ / storms_, kills_in_all_, in_flight_in_all_, stops_, forks_, scrapes_,
        most_bytes_);
  }
  void rage_once() {
    options_.path = path_ = folder_.file(std::to_string(storms_) + ".seg");
    acknowledged_ = &shared<Shared>();
    stopped_.clear();
    std::fill(kills_.begin(), kills_.end(), 0);
    const auto begin = Clock::now();
    for (int process = 0; process < kProcesses; ++process) start(process);
    const pid_t reader = forked([&] { return watch(); });
    while (!all_have_registered()) {
      ASSERT_LT(Clock::now() - begin, std::chrono::minutes(4)) << "somebody comes to no end";
      usleep(static_cast<useconds_t>(random_() % 500));
      for (int i = 0; i < 2; ++i) ASSERT_NO_FATAL_FAILURE(harm(static_cast<int>(random_() % kVictims)));
      wake_up_who_has_slept();
    }
    seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
    acknowledged_->stop = true;
    for (const pid_t process : processes_) kill(process, SIGCONT);
    for (const pid_t process : std::exchange(dying_, {})) EXPECT_EQ(wait_for(process), -SIGKILL);
    for (pid_t& process : processes_) EXPECT_EQ(wait_for(std::exchange(process, 0)), 0);
    while (orphans_are_left(size_.busy_loops + 1)) {
      waitpid(-1, nullptr, WNOHANG);
      usleep(1000);
    }
    acknowledged_->all_have_ended = true;
    EXPECT_EQ(wait_for(reader), 0) << "it says above what it saw";
    scrapes_ += acknowledged_->scrapes;
    check();
    kills_in_all_ += kills();
    forks_ += acknowledged_->forks;
    munmap(acknowledged_, sizeof *acknowledged_);
    acknowledged_ = nullptr;
    unlink(path_.c_str());
  }
  /// Children of victims end by themselves; the busy loops do not.
  static bool orphans_are_left(int loops) {
    std::FILE* file = std::fopen("/proc/thread-self/children", "r");
    int count = 0;
    for (int pid = 0; file != nullptr && std::fscanf(file, "%d", &pid) == 1;) ++count;
    if (file != nullptr) std::fclose(file);
    return count > loops;
  }

  void check() {
    const Scrape result = scrape(path_);
    double in_flight = 0;
    for (int n = 0; n < size_.sets; ++n) {
      const double shown = result["shared_total{n=\"" + std::to_string(n) + "\"}"] - acknowledged_->shared_sets[n];
      ASSERT_GE(shown, 0) << "shared set " << n;
      in_flight += shown;
    }
    for (int process = 0; process < kProcesses; ++process) {
      const std::string labels = "own_total{process=\"" + std::to_string(process) + "\",n=\"";
      double of_process = 0;
      for (int n = 0; n < size_.sets; ++n) {
        const double shown = result[labels + std::to_string(n) + "\"}"] - acknowledged_->own_sets[process][n];
        ASSERT_GE(shown, 0) << labels << n;
        of_process += shown;
      }
      EXPECT_LE(of_process, kills_[static_cast<std::size_t>(process)]);
      in_flight += of_process;
    }
    double limited = 0;
    for (const auto& [name, value] : result.values) limited += name.starts_with("limited_total") ? value : 0;
    EXPECT_GE(limited, static_cast<double>(acknowledged_->limited));
    in_flight += limited - static_cast<double>(acknowledged_->limited);
    EXPECT_LE(in_flight, kills()) << "a kill leaves one update in flight";
    for (const auto& overflow : result.status.series_overflow) {
      EXPECT_EQ(overflow.family, "limited_total") << overflow.refused.reason;
      EXPECT_EQ(overflow.refused.reason, "series_limit");
    }
    in_flight_in_all_ += in_flight;
    check_log();
  }
  int label_sets() const { return size_.sets * (1 + kProcesses) + static_cast<int>(limit()); }
  void check_log() {
    const DirectoryLog log = read_log(path_);
    EXPECT_TRUE(log.problems.empty()) << log.problems.front();
    const auto sets = static_cast<std::uint64_t>(size_.sets);
    EXPECT_EQ(log.label_sets.at("shared_total"), sets);
    EXPECT_EQ(log.label_sets.at("own_total"), sets * kProcesses);
    EXPECT_EQ(log.label_sets.at("limited_total"), limit()) << "the limit is reached, and exactly";
    EXPECT_EQ(log.generations,
              (std::map<std::string, std::uint32_t>{{"shared_total", 1}, {"own_total", 1}, {"limited_total", 1}}));
    const auto cells = shm::kPrefixCells + 3 * (1 + shm::kOverflowReasons) + static_cast<std::uint32_t>(label_sets());
    EXPECT_EQ(log.cells.thread_cells, cells);
    const auto report = collector::check_segment(path_);
    EXPECT_EQ(report.verdict, collector::CheckReport::Verdict::kSound) << report.findings.at(0);
    most_bytes_ = std::max(most_bytes_, static_cast<double>(log.heap_bytes) / static_cast<double>(log.record_bytes));
  }

  TemporaryFolder folder_;
  std::string path_;
  Options options_;
  Size size_{};
  Shared* acknowledged_ = nullptr;
  std::vector<pid_t> processes_ = std::vector<pid_t>(kProcesses);
  std::vector<int> begun_at_ = std::vector<int>(kProcesses);
  std::vector<int> kills_ = std::vector<int>(kProcesses);
  std::vector<pid_t> dying_;
  std::deque<std::pair<pid_t, Clock::time_point>> stopped_;
  std::map<std::string, double> highest_;
  std::mt19937 random_{23};
  int storms_ = 0;
  int kills_in_all_ = 0;
  int stops_ = 0;
  int forks_ = 0;
  double seconds_ = 0;
  double in_flight_in_all_ = 0;
  double most_bytes_ = 0;
  int scrapes_ = 0;
};

}  // namespace shmetrics::tests
