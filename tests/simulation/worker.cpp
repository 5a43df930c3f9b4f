#include "tests/simulation/worker.hpp"

#include <shmetrics/shmetrics.hpp>

#include <bit>
#include <random>
#include <string>

#include "tests/simulation/oracle.hpp"
#include "tests/simulation/stage.hpp"

namespace shmetrics::simulation {
namespace {

constexpr int kSeries = 3;
constexpr std::uint32_t kCells = 4096;  // two chunks
constexpr std::uint64_t kDirectoryBytes = 128 * 1024;

class Choice {
 public:
  explicit Choice(std::uint64_t salt) : engine_(stage().seed * 1'000'003 + salt) {}
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }

 private:
  std::mt19937_64 engine_;
};

struct Families {
  Registry registry;
  Family<Counter, 1> hits;
  Family<FloatCounter, 1> cost;
  Family<Histogram, 1> latency, native;
  Family<Summary, 0> size;
  Family<Gauge, 0> alive, level, peak;
};

/// All of a kind's updates pass here: what is acknowledged has been started, and has come back.
template <typename Update>
void counted(Kind kind, Update update) {
  Actor& actor = *self();
  ++actor.started[kind];
  update();
  ++actor.acknowledged[kind];
}

// By the slow path every access is a step.
template <typename Handle, typename Number>
void add_in_steps(const Handle& handle, Number n) {
  const auto parts = std::bit_cast<detail::HandleParts>(handle);
  detail::add_slow(parts.registry, parts.cell, n);
}

/// The value twice, as a worker's number of digits would have it: a mixture of two does not agree.
void observe_with_exemplar(const Histogram& latency, double value) {
  const std::string text = std::to_string(static_cast<int>(value)) + std::string(self()->process % 9, '0');
  latency.observe(value, {text, text});
}

void declare(Families& families, Choice& choice) {
  const Registry& registry = families.registry;
  const std::uint64_t first = choice.below(7);
  for (std::uint64_t i = 0; i < 7; ++i) {  // each begins elsewhere, so that several append at once
    switch ((first + i) % 7) {
      case 0:
        families.hits = registry.counter("sim_hits_total", "Hits", {"n"});
        break;
      case 1:
        families.cost = registry.float_counter("sim_cost_total", "Cost", {"n"});
        break;
      case 2:
        families.latency = registry.histogram("sim_latency", "Latency", {"n"}, {1, 2}, {.exemplars = true});
        families.native = registry.native_histogram("sim_native", "Latency", {"n"}, {.low = 1, .high = 2, .factor = 2},
                                                    {.exemplars = true});
        break;
      case 3:
        families.size = registry.summary("sim_size", "Size");
        break;
      case 4:
        families.alive = registry.gauge("sim_alive", "Who lives", {}, GaugeMode::livesum);
        break;
      case 5:
        families.level = registry.gauge("sim_level", "Level", {}, GaugeMode::sum);
        break;
      default:
        families.peak = registry.gauge("sim_peak", "Peak", {}, GaugeMode::max);
    }
  }
}

void set_alive(const Families& families) {
  Process& process = stage().processes[self()->process];
  process.is_mark_started = true;
  families.alive.set(static_cast<double>(std::uint64_t{1} << self()->process));
  process.is_mark_acknowledged = static_cast<bool>(families.alive);
}

void raise_peak(const Families& families) {
  Process& process = stage().processes[self()->process];
  const std::uint64_t next = process.peak_started + 1 + self()->process;
  process.peak_started = next;
  families.peak.set(static_cast<double>(next));
  if (families.peak) process.peak_acknowledged = next;
}

void update(const Families& families, Choice& choice) {
  const std::string label = std::to_string(choice.below(kSeries));
  switch (stage().plan.only_observes ? 4 + choice.below(3) : choice.below(8)) {
    case 0:
      if (families.hits) counted(kHits, [&] { families.hits.with(label).inc(); });
      break;
    case 1:
    case 2:
      if (families.hits) counted(kHits, [&] { add_in_steps(families.hits.with(label), std::uint64_t{1}); });
      break;
    case 3:
      if (families.cost) counted(kCost, [&] { add_in_steps(families.cost.with(label), kCostStep); });
      break;
    case 4:
    case 5:
      if (!families.latency || !families.native) break;
      self()->observing = 1;
      // In bucket b, of value b + 1: so the sum follows from the buckets.
      counted(kLatency, [&] {
        const auto value = static_cast<double>(1 + choice.below(3));
        observe_with_exemplar((label == "0" ? families.native : families.latency).with(label), value);
      });
      self()->observing = 0;
      break;
    case 6:
      if (!families.size) break;
      self()->observing = 1;
      counted(kSize, [&] { families.size.observe(kSizeStep); });
      self()->observing = 0;
      break;
    default:
      if (families.level) counted(kLevel, [&] { families.level.inc(); });
  }
}

void work(const Families& families, Choice& choice, std::uint64_t operations) {
  for (std::uint64_t i = 0; i < operations; ++i) update(families, choice);
}

// The gauges that say something of a process are its first actor's alone.
void serve(const Families& families, Choice choice) {
  const Plan& plan = stage().plan;
  set_alive(families);
  for (std::uint64_t i = 0; i < plan.operations; ++i) {
    switch (choice.below(10)) {
      case 0:
        raise_peak(families);
        break;
      case 1:
        if (plan.has_threads && stage().actor_count < kMostActors / 2) {
          const std::uint64_t salt = stage().actor_count;
          const std::uint64_t operations = 1 + choice.below(plan.operations);
          start_thread([families, salt, operations] {
            Choice own(salt);
            work(families, own, operations);
          });
        }
        break;
      default:
        update(families, choice);
    }
  }
  if (choice.below(4) == 0) exit_at_once();
}

}  // namespace

