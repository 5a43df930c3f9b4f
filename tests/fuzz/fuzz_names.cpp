// The bytes are a schema and label values. What the worker's grammar lets pass is written as records, read back by the
// reader, and rendered; two families from one input never give text in which they clash.
#include <string>
#include <vector>

#include "collector/catalog.hpp"
#include "collector/openmetrics.hpp"
#include "collector/render.hpp"
#include "tests/fuzz/oracle.hpp"

namespace {

using namespace shmetrics;

constexpr shm::Geometry kShape{.workers = 1, .thread_slots = 1, .cells = 65536, .directory_bytes = 1 << 20};

struct Words {
  std::string name, help, unit;
  std::vector<std::string> labels;
  std::vector<std::string> values;

  explicit Words(fuzz::Input& input)
      : name(input.text(200)), help(input.text(5000)), unit(input.text(80)), labels(input.take<std::uint8_t>() % 18) {
    for (std::string& label : labels) {
      label = input.text(200);
      values.push_back(input.text(1200));
    }
  }
};

shm::Schema schema_of(const Words& words, fuzz::Input& input) {
  shm::Schema schema;
  schema.type = static_cast<shm::MetricType>(1 + input.take<std::uint8_t>() % 5);
  schema.cell_kind = static_cast<shm::CellKind>(1 + input.take<std::uint8_t>() % 2);
  if (schema.type == shm::MetricType::kGauge) {
    schema.gauge_mode = static_cast<shm::GaugeMode>(input.take<std::uint8_t>() % 11);
  }
  schema.name = words.name;
  schema.help = words.help;
  schema.unit = words.unit;
  schema.labels.assign(words.labels.begin(), words.labels.end());
  if (schema.type == shm::MetricType::kHistogram) {
    const auto count = input.take<std::uint8_t>();
    for (int i = count % 70; i > 0; --i) {
      schema.bounds.push_back(std::bit_cast<double>(input.take<std::uint64_t>()));
    }
    schema.is_native = count >= 210;
    if (schema.is_native && schema.bounds.size() == shm::kNativeBounds) {
      const auto bounds = shm::native_bounds(schema.bounds[0], schema.bounds[1], schema.bounds[2]);
      schema.bounds.assign(bounds.begin(), bounds.end());
    }
  }
  return schema;
}

class Log {
 public:
  void add(fuzz::Input& input) {
    const Words words(input);
    const shm::Schema schema = schema_of(words, input);
    const std::string problem = shm::refusal(schema);
    fuzz::demand(problem.find('\n') == std::string::npos, "a refusal is one line", problem);
    if (!problem.empty()) return;
    const auto entry = static_cast<std::uint32_t>(records_.size());
    records_.push_back(shm::encode_family(schema, 1, 1000, cells_));
    ++families_;
    if (schema.labels.empty()) return;
    for (const std::string& value : words.values) {
      if (!shm::is_valid_label_value(value)) return;
    }
    const std::vector<std::string_view> values(words.values.begin(), words.values.end());
    records_.push_back(shm::encode_series(entry, schema.type, shm::series_cells(schema), values, 2, cells_));
    ++series_;
  }

  void demand_well_formed(const std::string& segment) const {
    collector::Catalog catalog(kShape, segment);
    for (const std::string& record : records_) catalog.add(std::as_bytes(std::span(record)));
    catalog.settle();
    // Two families may clash, end one another or be one, and a family may clash with itself; whatever else the writer
    // accepts the reader takes.
    fuzz::demand(catalog.families().size() + catalog.quarantined_families() <= families_, "no family is made up");
    fuzz::demand(families_ != 1 || (catalog.problems().empty() && catalog.series_count() >= series_),
                 "the reader takes what the writer's grammar lets pass",
                 catalog.problems().empty() ? "" : catalog.problems().front());
    collector::Totals totals;
    totals.reset(catalog.total_cells(), catalog.gauges().size());
    for (std::uint64_t& cell : totals.cells) cell = 1;
    for (std::uint32_t i = 0; i < totals.gauges.size(); ++i) {
      totals.gauges[i].is_seen = true;
      totals.per_worker.push_back({i, 7, 1.5});
    }
    totals.sort_per_worker();
    catalog.add_up_generations(totals);
    std::string text, openmetrics;
    collector::TextOutput to_text(text), to_openmetrics(openmetrics);
    for (const collector::CatalogFamily* family : catalog.families()) {
      const collector::FamilyPart part{family, &totals};
      collector::render_text({&part, 1}, to_text);
      collector::render_openmetrics({&part, 1}, collector::Created::kNo, to_openmetrics);
    }
    collector::end_openmetrics(openmetrics);
    fuzz::demand_text(text);
    fuzz::demand_openmetrics(openmetrics);
  }

 private:
  std::vector<std::string> records_;
  shm::CellCursor cells_;
  std::size_t families_ = 0, series_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Log log;
  for (int i = 0; i < 3 && !input.empty(); ++i) {
    log.add(input);
    log.demand_well_formed("");
  }
  log.demand_well_formed("of \\ \" \n");
  return 0;
}
