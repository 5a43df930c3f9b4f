#include "shm/naming.hpp"

#include <algorithm>
#include <boost/nowide/utf/utf.hpp>
#include <cmath>
#include <cstring>

#include "shm/native_window.hpp"

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
bool is_metric_name(std::string_view text) {
  return !text.empty() && !is_digit(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c) || c == ':'; });
}

constexpr std::string_view kTotal = "_total";
constexpr std::string_view kInfo = "_info";
constexpr std::string_view kHistogramSuffixes[] = {"_bucket", "_count", "_sum"};

// Made of its own characters alone, since the name may come from anywhere.
std::string identifier_near(std::string_view name) {
  std::string near(name.substr(0, kMaxNameBytes));
  for (char& c : near) {
    if (!is_letter(c) && !is_digit(c)) c = '_';
  }
  if (!near.empty() && is_digit(near[0])) near.insert(near.begin(), '_');
  return near;
}

enum class Advice : bool { kNone, kGiven };
std::string refuse_name(const Schema& schema, Advice advised);
std::string refuse_unit(const Schema& schema, Advice advised);

bool is_valid_unit(std::string_view unit) {
  return unit.size() <= kMaxUnitBytes && is_identifier(unit);
}

// The name up to its unit: what stands before `_total`.
std::string_view base_of(std::string_view name) {
  return name.substr(0, name.size() - (name.ends_with(kTotal) ? kTotal.size() : 0));
}

bool ends_in_unit(const Schema& schema) {
  return base_of(schema.name).ends_with(std::string(1, '_').append(schema.unit));
}

// ": use 'x'", where a name near the given one is accepted. Else nothing.
std::string advice(const Schema& schema) {
  std::string near = identifier_near(schema.name);
  const auto drop = [&near](std::string_view suffix) {
    const bool has_it = near.ends_with(suffix);
    if (has_it) near.resize(near.size() - suffix.size());
    return has_it;
  };
  if (schema.naming == Naming::kStrict) {
    const bool is_counter = schema.type == MetricType::kCounter, is_info = schema.type == MetricType::kInfo;
    if (is_counter && !near.ends_with(kTotal)) near += kTotal;
    if (is_info && !near.ends_with(kInfo)) near += kInfo;
    const auto has_dropped = [&] {
      return drop(kTotal) || std::any_of(std::begin(kHistogramSuffixes), std::end(kHistogramSuffixes), drop);
    };
    while (!is_counter && !is_info && has_dropped()) {
    }
  }
  Schema better = schema;
  better.name = near;
  if (is_valid_unit(schema.unit) && !ends_in_unit(better)) {
    near.insert(base_of(near).size(), std::string(1, '_').append(schema.unit));
    better.name = near;
  }
  if (near == schema.name) return {};
  const bool is_accepted = refuse_name(better, Advice::kNone).empty() && refuse_unit(better, Advice::kNone).empty();
  return is_accepted ? ": use " + quoted(near) : "";
}

std::string refuse_name(const Schema& schema, Advice advised) {
  const auto hint = [&] { return advised == Advice::kGiven ? advice(schema) : std::string(); };
  const std::string_view name = schema.name;
  const std::string type(type_name(schema.type));
  if (name.size() > kMaxNameBytes) {
    return "a name of " + std::to_string(name.size()) + " bytes: at most " + std::to_string(kMaxNameBytes);
  }
  if (!is_metric_name(name)) return "a metric name must match [a-zA-Z_:][a-zA-Z0-9_:]*" + hint();
  if (name.starts_with("shmetrics_"))
    return quoted(name) + " begins with the reserved 'shmetrics_': use a prefix of your own";
  if (name == kTotal || name == kInfo) return quoted(name) + " is a suffix alone: put a name before it";
  if (schema.type == MetricType::kInfo && !name.ends_with(kInfo))
    return "info " + quoted(name) + " must end in '_info'" + hint();
  if (schema.naming == Naming::kLenient) return {};

  if (name.starts_with("process_"))
    return quoted(name) + " begins with the reserved 'process_': use a prefix of your own, or lenient naming";
  if (schema.type == MetricType::kCounter && !name.ends_with(kTotal))
    return "counter " + quoted(name) + " must end in '_total'" + hint();
  if (schema.type != MetricType::kCounter && name.ends_with(kTotal))
    return type + " " + quoted(name) + " must not end in '_total'" + hint();
  for (const std::string_view suffix : kHistogramSuffixes) {
    if (!name.ends_with(suffix)) continue;
    return type + " " + quoted(name) + " must not end in " + quoted(suffix) + ", a histogram's" + hint();
  }
  return {};
}

std::string refuse_unit(const Schema& schema, Advice advised) {
  if (schema.unit.empty()) return {};
  if (!is_valid_unit(schema.unit))
    return quoted(schema.name) + " has an odd unit: letters, digits and '_', such as 'seconds'";
  if (ends_in_unit(schema)) return {};
  return quoted(schema.name) + " has the unit " + quoted(schema.unit) + ", so its name must end in it" +
         (advised == Advice::kGiven ? advice(schema) : "");
}

