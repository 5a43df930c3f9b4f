#include "tests/simulation/simulation.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

#include "shm/descriptor.hpp"
#include "shm/layout.hpp"
#include "tests/forked.hpp"
#include "tests/simulation/oracle.hpp"
#include "tests/simulation/worker.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::simulation {
namespace {

constexpr std::uint64_t kMostTurns = 100'000;  // beyond that, somebody waits for ever

constexpr std::uint32_t kLongStrides = 20;  // the style of seeds with thousands of cells

class Simulation {
 public:
  Simulation(std::uint64_t seed, Mutant mutant) : random_(seed) {
    clear_stage();
    Stage& all = stage();
    all.seed = seed;
    all.mutant = mutant;
    std::snprintf(all.path, sizeof all.path, "%s", folder_.file("a.seg").c_str());
    Plan& plan = all.plan;
    plan.is_root = one_in(3);
    plan.is_prefork = one_in(3);
    plan.has_threads = one_in(3);
    // Mostly room for all, but sometimes entries or slots run out.
    plan.workers = one_in(4) ? 1 + below(3) : 16;
    plan.slots = one_in(4) ? 1 + below(3) : 32;
    plan.operations = 2 + below(12);
    constexpr std::uint32_t kTicks[] = {100, 1'000, 10'000,
                                        1'000'000};  // ns a step; the last runs out of every patience
    plan.tick_ns = kTicks[below(4)];
    plan.only_observes = mutant == Mutant::kClaimerCompletesRedo || one_in(5);
    style_ = below(kLongStrides);
    kills_left_ = below(6);
    starts_left_ = 1 + below(4) + kills_left_;
    has_reader_ = one_in(4);
    if (plan.only_observes) {  // slots go from the killed to the next, in the middle of observations
      plan.slots = 1 + below(3);
      plan.is_prefork = plan.has_threads = false;
      style_ = 1 + below(14);
      kills_left_ = 6;
      starts_left_ = 14;
    } else if (one_in(8)) {
      begin_with_full_chunk(one_in(3));
      style_ = kLongStrides;
    }
  }

  Outcome run() {
    oracle_.emplace(stage().path);
    for (std::uint64_t i = 1 + below(3); i > 0; --i) start();
    if (has_reader_) start_process(be_reader);
    while (outcome_.failure.empty() && take_turn()) look();
    if (outcome_.failure.empty()) end();
    for (std::uint32_t i = 0; i < stage().process_count; ++i) {
      if (stage().processes[i].is_alive && stage().processes[i].pid != 0) kill_process(i);
    }
    outcome_.steps = stage().steps;
    outcome_.workers = stage().process_count;
    outcome_.scrapes = oracle_->scrapes();
    outcome_.exemplars = oracle_->exemplars();
    return outcome_;
  }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

  void start() {
    if (starts_left_ == 0 || stage().process_count + 8 >= kMostProcesses) return;
    --starts_left_;
    start_process(be_worker);
  }

  std::uint64_t budget() {
    if (style_ == kLongStrides) return one_in(3) ? below(4) : below(2000);
    if (style_ == 0) return 0;
    if (style_ < 5) return below(4);
    if (style_ < 10) return below(30);
    if (style_ < 15) return one_in(4) ? below(200) : below(3);
    return one_in(3) ? 0 : below(100);
  }

