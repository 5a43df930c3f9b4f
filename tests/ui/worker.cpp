// Workers for the browser test: a parent that declares, and three children that count, so that something moves. Prints
// `ready PID PID PID`, ends when its standard input does.
//
// usage: ui_worker SEGMENT SERIES   SERIES: how many more series a big family has
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

namespace {

[[noreturn]] void count_for_ever(const shmetrics::Registry& registry, unsigned seed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto requests =
      registry.counter("app_http_requests_total", "HTTP requests answered", {"method", "route", "status"});
  const auto seconds = registry.histogram("app_http_request_duration_seconds", "From the first byte to the last",
                                          {"route"}, shmetrics::exponential_buckets(0.001, 2, 12));
  const auto queries = registry.histogram("app_db_query_duration_seconds", "Several a request", {});
  const auto native = registry.native_histogram("app_native_seconds", "The same", {}, {.low = 1e-4, .high = 10});
  const auto depth = registry.gauge("app_queue_depth", "Jobs that wait", {"queue"});
  const auto load =
      registry.gauge("app_worker_load", "Part of its time that a worker is busy", {}, shmetrics::GaugeMode::liveall);
  const auto sizes = registry.summary("app_response_bytes", "Size of a response", {"route"});
  std::mt19937 random(seed);
  std::lognormal_distribution<double> spread(-4.2, 0.8);
  const char* const routes[] = {"/", "/users/:id", "/orders", "/search"};
  for (double wave = seed;; wave += 0.002) {
    const char* route = routes[random() % 4];
    requests.with(random() % 5 != 0 ? "GET" : "POST", route, random() % 40 == 0 ? "500" : "200").inc();
    seconds.with(route).observe(spread(random));
    for (int i = 0; i < 3; ++i) queries.observe(0.0001);
    native.observe(spread(random));
    sizes.with(route).observe(static_cast<double>(random() % 20'000));
    depth.with("mail").set(static_cast<double>(random() % 7));
    depth.with("thumbnails").set(20 + 10 * std::sin(wave));
    load.set(0.5 + 0.3 * std::sin(wave * 3));
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  shmetrics::Options options;
  options.path = argv[1];
  const auto registry = shmetrics::Registry::open(options);
  registry.info("app_build_info", "Which release this is", {{"version", "2.4.1"}, {"revision", "9f31c07"}});
  const auto fixed = registry.counter("app_fixed_total", "Does not move", {"size"});
  fixed.with("small").inc(1'234'567);
  fixed.with("huge").inc(UINT64_MAX);
  registry.counter("app_http_requests_total", "HTTP requests answered", {"method", "route", "status"})
      .with("GE\u200bT", "/", "200")
      .inc();
  registry.float_counter("app_cost_dollars_total", "Money spent").inc(0.1);
  const auto odd = registry.counter("app_odd_total", "Help with <b>markup</b> & \"quotes\"", {"text"});
  for (const char* text : {"<script>document.title='owned'</script>", "a \"quoted\" \\ word", "two\nlines", ""}) {
    odd.with(text).inc();
  }
  const unsigned series = static_cast<unsigned>(std::atoi(argv[2]));
  const auto items =
      registry.counter("shop_items_sold_total", "Items sold", {"shard", "item"}, {.series_limit = series + 1});
  for (unsigned i = 0; i < series; ++i) items.with(std::to_string(i % 10), "item-" + std::to_string(i)).inc(i);
  std::string pids;
  for (unsigned i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) count_for_ever(registry, i + 1);
    pids += " " + std::to_string(child);
  }
  std::printf("ready%s\n", pids.c_str());
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
