// Does anything grow while workers come and go? Eight workers count at full speed, one of them is killed and replaced
// each second, and one scrape a second is measured, in processor time: a line of figures each. Fails when an exposed
// value goes down.
//
// Run: build/release/bin/soak SECONDS > build/soak.csv      then bench/plots.py takes it
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <vector>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

constexpr std::size_t kWorkers = 8;
constexpr int kSeries = 100;

[[noreturn]] void work(const std::string& path) {
  shmetrics::Options options;
  options.path = path;
  const auto registry = shmetrics::Registry::open(options);
  const auto requests = registry.counter("requests_total", "Requests", {"route"});
  const auto durations = registry.histogram("request_seconds", "Durations", {"route"});
  const auto busy = registry.gauge("busy", "Busy", {}, shmetrics::GaugeMode::livesum);
  std::vector<std::string> routes;
  for (int i = 0; i < kSeries; ++i) routes.push_back("/api/v1/resource/" + std::to_string(i));
  for (std::size_t i = 0;; ++i) {
    const std::string& route = routes[i % routes.size()];
    const shmetrics::InFlight in_flight(busy);
    requests.with(route).inc();
    durations.with(route).observe(0.001 * static_cast<double>(i % 1000));
  }
}

long resident_kb() {
  std::ifstream statm("/proc/self/statm");
  long size = 0, resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

long open_descriptors() {
  long count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

double processor_us() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) * 1e-3;
}

}  // namespace

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  const int seconds = argc == 2 ? std::atoi(argv[1]) : 0;
  if (seconds <= 0) return std::fprintf(stderr, "usage: soak SECONDS\n"), 2;
  const shmetrics::tests::TemporaryFolder folder;
  const std::string path = folder.file("soak.seg");
  std::vector<pid_t> workers(kWorkers);
  const auto start = [&] { return shmetrics::tests::forked([&]() -> int { work(path); }); };
  for (pid_t& worker : workers) worker = start();
  shmetrics::collector::Scraper scraper(path);
  std::string text;
  double counted = 0;
  std::printf("second,resident_kb,descriptors,file_kb,scrape_us,counted,text_bytes\n");
  auto next = Clock::now();
  for (int second = 1; second <= seconds; ++second) {
    next += std::chrono::seconds(1);
    usleep(static_cast<useconds_t>(
        std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(next - Clock::now()).count())));
    pid_t& oldest = workers[static_cast<std::size_t>(second) % kWorkers];
    shmetrics::tests::kill_and_wait(oldest);
    oldest = start();
    const double begin = processor_us();
    text.clear();
    scraper.scrape(text);
    const double taken = processor_us() - begin;
    double now = 0;
    for (const auto& [series, value] : shmetrics::tests::scrape(scraper).values) {
      if (series.starts_with("requests_total")) now += value;
    }
    struct stat status {};
    stat(path.c_str(), &status);
    std::printf("%d,%ld,%ld,%ld,%.0f,%.0f,%zu\n", second, resident_kb(), open_descriptors(),
                static_cast<long>(status.st_blocks) / 2, taken, now, text.size());
    std::fflush(stdout);
    if (now < counted) return std::fprintf(stderr, "counters went down: %.0f, then %.0f\n", counted, now), 1;
    counted = now;
  }
  for (const pid_t worker : workers) shmetrics::tests::kill_and_wait(worker);
  return 0;
}
