// What does a scrape (read, merge, render; no HTTP) cost, beside its floor in the same run?
//
//   floor/P/N     sum P arrays of N words, write N kept prefixes and the digits of the sums
//   patched/P/N/C the floor when the text of the last time is kept: digits are written into the C % of its lines that
//                 have changed, and it is copied for the answer
//   counters/P/N  N counters of three labels in the slots of P processes
//   histograms/P/N   N histograms of 12 finite buckets, likewise
//   native/P/N    N native histograms of some 180 cells, likewise
//   counters_protobuf, histograms_protobuf, native_protobuf   the same segments by protobuf
//   churn/D       100 counters that D workers have counted in, one after the other, each killed
//   first/P/N     the first look at counters/P/N: reads the directory, sorts, writes the prefixes
//
// Run: build/release/bin/scrape_bench [--benchmark_format=json]
// Counters of a row: bytes of the answer, these in gzip, and peak_mb, what this process had in memory at most until
// then.
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collector/family_groups.hpp"
#include "collector/protobuf.hpp"
#include "exporter/scrape/compression.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

using shmetrics::Registry;

std::vector<std::string> labels_of(int i) {
  constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};
  constexpr const char* kStatuses[] = {"200", "201", "404", "500", "503"};
  return {kMethods[i % 4], "/api/v1/resource/" + std::to_string(i / 20), kStatuses[i / 4 % 5]};
}

/// Processes that have counted, one after the other, and stay alive for as long as this lives.
class Workers {
 public:
  template <typename Count>
  Workers(int processes, Count count) {
    for (int p = 0; p < processes; ++p) {
      children_.push_back(shmetrics::tests::forked_to_stay(count));
    }
  }
  ~Workers() {
    for (const pid_t child : children_) shmetrics::tests::kill_and_wait(child);
  }

 private:
  std::vector<pid_t> children_;
};

shmetrics::Options options(const std::string& path, std::uint32_t cells) {
  shmetrics::Options made;
  made.path = path;
  made.cells = cells;
  made.directory_bytes = 192 << 20;
  made.series_per_family = 2'000'000;
  return made;
}

/// A segment with living workers, made once for all runs of a case. This process stays out of it: it may open eight.
struct Case {
  /// Calls count(registry, false) in a process that registers and ends, which may take minutes; then count(registry,
  /// true) in each worker.
  template <typename Count>
  Case(int processes, std::uint32_t cells, Count count)
      : registered(shmetrics::tests::wait_for(shmetrics::tests::forked([&] {
          count(Registry::open(options(path, cells)), false);
          _exit(0);  // no destructors: they would take the cases before this one along
          return 0;
        }))),
        workers(processes, [&] { count(Registry::open(options(path, cells)), true); }) {}

  shmetrics::tests::TemporaryFolder folder;
  std::string path = folder.file("bench.seg");
  int registered;
  Workers workers;
};

template <typename Count>
Case& prepared(const benchmark::State& state, std::uint32_t cells, Count count) {
  static std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<Case>> cases;
  auto& known = cases[{state.range(0), state.range(1)}];
  if (known == nullptr) known = std::make_unique<Case>(static_cast<int>(state.range(0)), cells, count);
  return *known;
}

enum class Format { kText, kProtobuf };

std::size_t gzip_bytes(const std::string& text) {
  std::string compressed;
  shmetrics::exporter::GzipStream stream(compressed);
  stream.add(text);
  stream.finish();
  return compressed.size();
}

void scrape_once(shmetrics::collector::Scraper& scraper, Format format, std::string& text) {
  text.clear();
  if (format == Format::kText) {
    scraper.scrape(text);
    return;
  }
  scraper.read();
  const auto now = std::chrono::system_clock::now();
  shmetrics::collector::TextOutput output(text);
  shmetrics::collector::FamilyGroups(scraper.view()).for_each({}, [&](auto parts) {
    shmetrics::collector::render_protobuf(parts, now, output);
  });
}

void scrape_all(benchmark::State& state, const Case& prepared, double expected_sum, const char* counted,
                Format format) {
  shmetrics::collector::Scraper scraper(prepared.path);
  std::string text;
  scrape_once(scraper, format, text);  // reads the directory: that is what first() measures
  for (auto _ : state) {
    scrape_once(scraper, format, text);
    benchmark::DoNotOptimize(text.data());
  }
  double sum = 0;
  for (const auto& [series, value] : shmetrics::tests::scrape(scraper).values) {
    if (series.starts_with(counted)) sum += value;
  }
  if (sum != expected_sum) state.SkipWithError("the scrape does not show what was counted");
  state.counters["bytes"] = static_cast<double>(text.size());
  state.counters["in_gzip"] = static_cast<double>(gzip_bytes(text));
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  state.counters["peak_mb"] = static_cast<double>(used.ru_maxrss) / 1024;
}

