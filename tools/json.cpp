#include "tools/json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "collector/text_format.hpp"
#include "tools/printable.hpp"

namespace shmetrics::tools {
namespace {

using Json = nlohmann::ordered_json;  // keys in the order of the contract, not of the alphabet

Json number(double value) {
  if (std::isfinite(value)) return value;
  std::string text;
  collector::append_number(text, value);
  return text;
}

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json series_object(const collector::Series& series) {
  Json object;
  object["labels"] = Json::object();
  for (const auto& [label, value] : series.labels) object["labels"][label] = value;
  if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) {
    object["value"] = *whole;
  } else if (const auto* value = std::get_if<double>(&series.value)) {
    object["value"] = number(*value);
  } else {
    const auto& distribution = std::get<collector::Distribution>(series.value);
    for (const auto& [bound, count] : distribution.buckets) {
      object["buckets"].push_back(Json::array({number(bound), count}));
    }
    object["sum"] = number(distribution.sum);
    object["count"] = distribution.count;
  }
  return object;
}

Json family_object(const collector::Family& family) {
  Json object{{"name", family.name},          {"type", family.type},     {"help", family.help},
              {"unit", or_null(family.unit)}, {"labels", family.labels}, {"mode", or_null(family.mode)}};
  object["series"] = Json::array();
  for (const collector::Series& series : family.series) object["series"].push_back(series_object(series));
  return object;
}

Json worker_object(const collector::WorkerRow& row) {
  return {{"worker", row.worker},
          {"state", collector::state_name(row.state)},
          {"pid", row.pid},
          {"program", row.program},
          {"started", or_null(time_text(row.started_unix_ns / 1'000'000'000))},
          {"adopted", row.adopted},
          {"deaths", row.deaths},
          {"slots", row.slots}};
}

Json segment_object(const std::string& path, const collector::SegmentStatus& status) {
  const std::uint64_t quarantined =
      status.quarantined_families + status.quarantined_series + status.quarantined_slots + status.quarantined_workers;
  return {{"path", path},
          {"id", status.id},
          {"layout_version", status.layout_version},
          {"created", or_null(time_text(static_cast<std::uint64_t>(status.created_unix_seconds)))},
          {"state", quarantined > 0 ? "damaged" : "up"},
          {"cells", {{"used", status.cells_used}, {"limit", status.cells_limit}}},
          {"directory_bytes", {{"used", status.directory_used_bytes}, {"limit", status.directory_limit_bytes}}}};
}

// A line an element: a million series in one tree of objects would take gigabytes, and nobody could grep them.
template <typename List, typename ToObject>
void append_lines(std::string& out, const List& list, ToObject to_object) {
  std::string_view before = "\n";
  for (const auto& element : list) {
    // A path is the one text that may not be UTF-8.
    out.append(before).append(to_object(element).dump(-1, ' ', false, Json::error_handler_t::replace));
    before = ",\n";
  }
}

}  // namespace

void append_json(std::string& out, const std::string& path, const collector::SegmentStatus& status,
                 const std::vector<collector::WorkerRow>& workers, const std::vector<collector::Family>& families) {
  std::vector<collector::WorkerRow> claimed;
  std::copy_if(workers.begin(), workers.end(), std::back_inserter(claimed),
               [](const auto& row) { return row.state != collector::WorkerState::kUnused; });
  out += "{\"segment\":";
  out += segment_object(path, status).dump(-1, ' ', false, Json::error_handler_t::replace);
  out += ",\n\"workers\":[";
  append_lines(out, claimed, worker_object);
  out += "],\n\"families\":[";
  append_lines(out, families, family_object);
  out += "]}\n";
}

}  // namespace shmetrics::tools