std::string refuse_label(const Schema& schema, std::string_view label) {
  if (label.size() > kMaxNameBytes || !is_identifier(label)) {
    std::string near = identifier_near(label);
    while (near.starts_with("__")) near.erase(near.begin());
    const bool is_accepted = near.size() > 1 && refuse_label(schema, near).empty();
    return "label names must match [a-zA-Z_][a-zA-Z0-9_]* in at most " + std::to_string(kMaxNameBytes) + " bytes" +
           (is_accepted ? ": use " + quoted(near) : "");
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
  constexpr std::uint32_t kMostNativeBounds = kMaxSeriesCells - kHistogramBuckets - 1;
  if (schema.type != MetricType::kHistogram) {
    return schema.bounds.empty() && !schema.is_native ? "" : "only a histogram has bounds";
  }
  if (schema.is_native) return native_refusal(schema.bounds, kMostNativeBounds);
  if (schema.bounds.empty())
    return "a histogram needs at least one finite bound, and has at most " + std::to_string(kMaxBounds);
  if (schema.bounds.size() > kMaxBounds) {
    return std::to_string(schema.bounds.size()) + " bounds: at most " + std::to_string(kMaxBounds) +
           ", +Inf comes on top";
  }
  for (std::size_t i = 0; i < schema.bounds.size(); ++i) {
    if (!std::isfinite(schema.bounds[i])) return "bounds must be finite: +Inf comes on top by itself";
    if (i > 0 && !(schema.bounds[i - 1] < schema.bounds[i])) return "bounds must increase: sort them, give each once";
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
  return name.size() <= kMaxNameBytes && is_metric_name(name);
}

bool is_valid_label_name(std::string_view name) {
  return name.size() <= kMaxNameBytes && is_identifier(name) && !name.starts_with("__");
}

bool is_valid_label_value(std::string_view value) {
  return value.size() <= kMaxLabelValueBytes && is_valid_text(value);
}

std::string refusal(const Schema& schema) {
  if (std::string problem = refuse_name(schema, Advice::kGiven); !problem.empty()) return problem;
  if (schema.help.empty() && schema.naming == Naming::kStrict)
    return quoted(schema.name) + " has no help: say in a few words what it counts";
  if (schema.help.size() > kMaxHelpBytes || !is_valid_text(schema.help)) {
    return quoted(schema.name) + " needs a help in UTF-8 of at most " + std::to_string(kMaxHelpBytes) + " bytes";
  }
  if (std::string problem = refuse_unit(schema, Advice::kGiven); !problem.empty()) return problem;
  if (std::string problem = refuse_labels(schema); !problem.empty()) return quoted(schema.name) + ": " + problem;
  if (std::string problem = refuse_bounds(schema); !problem.empty()) return quoted(schema.name) + ": " + problem;
  if (schema.has_exemplars && exemplars_of(schema) == 0)
    return quoted(schema.name) + ": only counters and histograms have exemplars";
  if (schema.gauge_mode > GaugeMode::kShared) return quoted(schema.name) + " has no mode of a gauge: see GaugeMode";
  return {};
}

std::vector<std::string> claimed_names(MetricType type, std::string_view name) {
  const auto with = [name](std::string_view suffix) { return std::string(name) + std::string(suffix); };
  const auto without = [name](std::string_view suffix) {
    return std::string(name.substr(0, name.size() - std::min(suffix.size(), name.size())));
  };
  switch (type) {
    case MetricType::kCounter:  // OpenMetrics names the family without the suffix, and its time of creation after that
      if (!name.ends_with(kTotal)) return {with("")};
      return {with(""), without(kTotal), without(kTotal) + "_created"};
    case MetricType::kGauge:
      return {with("")};
    case MetricType::kInfo:
      return {with(""), without(kInfo)};
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
  if (before.is_native != after.is_native) return before.is_native ? "with native buckets" : "with classic buckets";
  if (before.labels != after.labels) return "with other labels";
  if (before.bounds != after.bounds) return "with other bounds";
  if (before.gauge_mode != after.gauge_mode)
    return "with another mode (" + std::string(mode_name(before.gauge_mode)) + ")";
  if (before.has_exemplars != after.has_exemplars) return before.has_exemplars ? "with exemplars" : "without exemplars";
  return {};
}

std::uint32_t bound_count(const Schema& schema) {
  if (!schema.is_native) return static_cast<std::uint32_t>(schema.bounds.size());
  const auto window = NativeWindow::of(schema.bounds);
  return window ? window->bound_count() : 0;
}

std::uint32_t exemplars_of(const Schema& schema) {
  if (!schema.has_exemplars) return 0;
  if (schema.type == MetricType::kCounter) return 1;
  if (schema.type != MetricType::kHistogram) return 0;
  const auto window = schema.is_native ? NativeWindow::of(schema.bounds) : std::nullopt;
  return window ? window->exemplar_of(window->bound_count()) + 1 : bound_count(schema) + 1;
}

std::uint32_t series_cells(const Schema& schema) {
  return value_cells(schema.type, bound_count(schema)) + kExemplarCells * exemplars_of(schema);
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
  static constexpr std::string_view kNames[] = {"livesum", "livemin", "livemax",    "liveall", "livemostrecent", "sum",
                                                "min",     "max",     "mostrecent", "all",     "shared"};
  const auto index = static_cast<std::size_t>(mode);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

}  // namespace shmetrics::shm
