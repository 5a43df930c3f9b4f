#include <shmetrics/testing.hpp>

int main() {
  const shmetrics::testing::TemporarySegment segment;
  segment.registry().counter("tested_total", "Tested", {}).inc();
  return segment.value("tested_total") == 1 ? 0 : 1;
}
