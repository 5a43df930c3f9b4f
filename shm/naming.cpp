#include "shm/naming.hpp"

#include <algorithm>
#include <boost/nowide/utf/utf.hpp>
#include <cmath>
#include <cstring>

namespace shmetrics::shm {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

// The nearest identifier, as advice. Made of its own characters alone: the name may come from anywhere.
std::string spelling(std::string_view name) {
  if (name.empty()) return {};
  std::string near(name.substr(0, kMaxNameBytes));
  for (char& c : near) {
    if (!is_letter(c) && !is_digit(c)) c = '_';
  }
  if (is_digit(near[0])) near.insert(near.begin(), '_');
  return ": use " + quoted(near);
}

std::string refuse_name(const Schema& schema) {
  const std::string_view name = schema.name;
  const std::string type(type_name(schema.type));
  const auto is_printable = [](char c) { return c > ' ' && c <= '~'; };
  if (!std::all_of(name.begin(), name.end(), is_printable))
    return "a metric name must match [a-zA-Z_][a-zA-Z0-9_]*" + spelling(name);
  if (name.find(':') != name.npos) return quoted(name) + " has a colon, which belongs to recording rules: use '_'";
  if (name.size() > kMaxNameBytes) {
    return "a name of " + std::to_string(name.size()) + " bytes: at most " + std::to_string(kMaxNameBytes);
  }
  if (!is_identifier(name)) return "a metric name must match [a-zA-Z_][a-zA-Z0-9_]*" + spelling(name);
  for (const std::string_view prefix : {"shmetrics_", "process_"}) {
    if (name.starts_with(prefix))
      return quoted(name) + " begins with the reserved " + quoted(prefix) + ": use a prefix of your own";
  }
  if (name == "_total" || name == "_info") return quoted(name) + " is a suffix alone: put a name before it";
  const bool total = name.ends_with("_total");
  if (schema.type == MetricType::kCounter && !total) {
    return "counter " + quoted(name) + " must end in '_total': use " + quoted(std::string(name) + "_total");
  }
  if (schema.type == MetricType::kInfo && !name.ends_with("_info")) {
    return "info " + quoted(name) + " must end in '_info': use " + quoted(std::string(name) + "_info");
  }
  if (schema.type != MetricType::kCounter && total) {
    return type + " " + quoted(name) + " must not end in '_total': use " + quoted(name.substr(0, name.size() - 6));
  }
  for (const std::string_view suffix : {"_bucket", "_count", "_sum"}) {
    if (!name.ends_with(suffix)) continue;
    return type + " " + quoted(name) + " must not end in " + quoted(suffix) + ", a histogram's: use " +
           quoted(name.substr(0, name.size() - suffix.size()));
  }
  return {};
}

std::string refuse_label(const Schema& schema, std::string_view label) {
  if (label.size() > kMaxNameBytes || !is_identifier(label)) {
    return "label names must match [a-zA-Z_][a-zA-Z0-9_]* in at most " + std::to_string(kMaxNameBytes) + " bytes" +
           spelling(label);
  }
  if (label.starts_with("__"))
    return "label " + quoted(label) + " begins with '__', which Prometheus keeps: drop the underscores";
  const bool per_worker = schema.gauge_mode == GaugeMode::kAll || schema.gauge_mode == GaugeMode::kLiveall;
  if ((schema.type == MetricType::kHistogram && label == "le") ||
      (schema.type == MetricType::kSummary && label == "quantile") ||
      (schema.type == MetricType::kGauge && per_worker && label == "worker")) {
    return "label " + quoted(label) + " is written by the exporter for this kind: choose another name";
  }
  return {};
}

std::string refuse_labels(const Schema& schema) {
  if (schema.labels.size() > kMaxLabels) {
    return std::to_string(schema.labels.size()) + " labels: at most " + std::to_string(kMaxLabels);
  }
  for (std::size_t i = 0; i < schema.labels.size(); ++i) {
    if (std::string problem = refuse_label(schema, schema.labels[i]); !problem.empty()) return problem;
    for (std::size_t j = 0; j < i; ++j) {
      if (schema.labels[i] == schema.labels[j])
        return "label " + quoted(schema.labels[i]) + " is there twice: name each once";
    }
  }
  return {};
}

std::string refuse_bounds(const Schema& schema) {
  if (schema.type != MetricType::kHistogram) return schema.bounds.empty() ? "" : "only a histogram has bounds";
  if (schema.bounds.empty()) return "a histogram needs at least one finite bound";
  if (schema.bounds.size() > kMaxBounds) {
    return std::to_string(schema.bounds.size()) + " bounds: at most " + std::to_string(kMaxBounds) +
           ", +Inf comes on top";
  }
  for (std::size_t i = 0; i < schema.bounds.size(); ++i) {
    if (!std::isfinite(schema.bounds[i])) return "bounds must be finite: +Inf comes on top by itself";
    if (i > 0 && !(schema.bounds[i - 1] < schema.bounds[i])) return "bounds must increase: sort them and drop doubles";
  }
  return {};
}

}  // namespace

