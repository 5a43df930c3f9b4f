// What does it take to register many series by many processes at once, and to read them for the first time? And what
// does one process take alone, beside a thread of its own that runs, and beside a reader of its /proc/PID/maps?
//
// Eight processes, released together, each register an eighth of the series and count in each. What a with() took is
// the time of the caller: the append, and what it repeats because another process appended first.
//
// Run: build/release/bin/registration_bench [SERIES]
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kProcesses = 8;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

shmetrics::Registry opened(const std::string& path) {
  shmetrics::Options options;
  options.path = path;
  options.cells = 1 << 21;
  options.directory_bytes = 192 << 20;
  options.series_per_family = 2'000'000;
  return shmetrics::Registry::open(options);
}

auto requests_in(const std::string& path) {
  return opened(path).counter("http_requests_total", "Requests", {"process", "route", "status_code"});
}

void register_share(const std::string& path, std::size_t process, float* taken, std::size_t count) {
  const auto requests = requests_in(path);
  const std::string own = std::to_string(process);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string route = "/api/v1/resource/" + std::to_string(i);
    const auto begin = Clock::now();
    requests.with(own, route, "200").inc();
    taken[i] = static_cast<float>(milliseconds_since(begin));
  }
}

/// Reads the memory map of `process` again and again, as a profiler does.
[[noreturn]] void read_maps_of(pid_t process) {
  const std::string maps = "/proc/" + std::to_string(process) + "/maps";
  while (true) {
    std::ifstream file(maps);
    std::string text(std::istreambuf_iterator<char>(file), {});
  }
}

/// One process registers `count` series in a segment of its own.
void register_alone(const char* beside, std::size_t count, bool with_thread, bool with_reader) {
  const shmetrics::tests::TemporaryFolder folder;
  auto* taken = static_cast<float*>(
      mmap(nullptr, count * sizeof(float), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t worker = shmetrics::tests::forked([&] {
    const pid_t self = getpid();
    const pid_t reader = with_reader ? fork() : 0;
    if (with_reader && reader == 0) read_maps_of(self);
    std::atomic<bool> stop{false};
    std::thread runner;
    if (with_thread) {
      runner = std::thread([&] {
        while (!stop) std::atomic_signal_fence(std::memory_order_seq_cst);
      });
    }
    register_share(folder.file("bench.seg"), 0, taken, count);
    stop = true;
    if (runner.joinable()) runner.join();
    if (with_reader) shmetrics::tests::kill_and_wait(reader);
    return 0;
  });
  if (shmetrics::tests::wait_for(worker) != 0) std::fprintf(stderr, "the worker failed\n");
  std::sort(taken, taken + count);
  std::printf("one process, %-32s a with(): median %.1f us, 99 %% %.1f us, longest %.1f ms\n", beside,
              taken[count / 2] * 1e3, taken[count - count / 100 - 1] * 1e3, taken[count - 1]);
  munmap(taken, count * sizeof(float));
}

double overflowed_in(shmetrics::collector::Scraper& scraper, std::size_t& series_in_place) {
  double overflowed = 0;
  series_in_place = 0;
  for (const auto& [series, value] : shmetrics::tests::scrape(scraper).values) {
    if (!series.starts_with("http_requests_total")) continue;
    if (series.find("__overflow__") != series.npos) {
      overflowed += value;
    } else {
      ++series_in_place;
    }
  }
  return overflowed;
}

}  // namespace

int main(int argc, char** argv) {
  const long asked = argc > 1 ? std::atol(argv[1]) : 100'000;
  if (asked < static_cast<long>(kProcesses)) return std::fprintf(stderr, "usage: registration_bench [SERIES]\n"), 2;
  const std::size_t share = static_cast<std::size_t>(asked) / kProcesses;
  const shmetrics::tests::TemporaryFolder folder;
  const std::string path = folder.file("bench.seg");
  requests_in(path);
  auto* taken = static_cast<float*>(
      mmap(nullptr, kProcesses * share * sizeof(float), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const shmetrics::tests::Baton start;
  std::vector<pid_t> workers;
  for (std::size_t p = 0; p < kProcesses; ++p) {
    workers.push_back(shmetrics::tests::forked([&] {
      start.receive();
      register_share(path, p, taken + p * share, share);
      return 0;
    }));
  }
  const auto begin = Clock::now();
  for (std::size_t p = 0; p < kProcesses; ++p) start.pass();
  for (const pid_t worker : workers) {
    if (shmetrics::tests::wait_for(worker) != 0) return std::fprintf(stderr, "a worker failed\n"), 1;
  }
  const double registered_ms = milliseconds_since(begin);

  const auto first = Clock::now();
  shmetrics::collector::Scraper scraper(path);
  std::string text;
  scraper.scrape(text);
  const double first_ms = milliseconds_since(first);
  std::size_t in_place = 0;
  const double overflowed = overflowed_in(scraper, in_place);
  const std::size_t all = kProcesses * share;
  if (static_cast<double>(in_place) + overflowed != static_cast<double>(all)) {
    return std::fprintf(stderr, "a count is missing\n"), 1;
  }

  std::sort(taken, taken + all);
  const auto over_1_ms = taken + all - std::upper_bound(taken, taken + all, 1.0F);
  std::printf("%zu series by %zu processes: %.0f ms, %.1f us each\n", all, kProcesses, registered_ms,
              registered_ms * 1e3 / static_cast<double>(all));
  std::printf("a with(): median %.1f us, 99 %% %.1f us, longest %.1f ms; %td over 1 ms; %.0f in the overflow series\n",
              taken[all / 2] * 1e3, taken[all - all / 100 - 1] * 1e3, taken[all - 1], over_1_ms, overflowed);
  std::printf("first scrape of a fresh reader: %.0f ms\n", first_ms);
  register_alone("nothing beside it:", share, false, false);
  register_alone("a thread of it runs:", share, true, false);
  register_alone("its /proc/PID/maps is read:", share, false, true);
  return 0;
}
