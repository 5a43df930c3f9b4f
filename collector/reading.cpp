#include "collector/reading.hpp"

#include <ctime>

#include "collector/describe.hpp"
#include "collector/values.hpp"

namespace shmetrics::collector {

std::string_view state_name(WorkerState state) {
  static constexpr std::string_view kNames[] = {"live", "dead", "released", "unused"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string time_text(std::uint64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  char text[64];
  if (gmtime_r(&seconds, &utc) == nullptr) return {};
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

namespace {

std::string mode_of(const CatalogFamily& family) {
  return family.type == shm::MetricType::kGauge ? std::string(shm::mode_name(family.gauge_mode)) : std::string();
}

}  // namespace

Family describe_head(const CatalogFamily& family) {
  Family described;
  described.name = family.name;
  described.type = shm::type_name(family.type);
  described.help = family.help;
  described.unit = family.unit;
  described.mode = mode_of(family);
  if (!family.segment.empty()) described.labels.emplace_back(kSegmentLabel);
  described.labels.insert(described.labels.end(), family.labels.begin(), family.labels.end());
  for (const CatalogFamily* generation : family.generations) {
    const bool is_unsigned = generation->cell_kind == shm::CellKind::kUnsigned;
    described.generations.push_back({generation->entry, generation->labels, generation->bounds, mode_of(*generation),
                                     is_unsigned ? "unsigned" : "double", generation->label_sets()});
  }
  return described;
}

Family describe(const CatalogFamily& family, const Totals& totals) {
  Family described = describe_head(family);
  visit_series(family, totals,
               SeriesDescriber(family, [&](Series&& series) { described.series.push_back(std::move(series)); }));
  return described;
}

}  // namespace shmetrics::collector