std::string quoted(std::string_view name) {
  return std::string(1, '\'').append(name).append(1, '\'');
}

bool is_valid_text(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::size_t at = 0;
  // Eight bytes at a time while all are ASCII and none is NUL, which borrows from the bit above it.
  for (std::uint64_t eight = kOnes; at < text.size(); at += sizeof eight, eight = kOnes) {
    std::memcpy(&eight, text.data() + at, std::min(text.size() - at, sizeof eight));
    if (((eight | (eight - kOnes)) & (kOnes << 7)) != 0) break;
  }
  using Utf8 = boost::nowide::utf::utf_traits<char>;
  const char* const end = text.data() + text.size();
  for (const char* next = text.data() + std::min(at, text.size()); next != end;) {
    const auto point = Utf8::decode(next, end);
    if (point == 0 || point == boost::nowide::utf::illegal || point == boost::nowide::utf::incomplete) return false;
  }
  return true;
}

bool is_valid_name(std::string_view name) {
  return name.size() <= kMaxNameBytes && is_identifier(name);
}

bool is_valid_label_value(std::string_view value) {
  return value.size() <= kMaxLabelValueBytes && is_valid_text(value);
}

std::string refusal(const Schema& schema) {
  if (std::string problem = refuse_name(schema); !problem.empty()) return problem;
  if (schema.help.empty()) return quoted(schema.name) + " has no help: say in a few words what it counts";
  if (schema.help.size() > kMaxHelpBytes || !is_valid_text(schema.help)) {
    return quoted(schema.name) + " needs a help in UTF-8 of at most " + std::to_string(kMaxHelpBytes) + " bytes";
  }
  if (!schema.unit.empty() && (schema.unit.size() > kMaxUnitBytes || !is_identifier(schema.unit))) {
    return quoted(schema.name) + " has an odd unit: letters, digits and '_', such as 'seconds'";
  }
  const std::string_view base = schema.name.substr(0, schema.name.size() - (schema.name.ends_with("_total") ? 6 : 0));
  if (!schema.unit.empty() && !base.ends_with(std::string(1, '_').append(schema.unit))) {
    return quoted(schema.name) + " has the unit " + quoted(schema.unit) + ", so its name must end in it: use " +
           quoted(std::string(base).append(1, '_').append(schema.unit).append(schema.name.substr(base.size())));
  }
  if (std::string problem = refuse_labels(schema); !problem.empty()) return quoted(schema.name) + ": " + problem;
  if (std::string problem = refuse_bounds(schema); !problem.empty()) return quoted(schema.name) + ": " + problem;
  if (schema.gauge_mode > GaugeMode::kAll) return quoted(schema.name) + " has no mode of a gauge: see GaugeMode";
  return {};
}

std::vector<std::string> claimed_names(MetricType type, std::string_view name) {
  const auto with = [name](std::string_view suffix) { return std::string(name) + std::string(suffix); };
  const auto without = [name](std::string_view suffix) {
    return std::string(name.substr(0, name.size() - std::min(suffix.size(), name.size())));
  };
  switch (type) {
    case MetricType::kCounter:  // OpenMetrics names the family without the suffix, and its time of creation after that
      return {with(""), without("_total"), without("_total") + "_created"};
    case MetricType::kGauge:
      return {with("")};
    case MetricType::kInfo:
      return {with(""), without("_info")};
    case MetricType::kHistogram:
      return {with(""), with("_bucket"), with("_sum"), with("_count"), with("_created")};
    case MetricType::kSummary:
      return {with(""), with("_sum"), with("_count"), with("_created")};
  }
  return {with("")};
}

std::string schema_difference(const Schema& before, const Schema& after) {
  if (before.type != after.type) return "as another type (" + std::string(type_name(before.type)) + ")";
  if (before.cell_kind != after.cell_kind) return "with another kind of number";
  if (before.labels != after.labels) return "with other labels";
  if (before.bounds != after.bounds) return "with other bounds";
  if (before.gauge_mode != after.gauge_mode)
    return "with another mode (" + std::string(mode_name(before.gauge_mode)) + ")";
  return {};
}

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kSummary:
      return "summary";
    case MetricType::kInfo:
      return "info";
  }
  return "unknown";
}

std::string_view mode_name(GaugeMode mode) {
  static constexpr std::string_view kNames[] = {"livesum", "livemin", "livemax", "liveall",    "livemostrecent",
                                                "sum",     "min",     "max",     "mostrecent", "all"};
  const auto index = static_cast<std::size_t>(mode);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

}  // namespace shmetrics::shm
