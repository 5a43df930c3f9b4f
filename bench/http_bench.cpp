// What does a scrape over HTTP cost the exporter, beside the work that it cannot do without?
//
// Eight processes have counted 10,000 series. Then, by turns in the same run:
//   alone    read, merge, render and gzip the segment in this process
//   served   the same by the real exporter, to one client over loopback that keeps its connection and asks for gzip
// Both are processor time of all threads, user and system, a scrape; the exporter's holds its self metrics, HTTP,
// authentication and the way between its threads. The last line is their ratio.
//
// Run: build/release/bin/http_bench [SCRAPES]
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
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
constexpr int kSeries = 10'000;
constexpr int kTurns = 5;

double cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) std::abort();
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

std::vector<shmetrics::Counter> counters_in(const std::string& path) {
  shmetrics::Options options;
  options.path = path;
  options.cells = 1 << 18;
  options.directory_bytes = 64 << 20;
  options.series_per_family = kSeries;
  const auto registry = shmetrics::Registry::open(options);
  const auto family = registry.counter("http_requests_total", "Requests", {"method", "route", "status_code"});
  constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};
  constexpr const char* kStatuses[] = {"200", "201", "404", "500", "503"};
  std::vector<shmetrics::Counter> counters;
  for (int i = 0; i < kSeries; ++i) {
    counters.push_back(
        family.with(kMethods[i % 4], "/api/v1/resource/" + std::to_string(i / 20), kStatuses[i / 4 % 5]));
  }
  return counters;
}

}  // namespace

int main(int argc, char** argv) {
  const int scrapes = argc > 1 ? std::atoi(argv[1]) : 1000;
  if (scrapes < kTurns) return std::fprintf(stderr, "usage: http_bench [SCRAPES]\n"), 2;
  const shmetrics::tests::TemporaryFolder folder;
  const std::string path = folder.file("bench.seg");
  const std::vector<shmetrics::Counter> counters = counters_in(path);
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
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
  shmetrics::collector::Scraper scraper(path);
  double alone = 0, served = 0;
  std::size_t text_bytes = 0, sent_bytes = 0;
  const auto scrape_alone = [&] {
    std::string text;
    text.reserve(text_bytes + text_bytes / 4);
    scraper.scrape(text);
    text_bytes = text.size();
    return shmetrics::exporter::gzip(text).size();
  };
  for (int turn = -1; turn < kTurns; ++turn) {  // the first warms up both and does not count
    const double alone_before = cpu_seconds(getpid());
    for (int i = 0; i < scrapes / kTurns; ++i) scrape_alone();
    const double served_before = cpu_seconds(exporter.child().pid());
    if (turn >= 0) alone += cpu_seconds(getpid()) - alone_before;
    for (int i = 0; i < scrapes / kTurns; ++i) {
      const auto response = client->exchange(request);
      if (response.status != 200 || response.header("Content-Encoding") != "gzip") std::abort();
      sent_bytes = response.body.size();
      // The exporter ends a connection after some requests.
      if (response.header("Connection") == "close") {
        client = std::make_unique<shmetrics::testing::HttpClient>(exporter.connect());
      }
    }
    if (turn >= 0) served += cpu_seconds(exporter.child().pid()) - served_before;
  }
  const double counted_scrapes = scrapes / kTurns * kTurns;
  std::printf("%d scrapes of %d series of %d processes, %zu bytes of text, %zu sent\n", scrapes, kSeries, kProcesses,
              text_bytes, sent_bytes);
  std::printf("alone   %.3f ms of processor time a scrape\n", alone / counted_scrapes * 1e3);
  std::printf("served  %.3f ms\n", served / counted_scrapes * 1e3);
  std::printf("ratio   %.2f\n", served / alone);
  for (const pid_t child : children) shmetrics::tests::kill_and_wait(child);
  return 0;
}
