#include <shmetrics/reader.hpp>

int main() {
  const auto reading = shmetrics::Reading::of();
  return reading.value("outside_runs_total", {{"language", "C++"}}).value_or(0) > 0 ? 0 : 1;
}