/// The words that processes would have counted, and what is written of them: no segment, no directory.
class Columns {
 public:
  Columns(std::int64_t processes, std::int64_t series)
      : sums_(static_cast<std::size_t>(series)),
        processes_(static_cast<std::size_t>(processes)),
        words_(static_cast<std::uint64_t*>(
            mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const auto labels = labels_of(static_cast<int>(i));
      prefixes_.push_back("http_requests_total{method=\"" + labels[0] + "\",route=\"" + labels[1] +
                          "\",status_code=\"" + labels[2] + "\"} ");
      for (std::size_t p = 0; p < processes_; ++p) word(p, i) = i;
    }
  }
  ~Columns() { munmap(words_, bytes()); }
  Columns(const Columns&) = delete;
  Columns& operator=(const Columns&) = delete;

  std::uint64_t& word(std::size_t process, std::size_t i) { return words_[process * sums_.size() + i]; }
  void sum() {
    std::fill(sums_.begin(), sums_.end(), 0);
    for (std::size_t p = 0; p < processes_; ++p) {
      for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += word(p, i);
    }
  }
  void write_line(std::string& text, std::size_t i) const {
    char digits[32];
    text += prefixes_[i];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, sums_[i]).ptr);
    text += '\n';
  }
  const std::vector<std::uint64_t>& sums() const { return sums_; }

 private:
  std::size_t bytes() const { return processes_ * sums_.size() * 8; }

  std::vector<std::uint64_t> sums_;
  std::size_t processes_;
  std::uint64_t* words_;
  std::vector<std::string> prefixes_;
};

void floor(benchmark::State& state) {
  Columns columns(state.range(0), state.range(1));
  std::string text(columns.sums().size() * 100, ' ');
  for (auto _ : state) {
    text.clear();
    columns.sum();
    for (std::size_t i = 0; i < columns.sums().size(); ++i) columns.write_line(text, i);
    benchmark::DoNotOptimize(text.data());
  }
}

// Digits of one width, so that a line can be written over in its place: the best case of such a text.
void patched(benchmark::State& state) {
  Columns columns(state.range(0), state.range(1));
  const std::size_t series = columns.sums().size();
  for (std::size_t i = 0; i < series; ++i) columns.word(0, i) = 1'000'000'000;
  columns.sum();
  std::vector<std::uint64_t> written = columns.sums();
  std::vector<std::size_t> ends;
  std::string kept, text;
  for (std::size_t i = 0; i < series; ++i) {
    columns.write_line(kept, i);
    ends.push_back(kept.size() - 1);
  }
  const std::size_t width = std::to_string(written[0]).size();
  const auto step = static_cast<std::size_t>(100 / std::max<std::int64_t>(state.range(2), 1));
  for (auto _ : state) {
    if (state.range(2) > 0) {
      for (std::size_t i = 0; i < series; i += step) ++columns.word(0, i);
    }
    columns.sum();
    for (std::size_t i = 0; i < series; ++i) {
      if (columns.sums()[i] == written[i]) continue;
      written[i] = columns.sums()[i];
      std::to_chars(kept.data() + ends[i] - width, kept.data() + ends[i], written[i]);
    }
    text = kept;
    benchmark::DoNotOptimize(text.data());
  }
}

void count_in(const Registry& registry, std::int64_t series, bool counts) {
  const auto family = registry.counter("http_requests_total", "Requests", {"method", "route", "status_code"});
  for (int i = 0; i < series; ++i) {
    const auto labels = labels_of(i);
    family.with(labels[0], labels[1], labels[2]).inc(counts ? i : 0);
  }
}

Case& prepared_counters(const benchmark::State& state) {
  const std::int64_t series = state.range(1);
  const std::uint32_t cells = series < 200'000 ? 1 << 18 : 1 << 21;
  return prepared(state, cells,
                  [series](const Registry& registry, bool counts) { count_in(registry, series, counts); });
}

void count_scrapes(benchmark::State& state, Format format) {
  const Case& segment = prepared_counters(state);
  const auto series = static_cast<double>(state.range(1));
  scrape_all(state, segment, 0.5 * static_cast<double>(state.range(0)) * series * (series - 1.0), "http_requests_total",
             format);
}

