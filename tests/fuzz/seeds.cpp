// Writes sound segments as seeds of fuzz_snapshot_raw: `fuzz_seeds DIRECTORY`. Without their zeros at the end, which
// the target puts back.
#include <fstream>
#include <functional>
#include <string>

#include "shm/exemplar.hpp"
#include "tests/collector/segment_builder.hpp"

namespace {

using namespace shmetrics;
using tests::SegmentBuilder;

constexpr shm::Geometry kLeast{.workers = 1, .thread_slots = 1, .cells = shm::kGrowthCells, .directory_bytes = 4096};

void write(const std::string& path, const std::function<void(SegmentBuilder&)>& fill) {
  SegmentBuilder segment(kLeast);
  fill(segment);
  std::size_t size = kLeast.file_bytes();
  while (segment.base()[size - 1] == std::byte{0}) --size;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(segment.base()), static_cast<std::streamsize>(size));
}

void fill_with_counters(SegmentBuilder& segment) {
  const auto requests = segment.family(tests::counter("requests_total", {"method"}));
  segment.spill(segment.series(requests, {"GET"})).store_relaxed(3);
  segment.spill(segment.family(tests::counter("cost_total", {}, shm::CellKind::kDouble)).cell)
      .store_double_relaxed(1.5);
}

void fill_with_distributions(SegmentBuilder& segment) {
  const auto times = segment.family(tests::histogram("seconds", {0.1, 1}, {"route"}));
  segment.spill(segment.series(times, {"/"}) + 2).store_relaxed(5);
  segment.spill(segment.family(tests::plain(shm::MetricType::kSummary, "bytes")).cell + 2).store_relaxed(2);
}

void fill_with_gauges(SegmentBuilder& segment) {
  for (const auto mode : {shm::GaugeMode::kSum, shm::GaugeMode::kAll, shm::GaugeMode::kMin, shm::GaugeMode::kShared}) {
    const auto family = segment.family(tests::gauge(shm::mode_name(mode), mode));
    segment.set_gauge(0, family.cell, 2);
    segment.gauge_spill(family.cell + 1).store_double_relaxed(1);
  }
  const auto build = segment.family(tests::plain(shm::MetricType::kInfo, "build_info", {"version"}));
  segment.set_gauge(0, segment.series(build, {"1.2.3"}), 1);
  segment.dead(0);
}

void fill_a_slot(SegmentBuilder& segment) {
  const auto times = segment.family(tests::histogram("seconds", {1}));
  segment.thread(0, times.cell).store_relaxed(1);  // odd: a redo record speaks of it
  segment.thread(0, 0).store_relaxed(times.cell | std::uint64_t{times.cell + 2} << 32);
  segment.thread(0, 1).store_relaxed(4);
}

void fill_with_exemplars(SegmentBuilder& segment) {
  auto schema = tests::histogram("seconds", {1});
  schema.has_exemplars = true;
  const auto times = segment.family(schema);
  shm::ExemplarLabels labels;
  labels.add("trace_id", "t");
  for (std::uint32_t i = 0; i < 2; ++i) {
    const std::uint32_t cell = times.cell + 4 + i * shm::kExemplarCells;
    segment.thread(0, cell + shm::kExemplarCells);
    shm::store_exemplar(&segment.thread(0, cell), 1, 1 + i, labels.words(), labels.text().size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string directory = argv[1];
  write(directory + "/empty", [](SegmentBuilder&) {});
  write(directory + "/counters", fill_with_counters);
  write(directory + "/distributions", fill_with_distributions);
  write(directory + "/gauges", fill_with_gauges);
  write(directory + "/slot", fill_a_slot);
  write(directory + "/exemplars", fill_with_exemplars);
}
