// What does an update cost, beside the bare memory operations of the same run?
//
//   floor_*      load, add, store on a word of a shared mapping; hash and compare for a lookup; no library
//   held_*       a handle that is kept: one thread, two threads, or beside another process that does the same
//   batch_*      1,000 updates in a loop, of a program in C++ and of one in C
//   with_*       three label values looked up at each update, among 10,000 series
//   register_*   the first look-up of a label set in all processes
//
// Run: build/release/bin/update_bench. Ratios between rows of one run mean something; absolute times are the machine's.
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/update_loop.h"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

using Word = std::atomic<std::uint64_t>;
using Double = std::atomic<double>;

constexpr int kSeries = 10000;
const std::vector<double> kBounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

// 1,024 durations, evenly on a log scale from 1 ms to 63 s, in an order that no branch predictor learns.
const std::vector<double>& durations() {
  static const std::vector<double> values = [] {
    std::vector<double> made(1024);
    for (std::size_t k = 0; k < made.size(); ++k)
      made[k] = 0.001 * std::pow(10, 4.8 * static_cast<double>(k * 397 % 1024) / 1024);
    return made;
  }();
  return values;
}

struct Labels {
  std::string method, route, status;
};
const std::vector<Labels>& label_sets() {
  static const std::vector<Labels> sets = [] {
    constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};
    constexpr const char* kStatuses[] = {"200", "201", "404", "500", "503"};
    std::vector<Labels> made;
    for (int i = 0; i < kSeries; ++i) {
      made.push_back({kMethods[i % 4], "/api/v1/resource/" + std::to_string(i / 20), kStatuses[i / 4 % 5]});
    }
    return made;
  }();
  return sets;
}

/// One segment for the whole run; every benchmark checks what it counted in it.
struct Store {
  shmetrics::tests::TemporaryFolder folder;
  shmetrics::Registry registry = [this] {
    shmetrics::Options options;
    options.path = folder.file("bench.seg");
    options.series_per_family = 100 * kSeries;
    options.directory_bytes = 64 << 20;
    options.cells = 1 << 18;
    return shmetrics::Registry::open(options);
  }();
  double exposed(const std::string& series) const { return shmetrics::tests::scrape(registry.path())[series]; }
};
Store& store() {
  static Store instance;
  return instance;
}

void check(benchmark::State& state, double before, double after, double expected) {
  if (after - before != expected) state.SkipWithError("the scrape does not show what was counted");
}

/// How many other processes do the same at the same time; and they are gone with this.
class Siblings {
 public:
  template <typename Update>
  Siblings(std::int64_t processes, Update update) {
    const shmetrics::tests::Baton started;
    for (std::int64_t i = 0; i < processes; ++i) {
      children_.push_back(shmetrics::tests::forked([&] {
        update();
        started.pass();
        for (;;) update();
        return 0;
      }));
    }
    started.receive(static_cast<int>(processes));
  }
  ~Siblings() {
    for (const pid_t child : children_) shmetrics::tests::kill_and_wait(child);
  }

 private:
  std::vector<pid_t> children_;
};

/// Times `update` in 1 or 2 threads, or beside another process, and holds what `series` shows against the number of
/// updates; beside others it must show at least that many.
template <typename Update>
void measure(benchmark::State& state, const std::string& series, double step, Update update) {
  const bool is_alone = state.threads() == 1 && state.range(0) == 0;
  const double before = state.threads() == 1 ? store().exposed(series) : 0;
  {
    const Siblings siblings(state.range(0), update);
    for (auto _ : state) {
      update();
      benchmark::ClobberMemory();
    }
  }
  if (state.threads() > 1) return;
  const double counted = store().exposed(series) - before;
  const double expected = step * static_cast<double>(state.iterations());
  if (is_alone ? counted != expected : counted < expected)
    state.SkipWithError("the scrape does not show what was counted");
}