void counters(benchmark::State& state) {
  count_scrapes(state, Format::kText);
}
void counters_protobuf(benchmark::State& state) {
  count_scrapes(state, Format::kProtobuf);
}

void first(benchmark::State& state) {
  const Case& segment = prepared_counters(state);
  std::string text, problem;
  for (auto _ : state) {
    text.clear();
    problem = shmetrics::collector::Scraper(segment.path).scrape(text).problem;
  }
  if (std::count(text.begin(), text.end(), '\n') != state.range(1) + 2) state.SkipWithError(problem.c_str());
}

void churn(benchmark::State& state) {
  const shmetrics::tests::TemporaryFolder folder;
  const std::string path = folder.file("bench.seg");
  for (std::int64_t worker = 0; worker < state.range(0); ++worker) {
    const Workers killed(1, [&] { count_in(Registry::open(options(path, 1 << 16)), 100, true); });
  }
  shmetrics::collector::Scraper scraper(path);
  std::string text;
  scraper.scrape(text);
  for (auto _ : state) {
    text.clear();
    scraper.scrape(text);
  }
  double sum = 0;
  for (const auto& [series, value] : shmetrics::tests::scrape(scraper).values) {
    if (series.starts_with("http_requests_total")) sum += value;
  }
  if (sum != 4950.0 * static_cast<double>(state.range(0)))
    state.SkipWithError("the scrape lacks what the dead counted");
}

template <typename Declare>
void observed_scrapes(benchmark::State& state, Format format, std::uint32_t cells, Declare declare) {
  const std::int64_t series = state.range(1);
  const Case& segment = prepared(state, cells, [series, declare](const Registry& registry, bool counts) {
    const auto family = declare(registry);
    for (int i = 0; i < series; ++i) {
      const auto labels = labels_of(i);
      const auto histogram = family.with(labels[0], labels[1], labels[2]);
      for (int k = 0; counts && k < 50; ++k) histogram.observe(0.004 * k);
    }
  });
  scrape_all(state, segment, 50.0 * static_cast<double>(state.range(0) * series), "duration_seconds_count", format);
}

void histogram_scrapes(benchmark::State& state, Format format) {
  observed_scrapes(state, format, 1 << 16, [](const Registry& registry) {
    return registry.histogram("duration_seconds", "Duration", {"method", "route", "status_code"},
                              {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30});
  });
}
void native_scrapes(benchmark::State& state, Format format) {
  observed_scrapes(state, format, 1 << 18, [](const Registry& registry) {
    return registry.native_histogram("duration_seconds", "Duration", {"method", "route", "status_code"},
                                     {.low = 0x1p-14, .high = 0x1p8});
  });
}

void histograms(benchmark::State& state) {
  histogram_scrapes(state, Format::kText);
}
void histograms_protobuf(benchmark::State& state) {
  histogram_scrapes(state, Format::kProtobuf);
}
void native(benchmark::State& state) {
  native_scrapes(state, Format::kText);
}
void native_protobuf(benchmark::State& state) {
  native_scrapes(state, Format::kProtobuf);
}

void each_size(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"});
  for (const int series : {100, 1000, 10'000, 100'000}) bench->Args({8, series});
  for (const int slots : {1, 2, 4, 16, 32, 64}) bench->Args({slots, 10'000});
}
BENCHMARK(floor)->Apply(each_size);
BENCHMARK(counters)->Apply(each_size);
BENCHMARK(patched)
    ->Unit(benchmark::kMillisecond)
    ->ArgNames({"slots", "series", "changed"})
    ->ArgsProduct({{8}, {10'000, 100'000}, {0, 10, 100}});
BENCHMARK(counters_protobuf)
    ->Unit(benchmark::kMillisecond)
    ->ArgNames({"slots", "series"})
    ->Args({8, 10'000})
    ->Args({8, 100'000});
BENCHMARK(histograms)->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"})->Args({8, 1000});
BENCHMARK(histograms_protobuf)->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"})->Args({8, 1000});
BENCHMARK(native)->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"})->Args({8, 1000});
BENCHMARK(native_protobuf)->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"})->Args({8, 1000});
BENCHMARK(churn)->Unit(benchmark::kMillisecond)->ArgName("dead")->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->Iterations(200);
BENCHMARK(first)->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"})->Args({8, 10'000})->Args({8, 100'000});
BENCHMARK(floor)->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"})->Args({8, 1'000'000});
BENCHMARK(counters)->Unit(benchmark::kMillisecond)->ArgNames({"slots", "series"})->Args({8, 1'000'000});

}  // namespace
