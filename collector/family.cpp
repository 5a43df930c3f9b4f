#include "collector/family.hpp"

#include <algorithm>

#include "collector/family_groups.hpp"
#include "collector/merge.hpp"
#include "collector/text_format.hpp"
#include "shm/naming.hpp"

namespace shmetrics::collector {
namespace {

constexpr std::size_t kMostAroundLabels = 48;  // `_bucket`, braces, commas, quotes, `le` and the longest bound

std::string_view type_in_text(shm::MetricType type) {
  // Format 0.0.4 knows no info: by custom it is a gauge of 1.
  return type == shm::MetricType::kInfo ? "gauge" : shm::type_name(type);
}

void make_room_for_segment(std::vector<std::string>& labels) {
  const auto own = std::find(labels.begin(), labels.end(), kSegmentLabel);
  if (own == labels.end()) return;
  std::string renamed = "exported_segment";
  while (std::find(labels.begin(), labels.end(), renamed) != labels.end()) renamed.insert(0, "exported_");
  *own = std::move(renamed);
}

// Writes the line prefixes of one series; the labels are escaped once and copied into every line.
class PrefixWriter {
 public:
  PrefixWriter(CatalogFamily& family, const CatalogSeries& series) : family_(family) {
    if (!family.segment.empty()) append_label(labels_, kSegmentLabel, family.segment, true);
    const auto values = series.values(family.labels.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      append_label(labels_, family.labels[i], values[i], labels_.empty());
    }
  }

  void line(std::string_view suffix) {
    open(suffix, labels_.empty() ? "" : "{");
    family_.prefixes.append(labels_.empty() ? " " : "} ");
    close();
  }
  void line_with(std::string_view label, std::string_view value, std::string_view suffix, std::string_view end) {
    open(suffix, "{");
    if (!labels_.empty()) family_.prefixes += ',';
    family_.prefixes.append(label).append("=\"").append(value).append(end);
    close();
  }

 private:
  void open(std::string_view suffix, std::string_view brace) {
    family_.prefixes.append(family_.name).append(suffix).append(brace).append(labels_);
  }
  void close() { family_.ends.push_back(static_cast<std::uint32_t>(family_.prefixes.size())); }

  CatalogFamily& family_;
  std::string labels_;
};

void write_series(CatalogFamily& family, const CatalogSeries& series, const std::vector<std::string>& bounds) {
  PrefixWriter writer(family, series);
  for (const std::string& bound : bounds) writer.line_with("le", bound, "_bucket", "\"} ");
  if (family.type == shm::MetricType::kHistogram || family.type == shm::MetricType::kSummary) {
    writer.line("_sum");
    writer.line("_count");
  } else if (family.type == shm::MetricType::kGauge && is_per_worker(family.gauge_mode)) {
    writer.line_with("worker", "", "", "");
  } else {
    writer.line("");
  }
}

void write_prefixes(CatalogFamily& family) {
  std::vector<std::string> bounds(family.bounds.size());
  for (std::size_t i = 0; i < bounds.size(); ++i) append_bound(bounds[i], family.bounds[i]);
  if (family.type == shm::MetricType::kHistogram) bounds.push_back("+Inf");
  family.prefixes.clear();
  family.ends.clear();
  family.places.clear();
  for (const CatalogSeries& series : family.series) {
    write_series(family, series, bounds);
    family.places.push_back(series.place);
  }
}

}  // namespace

std::vector<std::string_view> CatalogSeries::values(std::size_t label_count) const {
  std::vector<std::string_view> values;
  std::string_view rest = key;
  for (std::size_t i = 0; i < label_count; ++i) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    values.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return values;
}

std::size_t CatalogFamily::lines_per_series() const {
  if (type == shm::MetricType::kHistogram) return bounds.size() + 3;
  return type == shm::MetricType::kSummary ? 2 : 1;
}

std::vector<std::string> CatalogFamily::produced_names() const {
  return shm::claimed_names(type, name);
}

std::uint64_t CatalogFamily::prefix_bytes(std::string_view key) const {
  std::size_t line = name.size() + key.size() + kMostAroundLabels;
  for (const std::string& label : labels) line += label.size() + 4;
  if (!segment.empty()) line += kSegmentLabel.size() + 2 * segment.size() + 4;
  line += static_cast<std::size_t>(
      std::count_if(key.begin(), key.end(), [](char c) { return c == '\\' || c == '"' || c == '\n'; }));
  return line * lines_per_series();
}

std::size_t CatalogFamily::settle() {
  const auto by_key = [](const CatalogSeries& a, const CatalogSeries& b) { return a.key < b.key; };
  const auto fresh = series.begin() + static_cast<std::ptrdiff_t>(sorted);
  std::stable_sort(fresh, series.end(), by_key);
  std::inplace_merge(series.begin(), fresh, series.end(), by_key);
  // Both keep the order of equals, so what std::unique keeps is the first in the directory.
  const auto end = std::unique(series.begin(), series.end(),
                               [](const CatalogSeries& a, const CatalogSeries& b) { return a.key == b.key; });
  const auto dropped = static_cast<std::size_t>(series.end() - end);
  series.erase(end, series.end());
  sorted = series.size();
  is_dirty = false;
  write_prefixes(*this);
  return dropped;
}

CatalogFamily family_of(const shm::ParsedFamily& parsed, const std::string& segment) {
  CatalogFamily family;
  const shm::Schema& schema = parsed.schema;
  family.offset = parsed.offset;
  family.type = schema.type;
  family.cell_kind = schema.cell_kind;
  family.gauge_mode = schema.type == shm::MetricType::kInfo ? shm::GaugeMode::kLivemax : schema.gauge_mode;
  family.name = schema.name;
  family.help = schema.help;
  family.unit = schema.unit;
  family.segment = segment;
  family.labels.assign(schema.labels.begin(), schema.labels.end());
  if (!segment.empty()) make_room_for_segment(family.labels);
  family.bounds = schema.bounds;
  family.created_unix_ns = parsed.record.created_unix_ns;
  // Without labels the parser has not placed it: whatever stands there is not a cell.
  family.overflow_tally = family.labels.empty() ? 0 : parsed.record.overflow_tally;
  append_head(family.head, family.name, family.help, type_in_text(family.type));
  return family;
}

std::string join_values(std::span<const std::string_view> values) {
  std::string key;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) key += '\0';
    key += values[i];
  }
  return key;
}

}  // namespace shmetrics::collector