// A thread alone; two threads; a thread beside another process.
void each_way(benchmark::internal::Benchmark* bench) {
  bench->ArgName("others")->Arg(0)->ThreadRange(1, 2);
}
void beside_a_process(benchmark::internal::Benchmark* bench) {
  bench->ArgName("others")->Arg(1);
}

template <typename T>
T* shared_words() {
  return static_cast<T*>(mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

void floor_counter(benchmark::State& state) {
  Word* word = shared_words<Word>();
  for (auto _ : state) {
    word->store(word->load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(floor_counter)->ThreadRange(1, 2);

void held_counter(benchmark::State& state) {
  static const auto family = store().registry.counter("held_total", "Held");
  const shmetrics::Counter counter = family;
  measure(state, "held_total", 1, [counter] { counter.inc(); });
}
BENCHMARK(held_counter)->Apply(each_way);
BENCHMARK(held_counter)->Apply(beside_a_process);

constexpr std::uint64_t kBatch = 1000;

void batch_of_cpp(benchmark::State& state) {
  static const auto family = store().registry.counter("cpp_total", "From C++");
  const shmetrics::Counter counter = family;
  measure(state, "cpp_total", kBatch, [counter] {
    for (std::uint64_t i = 0; i < kBatch; ++i) {
      counter.inc();
      benchmark::ClobberMemory();
    }
  });
}
BENCHMARK(batch_of_cpp)->ArgName("others")->Arg(0);

void batch_of_c(benchmark::State& state) {
  shmetrics_options options{};
  options.size = sizeof options;
  options.path = store().registry.path().c_str();
  static const shmetrics_counter counter = shmetrics_counter_with(
      shmetrics_declare_counter(shmetrics_open(&options, nullptr), "c_total", "From C", nullptr, 0, nullptr, nullptr),
      nullptr, 0);
  measure(state, "c_total", kBatch, [] { bench_counter_inc(counter, kBatch); });
}
BENCHMARK(batch_of_c)->ArgName("others")->Arg(0);

void floor_float_counter(benchmark::State& state) {
  Double* word = shared_words<Double>();
  for (auto _ : state) {
    word->store(word->load(std::memory_order_relaxed) + 1.5, std::memory_order_relaxed);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(floor_float_counter)->ThreadRange(1, 2);

void held_float_counter(benchmark::State& state) {
  static const auto family = store().registry.float_counter("spent_total", "Spent");
  const shmetrics::FloatCounter counter = family;
  measure(state, "spent_total", 1.5, [counter] { counter.inc(1.5); });
}
BENCHMARK(held_float_counter)->Apply(each_way);
BENCHMARK(held_float_counter)->Apply(beside_a_process);

void floor_lookup(benchmark::State& state) {
  std::unordered_map<std::string, Word*> map;
  Word* words = shared_words<Word>();
  for (std::size_t i = 0; i < kSeries; ++i) {
    const Labels& set = label_sets()[i];
    map[set.method + '\0' + set.route + '\0' + set.status] = words + i;
  }
  std::string key;
  std::size_t i = 0;
  for (auto _ : state) {
    const Labels& set = label_sets()[i++ % kSeries];
    key.assign(set.method).append(1, '\0').append(set.route).append(1, '\0').append(set.status);
    Word* word = map.find(key)->second;
    word->store(word->load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
}
BENCHMARK(floor_lookup)->ThreadRange(1, 2);

void with_three_labels(benchmark::State& state) {
  static const auto family = [] {
    const auto made = store().registry.counter("labelled_total", "Labelled", {"method", "route", "status_code"});
    for (const Labels& set : label_sets()) made.with(set.method, set.route, set.status);
    return made;
  }();
  std::size_t i = 0;
  const auto update = [&i] {
    const Labels& set = label_sets()[i++ % kSeries];
    family.with(set.method, set.route, set.status).inc();
  };
  const std::string first = "labelled_total{method=\"GET\",route=\"/api/v1/resource/0\",status_code=\"200\"}";
  const double before = state.threads() == 1 ? store().exposed(first) : 0;
  {
    const Siblings siblings(state.range(0), update);
    for (auto _ : state) update();
  }
  if (state.threads() > 1) return;
  const double expected = static_cast<double>((i + kSeries - 1) / kSeries);
  if (store().exposed(first) - before < expected) state.SkipWithError("the scrape does not show what was counted");
}
BENCHMARK(with_three_labels)->Apply(each_way);
BENCHMARK(with_three_labels)->Apply(beside_a_process);

void floor_histogram(benchmark::State& state) {
  Word* buckets = shared_words<Word>();
  Double* sum = shared_words<Double>();
  std::size_t i = 0;
  for (auto _ : state) {
    const double value = durations()[i++ & 1023];
    std::size_t bucket = 0;
    for (const double bound : kBounds) bucket += value > bound ? 1 : 0;
    buckets[bucket].store(buckets[bucket].load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sum->store(sum->load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(floor_histogram)->ThreadRange(1, 2);

void held_histogram(benchmark::State& state) {
  static const auto family = store().registry.histogram("held_seconds", "Held", {}, kBounds);
  const shmetrics::Histogram histogram = family;
  std::size_t i = 0;
  measure(state, "held_seconds_count", 1, [histogram, i]() mutable { histogram.observe(durations()[i++ & 1023]); });
}
BENCHMARK(held_histogram)->Apply(each_way);
BENCHMARK(held_histogram)->Apply(beside_a_process);

// Of the cells that docs/native-histograms.md counts for a web request, and of nearly as many as there may be.
void held_native(benchmark::State& state) {
  static const auto web = store().registry.native_histogram("native_seconds", "Native", {}, {.low = 1e-4, .high = 60});
  static const auto wide = store().registry.native_histogram("native_wide_seconds", "Native", {},
                                                             {.low = 1e-9, .high = 1e9, .factor = 1.0443});
  const shmetrics::Histogram histogram = state.range(1) == 0 ? web : wide;
  std::size_t i = 0;
  measure(state, state.range(1) == 0 ? "native_seconds_count" : "native_wide_seconds_count", 1,
          [histogram, i]() mutable { histogram.observe(durations()[i++ & 1023]); });
}
BENCHMARK(held_native)->Args({0, 0})->Args({0, 1});

// Beside held_histogram: the clock, and the words of the exemplar.
void held_histogram_with_exemplar(benchmark::State& state) {
  static const auto family = store().registry.histogram("traced_seconds", "Held", {}, kBounds, {.exemplars = true});
  const shmetrics::Histogram histogram = family;
  std::size_t i = 0;
  measure(state, "traced_seconds_count", 1, [histogram, i]() mutable {
    histogram.observe(durations()[i++ & 1023], {"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"});
  });
}
BENCHMARK(held_histogram_with_exemplar)->Apply(each_way);

void floor_gauge(benchmark::State& state) {
  static Double* word = shared_words<Double>();
  for (auto _ : state) {
    double seen = word->load(std::memory_order_relaxed);
    while (!word->compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed)) {
    }
  }
}
BENCHMARK(floor_gauge)->ThreadRange(1, 2);

void held_gauge(benchmark::State& state) {
  static const auto family = store().registry.gauge("held_in_flight", "Held", {}, shmetrics::GaugeMode::sum);
  const shmetrics::Gauge gauge = family;
  measure(state, "held_in_flight", 1, [gauge] { gauge.inc(); });
}
BENCHMARK(held_gauge)->Apply(each_way);
BENCHMARK(held_gauge)->Apply(beside_a_process);

// The first with() of a label set: lock, append, publish. Each iteration registers a series that nobody has.
void register_series(benchmark::State& state) {
  static const auto family = store().registry.counter("registered_total", "Registered", {"n"});
  static std::uint64_t next = 0;
  std::uint64_t first = next;
  for (auto _ : state) family.with(std::to_string(next++)).inc();
  const std::string last = "registered_total{n=\"" + std::to_string(first) + "\"}";
  check(state, 0, store().exposed(last), 1);
}
BENCHMARK(register_series)->Iterations(10000)->Unit(benchmark::kMicrosecond);

}  // namespace
