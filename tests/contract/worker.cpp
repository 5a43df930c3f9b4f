// A worker for the scripts: makes every self metric of a segment appear, says `ready`, then lives until its standard
// input ends.
//
// usage: contract_worker SEGMENT [COUNT]   COUNT: what its counter reads at the end, by default 3
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  shmetrics::Options options;
  options.path = argv[1];
  options.workers = 4;
  options.slots = 4;
  options.cells = 2048;
  options.directory_bytes = 65536;
  options.quiet = true;  // its mistakes are meant
  const auto registry = shmetrics::Registry::open(options);
  registry.info("app_build_info", "Build", {{"version", "1.2.3"}});
  const auto jobs = registry.counter("app_jobs_total", "Jobs", {"queue"}, {.series_limit = 1});
  for (int i = argc > 2 ? std::atoi(argv[2]) : 3; i > 0; --i) jobs.with("mail").inc();
  jobs.with("print").inc();  // past the limit
  jobs.with("mail").inc(-1);
  const auto cost = registry.float_counter("app_cost_dollars_total", "Cost");
  cost.inc(0.5);
  cost.inc(INFINITY);
  const auto depth =
      registry.gauge("app_depth", "Depth", {"queue"}, shmetrics::GaugeMode::livesum, {.series_limit = 1});
  depth.with("mail").set(2);
  depth.with("print").set(2);  // past the limit
  registry.gauge("app_load", "Load", {}, shmetrics::GaugeMode::liveall).set(0.5);
  registry.counter("app_refused", "A counter's name ends in _total").inc();
  const auto seconds = registry.histogram("app_job_seconds", "Durations", {}, {0.5, 1});
  seconds.observe(0.7);
  seconds.observe(NAN);
  registry.summary("app_size_bytes", "Sizes").observe(100);
  std::puts("ready");
  std::fflush(stdout);
  char byte = 0;
  return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}
