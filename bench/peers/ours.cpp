// shmetrics at the work of bench/peers, and the floor under it: see run.sh.
//
//   peers_ours update | scrape | churn
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <shmetrics/shmetrics.hpp>
#include <string_view>
#include <unordered_map>

#include "bench/peers/work.hpp"
#include "collector/scraper.hpp"
#include "tests/forked.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::bench {
namespace {

using Word = std::atomic<std::uint64_t>;

Registry opened(const std::string& path, std::uint32_t cells) {
  Options options;
  options.path = path;
  options.cells = cells;
  options.series_per_family = 1'000'000;
  return Registry::open(options);
}

auto requests_of(const Registry& registry) {
  return registry.counter("http_requests_total", "Requests", {"method", "route", "status_code"});
}

std::string scraped(collector::Scraper& scraper) {
  std::string text;
  scraper.scrape(text);
  return text;
}

template <typename T>
T* shared_words(std::size_t count) {
  return static_cast<T*>(mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

void add_one(Word& word) {
  word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// Floor and library take turns in every round, so that both meet the same machine.
void update() {
  constexpr int kRounds = 200;
  constexpr int kUpdates = 20'000;
  const tests::TemporaryFolder folder;
  const std::string path = folder.file("peers.seg");
  const Registry registry = opened(path, 1 << 16);
  const auto sets = label_sets(kLookedUp);
  const auto values = durations();
  const Counter held = registry.counter("held_total", "Held");
  const Histogram histogram = registry.histogram("duration_seconds", "Duration", {}, kBounds);
  const Histogram native =  // of 180 cells
      registry.native_histogram("native_seconds", "Duration", {}, {.low = 0x1p-14, .high = 0x1p8});
  const auto requests = requests_of(registry);
  for (const LabelSet& set : sets) requests.with(set.method, set.route, set.status);

  Word& word = *shared_words<Word>(1);
  Word* buckets = shared_words<Word>(kBounds.size() + 1);
  auto& sum = *shared_words<std::atomic<double>>(1);
  Word* words = shared_words<Word>(sets.size());
  std::unordered_map<std::string, Word*> map;
  const auto key_of = [](std::string& key, const LabelSet& set) -> std::string& {
    return key.assign(set.method).append(1, '\0').append(set.route).append(1, '\0').append(set.status);
  };
  std::string key;
  for (std::size_t i = 0; i < sets.size(); ++i) map[key_of(key, sets[i])] = words + i;

  double least[7];
  std::fill(std::begin(least), std::end(least), std::numeric_limits<double>::infinity());
  const auto turn = [&](int which, auto once) {
    const double taken = least_seconds(1, [&] {
      for (int i = 0; i < kUpdates; ++i) {
        once(static_cast<std::size_t>(i));
        between_updates();
      }
    });
    least[which] = std::min(least[which], taken / kUpdates * 1e9);
  };
  for (int round = 0; round < kRounds; ++round) {
    turn(0, [&](std::size_t) { add_one(word); });
    turn(1, [&](std::size_t) { held.inc(); });
    turn(2, [&](std::size_t i) { add_one(*map.find(key_of(key, sets[i % kLookedUp]))->second); });
    turn(3, [&](std::size_t i) {
      const LabelSet& set = sets[i % kLookedUp];
      requests.with(set.method, set.route, set.status).inc();
    });
    turn(4, [&](std::size_t i) {
      const double value = values[i & 1023];
      std::size_t bucket = 0;
      for (const double bound : kBounds) bucket += value > bound ? 1 : 0;
      add_one(buckets[bucket]);
      sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
    });
    turn(5, [&](std::size_t i) { histogram.observe(values[i & 1023]); });
    turn(6, [&](std::size_t i) { native.observe(values[i & 1023]); });
  }
  collector::Scraper scraper(path);
  const std::string text = scraped(scraper);
  constexpr double kAll = double{kRounds} * kUpdates;
  require(sum_of(text, "held_total") == kAll, "counter");
  require(sum_of(text, "http_requests_total") == kAll, "counters looked up");
  require(sum_of(text, "duration_seconds_count") == kAll, "histogram");
  require(sum_of(text, "native_seconds_count") == kAll, "native histogram");
  say("floor_counter_ns", least[0]);
  say("counter_ns", least[1]);
  say("floor_lookup_ns", least[2]);
  say("lookup_ns", least[3]);
  say("floor_histogram_ns", least[4]);
  say("histogram_ns", least[5]);
  say("native_ns", least[6]);
}

// Summing the columns, then kept prefix, digits, line feed: nobody can do less.
double floor_of_scrape(int rounds, double expected) {
  const auto sets = label_sets(kScraped);
  const std::size_t series = sets.size();
  auto* words = shared_words<std::uint64_t>(kProcesses * series);
  std::vector<std::string> prefixes;
  for (std::size_t i = 0; i < series; ++i) {
    prefixes.push_back("http_requests_total{method=\"" + sets[i].method + "\",route=\"" + sets[i].route +
                       "\",status_code=\"" + sets[i].status + "\"} ");
    for (std::size_t p = 0; p < kProcesses; ++p) words[p * series + i] = i;
  }
  std::string text;
  std::vector<std::uint64_t> sums(series);
  const double least = least_seconds(rounds, [&] {
    text.clear();
    std::fill(sums.begin(), sums.end(), 0);
    for (std::size_t p = 0; p < kProcesses; ++p) {
      for (std::size_t i = 0; i < series; ++i) sums[i] += words[p * series + i];
    }
    char digits[32];
    for (std::size_t i = 0; i < series; ++i) {
      text += prefixes[i];
      text.append(digits, std::to_chars(digits, digits + sizeof digits, sums[i]).ptr);
      text += '\n';
    }
  });
  require(sum_of(text, "http_requests_total") == expected, "floor of the scrape");
  return least;
}

std::vector<Counter> counters_of(const Registry& registry, int count) {
  const auto requests = requests_of(registry);
  std::vector<Counter> counters;
  for (const LabelSet& set : label_sets(count)) counters.push_back(requests.with(set.method, set.route, set.status));
  return counters;
}

double allocated_bytes(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? static_cast<double>(status.st_blocks) * 512 : 0;
}

void scrape() {
  constexpr int kRounds = 100;
  const tests::TemporaryFolder folder;
  const std::string path = folder.file("peers.seg");
  const Registry registry = opened(path, 1 << 16);
  const std::vector<Counter> counters = counters_of(registry, kScraped);
  const double before = allocated_bytes(path);
  std::vector<pid_t> workers;
  for (int p = 0; p < kProcesses; ++p) {
    workers.push_back(tests::forked_to_stay([&] {
      for (std::size_t i = 0; i < counters.size(); ++i) counters[i].inc(i);
    }));
  }
  constexpr double kExpected = 0.5 * kProcesses * kScraped * (kScraped - 1.0);
  say("floor_scrape_ms", floor_of_scrape(kRounds, kExpected) * 1e3);
  collector::Scraper scraper(path);
  std::string text;
  const double least = least_seconds(kRounds, [&] {
    text.clear();
    scraper.scrape(text);
  });
  require(sum_of(text, "http_requests_total") == kExpected, "scrape");
  say("scrape_ms", least * 1e3);
  say("text_bytes", static_cast<double>(text.size()));
  say("bytes_per_series", (allocated_bytes(path) - before) / (kProcesses * kScraped));
  say("directory_bytes_per_series", before / kScraped);
  for (const pid_t worker : workers) tests::kill_and_wait(worker);
}

void churn() {
  constexpr int kRounds = 100;
  const tests::TemporaryFolder folder;
  const std::string path = folder.file("peers.seg");
  const Registry registry = opened(path, 1 << 16);
  const std::vector<Counter> counters = counters_of(registry, kDeadSeries);
  collector::Scraper scraper(path);
  std::string text;
  for (int worker = 1; worker <= kDeadWorkers; ++worker) {
    tests::kill_and_wait(tests::forked_to_stay([&] {
      for (const Counter& counter : counters) counter.inc();
    }));
    if (worker != 1 && worker != kDeadWorkers) continue;
    const double least = least_seconds(kRounds, [&] {
      text.clear();
      scraper.scrape(text);
    });
    say(worker == 1 ? "churn_one_ms" : "churn_ms", least * 1e3);
    say(worker == 1 ? "churn_one_bytes" : "churn_bytes", allocated_bytes(path));
  }
  require(sum_of(text, "http_requests_total") == double{kDeadWorkers} * kDeadSeries, "counts of dead workers");
}

}  // namespace
}  // namespace shmetrics::bench

int main(int argc, char** argv) {
  const std::string_view work = argc == 2 ? argv[1] : "";
  if (work == "update") return shmetrics::bench::update(), 0;
  if (work == "scrape") return shmetrics::bench::scrape(), 0;
  if (work == "churn") return shmetrics::bench::churn(), 0;
  std::fprintf(stderr, "usage: peers_ours update|scrape|churn\n");
  return 2;
}
