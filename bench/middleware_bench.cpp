// What does MasterCRM's HTTP instrumentation cost a request?
//
//   handler       a request to a handler that answers at once, found by its pattern: what is there without metrics
//   instrumented  the same through the middleware: the path normalised, the request counted, its duration observed
//
// Run: build/release/bin/middleware_bench. The difference is the cost.
#include <benchmark/benchmark.h>

#include "examples/mastercrm/middleware.hpp"
#include "tests/temporary_folder.hpp"

namespace {

using namespace mastercrm;

const Handler kHandler = [](const Request&) { return Response{}; };
const Request kRequest{.method = "GET", .target = "/contacts/17/notes/4711", .body = {}, .peer = {}};

const Handler* find(std::string_view, std::string_view route) {
  return route.empty() ? nullptr : &kHandler;
}

void handler(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize((*find(kRequest.method, kRequest.target))(kRequest));
}
BENCHMARK(handler);

const Catalogue& catalogue() {
  static const shmetrics::tests::TemporaryFolder folder;
  static const Catalogue metrics{[] {
    shmetrics::Options options;
    options.path = folder.file("bench.seg");
    return shmetrics::Registry::open(options);
  }()};
  return metrics;
}

void instrumented(benchmark::State& state) {
  const Middleware middleware(catalogue());
  for (auto _ : state) benchmark::DoNotOptimize(middleware.serve(kRequest, find));
}
BENCHMARK(instrumented);

}  // namespace