void be_worker() {
  Choice choice(1000 + self()->process);
  Options options;
  options.path = stage().path;
  options.quiet = true;
  options.workers = stage().plan.workers;
  options.slots = stage().plan.slots;
  options.cells = kCells;
  options.directory_bytes = kDirectoryBytes;
  std::error_code error;
  Families families;
  families.registry = Registry::open(options, error);
  if (error) return;  // out of patience: the plan's clock may be a fast one
  declare(families, choice);
  if (!stage().plan.is_prefork) return serve(families, choice);

  for (std::uint64_t children = 1 + choice.below(3); children > 0; --children) {
    if (stage().process_count + 4 >= kMostProcesses) break;
    if (stage().plan.has_threads && choice.below(2) == 0) {
      const std::uint64_t salt = stage().actor_count;
      start_thread([families, salt]() mutable {  // registers while the master forks
        Choice own(salt);
        declare(families, own);
        work(families, own, 3);
      });
    }
    start_process([families] { serve(families, Choice(1000 + self()->process)); });
    work(families, choice, choice.below(3));
  }
  work(families, choice, choice.below(5));
}

void be_reader() {
  Oracle oracle(stage().path);
  for (int scrapes = 0; scrapes < 6; ++scrapes) {
    if (const std::string problem = oracle.look(); !problem.empty()) return fail("the reader: " + problem);
  }
}

int fill_first_chunk(const char* path, bool of_gauges) {
  Options options;
  options.path = path;
  options.quiet = true;
  options.cells = kCells;
  options.directory_bytes = kDirectoryBytes;
  options.series_per_family = 2000;
  const Registry registry = Registry::open(options);
  if (of_gauges) {
    const auto gauges = registry.gauge("fill", "Fills process slots", {"n"});
    for (int i = 0; i < 1022; ++i) static_cast<void>(gauges.with(std::to_string(i)));
  } else {
    for (int i = 0; i < 30; ++i) {
      static_cast<void>(registry.histogram("fill_" + std::to_string(i), "Fills slots", {}, linear_buckets(1, 1, 64)));
    }
  }
  return 0;
}

int be_survivor(const char* path) {
  Options options;
  options.path = path;
  options.quiet = true;
  Families families;
  std::error_code error;
  families.registry = Registry::open(options, error);
  if (error) {
    std::fprintf(stderr, "survivor: %s\n", error.message().c_str());
    return 1;
  }
  Choice choice(0);
  declare(families, choice);
  const bool all = families.hits && families.cost && families.latency && families.native && families.size &&
                   families.alive && families.level && families.peak;
  if (!all) return 2;
  families.hits.with("0").inc();
  families.cost.with("0").inc(kCostStep);
  families.latency.with("0").observe(1);
  families.size.observe(kSizeStep);
  families.level.inc();
  return 0;
}

}  // namespace shmetrics::simulation
