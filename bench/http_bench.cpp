// What does a scrape over HTTP cost the exporter, beside the work that it cannot do without?
//
// Eight processes have counted SERIES series. Then, by turns in the same run:
//   alone    read, merge, render and gzip the segment in this process
//   plain    the same without gzip by the real exporter, to one client over loopback that keeps its connection
//   gzip     the same with gzip
// All are processor time of all threads, user and system, a scrape; the exporter's holds its self metrics, HTTP,
// authentication and the way between its threads. Then requests a second, one after the other, the exporter's ratio to
// `alone`, and what it had in memory at most.
//
// Run: build/release/bin/http_bench [SCRAPES [SERIES]]
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <vector>

#include "collector/scraper.hpp"
#include "exporter/compression.hpp"
#include "tests/exporter/running_exporter.hpp"
#include "tests/forked.hpp"
#include "tests/temporary_folder.hpp"

namespace {

constexpr int kProcesses = 8;
constexpr int kTurns = 5;

double cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) std::abort();
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double peak_mb(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::atof(line.c_str() + 6) / 1024;
  }
  return 0;
}

struct Served {
  double cpu = 0, wall = 0;  // seconds
};

std::vector<shmetrics::Counter> counters_in(const std::string& path, int series) {
  shmetrics::Options options;
  options.path = path;
  options.cells = 1 << 18;
  options.directory_bytes = 64 << 20;
  options.series_per_family = static_cast<std::uint32_t>(series);
  const auto registry = shmetrics::Registry::open(options);
  const auto family = registry.counter("http_requests_total", "Requests", {"method", "route", "status_code"});
  constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};
  constexpr const char* kStatuses[] = {"200", "201", "404", "500", "503"};
  std::vector<shmetrics::Counter> counters;
  for (int i = 0; i < series; ++i) {
    counters.push_back(
        family.with(kMethods[i % 4], "/api/v1/resource/" + std::to_string(i / 20), kStatuses[i / 4 % 5]));
  }
  return counters;
}

}  // namespace

int main(int argc, char** argv) {
  const int scrapes = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int series = argc > 2 ? std::atoi(argv[2]) : 10'000;
  if (scrapes < kTurns || series < 1) return std::fprintf(stderr, "usage: http_bench [SCRAPES [SERIES]]\n"), 2;
  const shmetrics::tests::TemporaryFolder folder;
  const std::string path = folder.file("bench.seg");
  const std::vector<shmetrics::Counter> counters = counters_in(path, series);
  shmetrics::tests::Baton counted;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    children.push_back(shmetrics::tests::forked([&] {
      for (std::size_t i = 0; i < counters.size(); ++i) counters[i].inc(i);
      counted.pass();
      for (;;) pause();
      return 0;
    }));
  }
  counted.receive(kProcesses);

  shmetrics::testing::RunningExporter exporter({.segment = path});
  auto client = std::make_unique<shmetrics::testing::HttpClient>(exporter.connect());
  shmetrics::collector::Scraper scraper(path);
  std::size_t text_bytes = 0, sent_bytes = 0;
  const auto scrape_alone = [&] {
    std::string text;
    text.reserve(text_bytes + text_bytes / 4);
    scraper.scrape(text);
    text_bytes = text.size();
    return shmetrics::exporter::gzip(text).size();
  };
  const auto scrape_served = [&](bool gzips) {
    const auto response = client->exchange(std::string("GET /metrics HTTP/1.1\r\nHost: localhost\r\n") +
                                           (gzips ? "Accept-Encoding: gzip\r\n\r\n" : "\r\n"));
    if (response.status != 200 || (response.header("Content-Encoding") == "gzip") != gzips) std::abort();
    if (!gzips && response.body.size() < text_bytes) std::abort();
    sent_bytes = response.body.size();
    // The exporter ends a connection after some requests.
    if (response.header("Connection") == "close") {
      client = std::make_unique<shmetrics::testing::HttpClient>(exporter.connect());
    }
  };
  double alone = 0;
  Served plain, gzip;
  const int each = scrapes / kTurns;
  for (int turn = -1; turn < kTurns; ++turn) {  // the first warms up both and does not count
    const double alone_before = cpu_seconds(getpid());
    for (int i = 0; i < each; ++i) scrape_alone();
    if (turn >= 0) alone += cpu_seconds(getpid()) - alone_before;
    for (Served* served : {&plain, &gzip}) {
      const Served before{cpu_seconds(exporter.child().pid()), wall_seconds()};
      for (int i = 0; i < each; ++i) scrape_served(served == &gzip);
      if (turn < 0) continue;
      served->cpu += cpu_seconds(exporter.child().pid()) - before.cpu;
      served->wall += wall_seconds() - before.wall;
    }
  }
  const double counted_scrapes = each * kTurns;
  std::printf("%d series of %d processes, %zu bytes of text, %zu in gzip\n", series, kProcesses, text_bytes,
              sent_bytes);
  std::printf("alone  %.3f ms of processor time a scrape\n", alone / counted_scrapes * 1e3);
  std::printf("plain  %.3f ms, %.0f a second\n", plain.cpu / counted_scrapes * 1e3, counted_scrapes / plain.wall);
  std::printf("gzip   %.3f ms, %.0f a second\n", gzip.cpu / counted_scrapes * 1e3, counted_scrapes / gzip.wall);
  std::printf("ratio  %.2f, memory at most %.1f MB\n", gzip.cpu / alone, peak_mb(exporter.child().pid()));
  for (const pid_t child : children) shmetrics::tests::kill_and_wait(child);
  return 0;
}
