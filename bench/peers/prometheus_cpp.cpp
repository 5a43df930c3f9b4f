// prometheus-cpp at the work of bench/peers: see run.sh. It knows one process, so its scrape merges nothing.
//
//   peers_prometheus_cpp update | scrape
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <string_view>
#include <thread>

#include "bench/peers/work.hpp"

namespace shmetrics::bench {
namespace {

prometheus::Labels labels_of(const LabelSet& set) {
  return {{"method", set.method}, {"route", set.route}, {"status_code", set.status}};
}

// With a second thread that sleeps, as in a server: glibc spares a process with a single thread its locks.
class SleepingThread {
 public:
  ~SleepingThread() {
    ends_ = true;
    ends_.notify_one();
    thread_.join();
  }

 private:
  std::atomic<bool> ends_ = false;
  std::thread thread_{[this] { ends_.wait(false); }};
};

void update() {
  constexpr int kRounds = 50;
  const SleepingThread other;
  prometheus::Registry registry;
  const auto sets = label_sets(kLookedUp);
  const auto values = durations();
  auto& held = prometheus::BuildCounter().Name("held_total").Help("Held").Register(registry).Add({});
  auto& requests = prometheus::BuildCounter().Name("http_requests_total").Help("Requests").Register(registry);
  auto& histogram = prometheus::BuildHistogram()
                        .Name("duration_seconds")
                        .Help("Duration")
                        .Register(registry)
                        .Add({}, prometheus::Histogram::BucketBoundaries(kBounds));
  const auto measure = [](const char* name, int updates, auto once) {
    const double least = least_seconds(kRounds, [&] {
      for (int i = 0; i < updates; ++i) {
        once(static_cast<std::size_t>(i));
        between_updates();
      }
    });
    say(name, least / updates * 1e9);
    return double{kRounds} * updates;
  };
  const double counted = measure("counter_ns", 100'000, [&](std::size_t) { held.Increment(); });
  const double found =
      measure("lookup_ns", 10'000, [&](std::size_t i) { requests.Add(labels_of(sets[i % kLookedUp])).Increment(); });
  const double observed = measure("histogram_ns", 50'000, [&](std::size_t i) { histogram.Observe(values[i & 1023]); });
  const std::string text = prometheus::TextSerializer().Serialize(registry.Collect());
  require(sum_of(text, "held_total") == counted, "counter");
  require(sum_of(text, "http_requests_total") == found, "counters looked up");
  require(sum_of(text, "duration_seconds_count") == observed, "histogram");
}

void scrape() {
  prometheus::Registry registry;
  auto& requests = prometheus::BuildCounter().Name("http_requests_total").Help("Requests").Register(registry);
  const auto sets = label_sets(kScraped);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    requests.Add(labels_of(sets[i])).Increment(static_cast<double>(i) * kProcesses);
  }
  std::string text;
  const double least = least_seconds(20, [&] { text = prometheus::TextSerializer().Serialize(registry.Collect()); });
  require(sum_of(text, "http_requests_total") == 0.5 * kProcesses * kScraped * (kScraped - 1.0), "scrape");
  say("scrape_ms", least * 1e3);
  say("text_bytes", static_cast<double>(text.size()));
}

}  // namespace
}  // namespace shmetrics::bench

int main(int argc, char** argv) {
  const std::string_view work = argc == 2 ? argv[1] : "";
  if (work == "update") return shmetrics::bench::update(), 0;
  if (work == "scrape") return shmetrics::bench::scrape(), 0;
  std::fprintf(stderr, "usage: peers_prometheus_cpp update|scrape\n");
  return 2;
}
