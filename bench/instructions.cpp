// One update path, or one scrape, for callgrind to count: tests/bench/instructions_test.py.
//
// Usage: instructions WORK      prints how many operations measured_by_callgrind() made
// Run by itself it only checks that they are counted and served.
#include <barrier>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

extern "C" [[gnu::noinline]] void measured_by_callgrind(const std::function<void()>& work) {
  work();
}

namespace {

constexpr int kUpdates = 10'000;
constexpr int kSeries = 1000;
constexpr int kSlots = 8;

/// Counts in `slots` slots of series that are there already: threads that live at the same time have one each.
void in_slots(int slots, const std::function<void()>& count) {
  std::barrier all(slots);
  std::vector<std::jthread> threads;
  for (int i = 0; i < slots; ++i) {
    threads.emplace_back([&] {
      count();
      all.arrive_and_wait();
    });
  }
}

std::vector<shmetrics::Counter> counters_of(const shmetrics::Registry& registry) {
  const auto family = registry.counter("requests_total", "Requests", {"method", "route", "status_code"});
  std::vector<shmetrics::Counter> counters;
  for (int i = 0; i < kSeries; ++i) {
    counters.push_back(family.with(i % 2 != 0 ? "GET" : "POST", "/api/v1/resource/" + std::to_string(i), "200"));
  }
  return counters;
}

/// How many operations were measured.
int measure(const std::string& work, const shmetrics::Registry& registry) {
  const auto repeat = [](auto update) {
    update(0);  // claims the slot
    measured_by_callgrind([&] {
      for (int i = 1; i <= kUpdates; ++i) update(i);
    });
    return kUpdates;
  };
  if (work == "counter") {
    const shmetrics::Counter counter = registry.counter("counted_total", "Counted");
    return repeat([&](int) { counter.inc(); });
  }
  if (work == "float_counter") {
    const shmetrics::FloatCounter counter = registry.float_counter("counted_total", "Counted");
    return repeat([&](int) { counter.inc(1.0); });
  }
  if (work == "gauge") {
    const shmetrics::Gauge gauge = registry.gauge("counted", "Counted", {}, shmetrics::GaugeMode::sum);
    return repeat([&](int) { gauge.inc(); });
  }
  if (work == "histogram") {
    const shmetrics::Histogram histogram =
        registry.histogram("counted", "Counted", {}, {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30});
    return repeat([&](int i) { histogram.observe(0.003 * i); });
  }
  if (work == "native_histogram") {  // of 964 cells
    const shmetrics::Histogram histogram =
        registry.native_histogram("counted", "Counted", {}, {.low = 1e-9, .high = 1e9, .factor = 1.0443});
    return repeat([&](int i) { histogram.observe(0.003 * i); });
  }
  if (work == "lookup") {
    const auto family = registry.counter("counted_total", "Counted", {"method", "route", "status_code"});
    const std::string route = "/api/v1/resource/499";
    return repeat([&](int) { family.with("POST", route, "200").inc(); });
  }
  if (work == "scrape") {
    const auto counters = counters_of(registry);
    in_slots(kSlots, [&] {
      for (std::size_t i = 0; i < counters.size(); ++i) counters[i].inc(i);
    });
    shmetrics::collector::Scraper scraper(registry.path());
    std::string text;
    scraper.scrape(text);  // reads the directory
    measured_by_callgrind([&] {
      text.clear();
      scraper.scrape(text);
    });
    return kSeries;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string work = argc == 2 ? argv[1] : "";
  const shmetrics::tests::TemporaryFolder folder;
  shmetrics::Options options;
  options.path = folder.file("instructions.seg");
  const auto registry = shmetrics::Registry::open(options);
  const int operations = measure(work, registry);
  if (operations == 0) {
    std::fprintf(stderr, "usage: instructions counter|float_counter|gauge|histogram|native_histogram|lookup|scrape\n");
    return 2;
  }
  double served = 0;
  for (const auto& [series, value] : shmetrics::tests::scrape(options.path).values) {
    const bool is_count = !series.starts_with("counted_bucket") && !series.starts_with("counted_sum");
    if (is_count && (series.starts_with("counted") || series.starts_with("requests_total"))) served += value;
  }
  const double counted = work == "scrape" ? 0.5 * kSlots * kSeries * (kSeries - 1) : kUpdates + 1;
  if (served != counted) {
    std::fprintf(stderr, "%s: served %.17g, counted %.17g\n", work.c_str(), served, counted);
    return 1;
  }
  std::printf("%d\n", operations);
  return 0;
}