  // Copies one of two segments that are made once and have no name, holes and all.
  static void begin_with_full_chunk(bool of_gauges) {
    static int originals[2] = {-1, -1};
    int& from = originals[of_gauges ? 1 : 0];
    if (from < 0) {
      const tests::TemporaryFolder folder;
      const std::string path = folder.file("full.seg");
      tests::wait_for(tests::forked([&] { return fill_first_chunk(path.c_str(), of_gauges); }));
      from = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    }
    const shm::Descriptor to(open(stage().path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const off_t size = lseek(from, 0, SEEK_END);
    bool is_copied = from >= 0 && to && ftruncate(to.get(), size) == 0;
    std::vector<char> page(shm::kPageBytes);
    for (off_t at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0 && is_copied; at += shm::kPageBytes) {
      is_copied = pread(from, page.data(), page.size(), at) == static_cast<ssize_t>(page.size()) &&
                  pwrite(to.get(), page.data(), page.size(), at) == static_cast<ssize_t>(page.size());
    }
    if (!is_copied) throw std::runtime_error("copy a segment");
  }

  // Favours nobody, but for the one that is put to sleep for long: a claimer that was stopped for minutes.
  Actor* pick() {
    Stage& all = stage();
    std::uint32_t ready[kMostActors];
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < all.actor_count; ++i) {
      if (all.actors[i].phase == Phase::kReady) ready[count++] = i;
    }
    if (count == 0) return nullptr;
    if (asleep_until_ <= outcome_.turns && one_in(40)) {
      asleep_ = ready[below(count)];
      asleep_until_ = outcome_.turns + below(200);
    }
    const std::uint32_t chosen = ready[below(count)];
    const bool sleeps = chosen == asleep_ && asleep_until_ > outcome_.turns && count > 1;
    return &all.actors[sleeps ? ready[below(count)] : chosen];
  }

  bool take_turn() {
    if (one_in(stage().plan.only_observes ? 6 : 20)) start();
    Actor* actor = pick();
    if (actor == nullptr) {
      if (starts_left_ == 0) return false;
      start();
      return true;
    }
    ++outcome_.turns;
    const bool is_target = stage().plan.only_observes ? actor->observing != 0 && one_in(5) : one_in(25);
    if (kills_left_ > 0 && is_target) {
      const Process& victim = stage().processes[actor->process];
      if (victim.pid != 0) {
        --kills_left_;
        ++outcome_.kills;
        kill_process(actor->process);
        return true;
      }
    }
    if (!give_turn(*actor, budget())) outcome_.failure = "an actor did not come back within a minute";
    if (outcome_.turns > kMostTurns) outcome_.failure = "somebody waits for ever";
    if (stage().failure[0] != '\0') outcome_.failure = stage().failure;
    return outcome_.failure.empty();
  }

  void look() {
    outcome_.failure = judge_slots();
    if (!outcome_.failure.empty() || !one_in(style_ == 0 ? 20 : 4)) return;
    outcome_.failure = one_in(16) && outcome_.kills > 0 ? oracle_->look_and_check() : oracle_->look();
  }

  // Nobody is left: what was killed is made good by whoever comes next.
  void end() {
    outcome_.failure = oracle_->look_at_the_end();
    if (!outcome_.failure.empty()) return;
    double before[kKinds];
    for (int kind = 0; kind < kKinds; ++kind) before[kind] = oracle_->shown(static_cast<Kind>(kind));
    const int code = tests::wait_for(tests::forked([] { return be_survivor(stage().path); }));
    if (code != 0) {
      outcome_.failure = "the next worker ended with " + std::to_string(code);
      return;
    }
    for (std::uint64_t& started : stage().actors[kMostActors - 1].started) ++started;
    for (std::uint64_t& acknowledged : stage().actors[kMostActors - 1].acknowledged) ++acknowledged;
    outcome_.failure = oracle_->look_at_the_end();
    // Of gauges that go on over deaths, those of an entry whose claimer was killed are hidden until the next claim of
    // that entry: they alone may come back.
    for (int kind = 0; kind < kLevel && outcome_.failure.empty(); ++kind) {
      const double now = oracle_->shown(static_cast<Kind>(kind));
      if (now != before[kind] + 1) {
        outcome_.failure = "the next worker's update " + std::to_string(kind) + " made " + std::to_string(now) +
                           " of " + std::to_string(before[kind]);
      }
    }
  }

  tests::TemporaryFolder folder_;
  std::mt19937_64 random_;
  std::optional<Oracle> oracle_;
  Outcome outcome_;
  std::uint32_t style_ = 0;
  std::uint64_t kills_left_ = 0, starts_left_ = 0;
  bool has_reader_ = false;
  std::uint32_t asleep_ = kMostActors;
  std::uint64_t asleep_until_ = 0;
};

}  // namespace

Outcome simulate(std::uint64_t seed, Mutant mutant) {
  return Simulation(seed, mutant).run();
}

}  // namespace shmetrics::simulation
