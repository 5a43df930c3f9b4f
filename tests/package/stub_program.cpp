// Uses every name of the C++ API; tests/package/stub_test.sh compiles it with SHMETRICS_STUB.
#include <array>

#include <shmetrics/shmetrics.h>
#include <shmetrics/shmetrics.hpp>

namespace {

bool updates(const shmetrics::Registry& registry) {
  const auto requests = registry.counter("requests_total", "Requests", {"method", "route"});
  requests.with("GET", shmetrics::normalize_route("/users/1")).inc();
  requests.with("GET", "/").inc(2u);
  registry.float_counter("money_total", "Money").inc(.5);
  const auto in_flight = registry.gauge("in_flight", "In flight", {}, shmetrics::GaugeMode::max);
  in_flight.set(1);
  in_flight.inc();
  in_flight.dec();
  in_flight.set_to_current_time();
  const shmetrics::InFlight counted(in_flight);
  const auto seconds = registry.histogram("seconds", "Seconds", {}, shmetrics::exponential_buckets(1, 2, 4));
  seconds.observe(1);
  registry.native_histogram("native_seconds", "Native", {"x"}, {.low = 1, .high = 2}).with("y").observe(1);
  registry.summary("waits", "Waits", {}, {.series_limit = 2, .unit = ""}).observe(1);
  const shmetrics::Timer timer(seconds);
  const std::vector<std::string_view> names{"shard"};
  const std::array<std::string_view, 1> values{"7"};
  registry.counter("shards_total", "Shards", shmetrics::RuntimeLabels(names)).with(values).inc();
  return requests && in_flight && !requests.error() && !registry.info("build_info", "Build", {{"version", "1"}});
}

}  // namespace

int main() {
  std::error_code error = shmetrics::Registry().error();
  const auto registry = shmetrics::Registry::open({.path = "somewhere"}, error);
  const auto other = shmetrics::Registry::open();
  const bool is_fine = registry && other && !error && !registry.error() && registry.path().empty() &&
                       error != shmetrics::Errc::full && !shmetrics::Registry();
  const bool has_buckets = shmetrics::default_buckets().size() == 11 &&
                           shmetrics::linear_buckets(1, 1, 3) == shmetrics::Buckets{1, 2, 3} &&
                           shmetrics::exponential_buckets(1, 2, 3) == shmetrics::Buckets{1, 2, 4};
  const bool in_c = shmetrics_default_registry(nullptr) != nullptr;  // both headers in one file
  return is_fine && has_buckets && in_c && updates(registry) && updates(shmetrics::default_registry()) ? 0 : 1;
}
