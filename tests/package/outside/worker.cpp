#include <shmetrics/shmetrics.hpp>

int main() {
  const auto registry = shmetrics::Registry::open();
  registry.counter("outside_runs_total", "Runs", {"language"}).with("C++").inc();
  return registry ? 0 : 1;
}
