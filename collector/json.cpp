#include "collector/json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "collector/family.hpp"
#include "collector/plain_family.hpp"
#include "collector/text_format.hpp"

namespace shmetrics::collector {
namespace {

using Json = nlohmann::ordered_json;  // keys in the order of the contract, not of the alphabet

Json number(double value) {
  if (std::isfinite(value)) return value;
  std::string text;
  append_number(text, value);
  return text;
}

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json native_object(const NativeDistribution& native) {
  Json buckets = Json::array();
  for (const auto& [above, up_to, count] : native.buckets) {
    buckets.push_back(Json::array({number(above), number(up_to), count}));
  }
  return {{"schema", native.schema},
          {"zero_threshold", native.zero_threshold},
          {"zero_count", native.zero_count},
          {"buckets", std::move(buckets)}};
}

Json labels_object(const std::vector<std::pair<std::string, std::string>>& labels) {
  Json object = Json::object();
  for (const auto& [label, value] : labels) object[label] = value;
  return object;
}

Json series_object(const PlainSeries& series) {
  Json object{{"labels", labels_object(series.labels)}};
  if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) {
    object["value"] = *whole;
  } else if (const auto* value = std::get_if<double>(&series.value)) {
    object["value"] = number(*value);
  } else {
    const auto& distribution = std::get<Distribution>(series.value);
    for (const auto& [bound, count] : distribution.buckets) {
      object["buckets"].push_back(Json::array({number(bound), count}));
    }
    if (distribution.native) object["native"] = native_object(*distribution.native);
    object["sum"] = number(distribution.sum);
    object["count"] = distribution.count;
  }
  for (const PlainExemplar& exemplar : series.exemplars) {
    object["exemplars"].push_back({{"labels", labels_object(exemplar.labels)},
                                   {"value", number(exemplar.value)},
                                   {"timestamp", exemplar.unix_seconds}});
  }
  return object;
}

Json family_object(const PlainFamily& family) {
  Json object{{"name", family.name},          {"type", family.type},     {"help", family.help},
              {"unit", or_null(family.unit)}, {"labels", family.labels}, {"mode", or_null(family.mode)}};
  if (!family.generations.empty()) object["generations"] = Json::array();
  for (const Generation& generation : family.generations) {
    object["generations"].push_back({{"entry", generation.entry},
                                     {"labels", generation.labels},
                                     {"bounds", generation.bounds},
                                     {"mode", or_null(generation.mode)},
                                     {"cell_kind", generation.cell_kind},
                                     {"series", generation.series_count}});
  }
  object["series"] = Json::array();
  return object;
}

Json worker_object(const WorkerRow& row) {
  return {{"worker", row.worker},
          {"state", state_name(row.state)},
          {"pid", row.pid},
          {"program", row.program},
          {"started", or_null(time_text(row.started_unix_ns / 1'000'000'000))},
          {"adopted", row.adopted},
          {"deaths", row.deaths},
          {"slots", row.slots}};
}

Json segment_object(const std::string& path, const SegmentStatus& status) {
  if (!status.up) return {{"path", path}, {"state", "down"}, {"problem", status.problem}};
  const std::uint64_t damaged = status.quarantined() - status.newer_records;  // nothing is wrong with these
  return {{"path", path},
          {"id", status.id},
          {"layout_version", status.layout_version},
          {"created", or_null(time_text(static_cast<std::uint64_t>(status.created_unix_seconds)))},
          {"state", damaged > 0 ? "damaged" : "up"},
          {"cells", {{"used", status.cells_used}, {"limit", status.cells_limit}}},
          {"directory_bytes", {{"used", status.directory_used_bytes}, {"limit", status.directory_limit_bytes}}}};
}

// A path is the one text that may not be UTF-8. In ASCII, since a terminal obeys C1 characters, and eyes do not see
// what turns text around.
std::string text_of(const Json& object) {
  return object.dump(-1, ' ', true, Json::error_handler_t::replace);
}

// A series a time: a million of them in one tree of objects would take gigabytes.
void write_family(const FamilyPart& part, TextOutput& out) {
  constexpr std::string_view kEnd = "]}";
  const std::string head = text_of(family_object(plain_head(*part.family)));
  out.text(std::string_view(head).substr(0, head.size() - kEnd.size()));
  std::string_view before = "";
  for_each_series(part, [&](const PlainSeries& series) {
    if (out.room() < 0) return out.leave_out();
    out.text(std::exchange(before, ","));
    out.text(text_of(series_object(series)));
  });
  out.text(kEnd);
}

}  // namespace

// A line an element, so that it can be searched.
void render_json(const Scraper& scraper, const SegmentStatus& status, const Wanted& wanted, TextOutput& out) {
  out.text("{\"segment\":");
  out.text(text_of(segment_object(scraper.path(), status)));
  out.text(",\n\"workers\":[");
  std::string_view before = "\n";
  for (const WorkerRow& row : scraper.workers()) {
    if (row.state == WorkerState::kUnused) continue;
    out.text(std::exchange(before, ",\n"));
    out.text(text_of(worker_object(row)));
  }
  out.text("],\n\"families\":[");
  before = "\n";
  FamilyGroups(scraper.view()).for_each(wanted, [&](std::span<const FamilyPart> parts) {
    const FamilyPart& part = parts.front();
    if (out.room() < 0) return out.leave_out(part.family->series.size());
    out.text(std::exchange(before, ",\n"));
    write_family(part, out);
  });
  out.text("]}\n");
  out.flush();
}

}  // namespace shmetrics::collector
