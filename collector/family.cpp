#include "collector/family.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

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

// Writes the line prefixes of a family; a series' labels are escaped once and copied into every line.
class PrefixWriter {
 public:
  PrefixWriter(const CatalogFamily& family, KeptParts& to) : family_(family), to_(to) {
    if (!family.segment.empty()) append_label(segment_, kSegmentLabel, family.segment, true);
    for (const std::string& label : family.labels) openings_.push_back(label + "=\"");
    if (family.type != shm::MetricType::kHistogram) return;
    for (const double bound : family.bounds) append_bound(bounds_.emplace_back(), bound);
    bounds_.emplace_back("+Inf");
  }

  void write(const CatalogSeries& series) {
    set_labels(family_.key(series), series.has_escapes);
    for (const std::string& bound : bounds_) line_with("le", bound, "_bucket", "\"} ");
    if (family_.type == shm::MetricType::kHistogram || family_.type == shm::MetricType::kSummary) {
      line("_sum");
      line("_count");
    } else if (family_.type == shm::MetricType::kGauge && is_per_worker(family_.gauge_mode)) {
      line_with("worker", "", "", "");
    } else {
      line("");
    }
  }

 private:
  void set_labels(std::string_view key, bool has_escapes) {
    labels_ = segment_;
    for (const std::string& opening : openings_) {
      const std::string_view value = take_value(key);
      if (value.empty() && !family_.generations.empty()) continue;
      if (!labels_.empty()) labels_ += ',';
      labels_ += opening;
      if (has_escapes) {
        append_escaped_label(labels_, value);
      } else {
        labels_ += value;
      }
      labels_ += '"';
    }
  }
  void line(std::string_view suffix) {
    open(suffix, labels_.empty() ? "" : "{");
    to_.bytes.append(labels_.empty() ? " " : "} ");
    to_.end_part();
  }
  void line_with(std::string_view label, std::string_view value, std::string_view suffix, std::string_view end) {
    open(suffix, "{");
    if (!labels_.empty()) to_.bytes += ',';
    to_.bytes.append(label).append("=\"").append(value).append(end);
    to_.end_part();
  }
  void open(std::string_view suffix, std::string_view brace) {
    to_.bytes.append(family_.name).append(suffix).append(brace).append(labels_);
  }

  const CatalogFamily& family_;
  KeptParts& to_;
  std::string segment_, labels_;
  std::vector<std::string> openings_, bounds_;
};

// Sorts series by their keys, eight bytes at a time, as numbers that sort like the bytes. Equal ones are sorted by the
// next eight bytes that differ. Keys of a family begin alike: comparing whole keys would take most of a first read.
class KeySort {
 public:
  KeySort(const CatalogFamily& family, std::span<CatalogSeries> series)
      : family_(family), series_(series), before_(series.begin(), series.end()), order_(series.size()) {}

  /// Keeps the order of equals. Returns whether there are any.
  bool run() {
    for (std::uint32_t i = 0; i < order_.size(); ++i) order_[i].index = i;
    sort(order_, 0);
    for (std::size_t i = 0; i < order_.size(); ++i) series_[i] = before_[order_[i].index];
    return has_equals_;
  }

 private:
  struct Order {
    std::uint64_t eight = 0;
    std::uint32_t index = 0;
  };
  std::string_view key(const Order& order) const { return family_.key(before_[order.index]); }

  std::size_t common_bytes(std::span<const Order> run, std::size_t known) const {
    const std::string_view first = key(run.front());
    std::size_t common = first.size();
    for (const Order& order : run) {
      const std::string_view other = key(order);
      common = std::min(common, other.size());
      if (std::memcmp(first.data() + known, other.data() + known, common - known) == 0) continue;
      common = static_cast<std::size_t>(std::mismatch(first.begin(), first.end(), other.begin(), other.end()).first -
                                        first.begin());
    }
    return common;
  }
  std::uint64_t eight_from(std::string_view key, std::size_t from) const {
    std::uint64_t eight = 0;
    std::memcpy(&eight, key.data() + from, std::min(sizeof eight, key.size() - from));
    static_assert(std::endian::native == std::endian::little);
    return __builtin_bswap64(eight);
  }

  // All of the run begin with the same `known` bytes. A key that ends sorts before one that goes on: its eight are
  // filled up with NUL, which is also what stands between values, so those that are equal then are compared whole.
  void sort(std::span<Order> run, std::size_t known) {
    constexpr std::size_t kFew = 16;
    if (run.size() <= kFew) {
      std::sort(run.begin(), run.end(), [&](const Order& a, const Order& b) { return is_before(a, b); });
      return;
    }
    known = common_bytes(run, known);
    for (Order& order : run) order.eight = eight_from(key(order), known);
    // Stable: series that were registered in order stay in order on the next level, and are cheap to sort there.
    std::stable_sort(run.begin(), run.end(), [](const Order& a, const Order& b) { return a.eight < b.eight; });
    for (auto from = run.begin(); from != run.end();) {
      const auto to = std::find_if(from, run.end(), [&](const Order& order) { return order.eight != from->eight; });
      const std::span<Order> same(from, to);
      from = to;
      const bool any_ends =
          std::any_of(same.begin(), same.end(), [&](const Order& order) { return key(order).size() < known + 8; });
      if (same.size() == 1) continue;
      if (any_ends) {
        std::sort(same.begin(), same.end(), [&](const Order& a, const Order& b) { return is_before(a, b); });
      } else {
        sort(same, known + 8);
      }
    }
  }
  bool is_before(const Order& a, const Order& b) {
    const int keys = key(a).compare(key(b));
    has_equals_ = has_equals_ || (keys == 0 && a.index != b.index);
    return keys != 0 ? keys < 0 : a.index < b.index;
  }

  const CatalogFamily& family_;
  std::span<CatalogSeries> series_;
  std::vector<CatalogSeries> before_;
  std::vector<Order> order_;
  bool has_equals_ = false;
};

}  // namespace

std::vector<std::string_view> CatalogFamily::values(const CatalogSeries& of) const {
  std::vector<std::string_view> values(labels.size());
  std::string_view rest = key(of);
  for (std::string_view& value : values) value = take_value(rest);
  return values;
}

std::uint32_t CatalogFamily::value_cells() const {
  if (native) return native->first_cell + native->cells;
  return shm::value_cells(type, bounds.size());
}

std::size_t CatalogFamily::lines_per_series() const {
  if (type == shm::MetricType::kHistogram) return bounds.size() + 3;
  return type == shm::MetricType::kSummary ? 2 : 1;
}

std::vector<std::string> CatalogFamily::produced_names() const {
  return shm::claimed_names(type, name);
}

std::uint64_t CatalogFamily::prefix_bytes(const CatalogSeries& of) const {
  std::size_t line = name.size() + of.key_bytes * (of.has_escapes ? 2 : 1) + kMostAroundLabels;
  for (const std::string& label : labels) line += label.size() + 4;
  if (!segment.empty()) line += kSegmentLabel.size() + 2 * segment.size() + 4;
  return line * lines_per_series();
}

void CatalogFamily::add(CatalogSeries of, std::span<const std::string_view> values) {
  of.key_begin = static_cast<std::uint32_t>(keys.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) keys += '\0';
    keys += values[i];
  }
  of.key_bytes = static_cast<std::uint32_t>(keys.size()) - of.key_begin;
  of.has_escapes = needs_escape(key(of));
  series.push_back(of);
}

void CatalogFamily::drop_last() {
  keys.resize(series.back().key_begin);
  series.pop_back();
}

std::size_t CatalogFamily::settle() {
  const auto by_key = [this](const CatalogSeries& a, const CatalogSeries& b) { return key(a) < key(b); };
  const auto fresh = series.begin() + static_cast<std::ptrdiff_t>(sorted);
  const bool may_have_equals = KeySort(*this, {fresh, series.end()}).run() || sorted > 0;
  if (sorted > 0) std::inplace_merge(series.begin(), fresh, series.end(), by_key);
  const std::size_t before = series.size();
  // Both keep the order of equals, so std::unique keeps the one that is first in the directory.
  const auto is_same = [this](const CatalogSeries& a, const CatalogSeries& b) { return key(a) == key(b); };
  if (may_have_equals) series.erase(std::unique(series.begin(), series.end(), is_same), series.end());
  sorted = series.size();
  is_dirty = false;
  drop_kept();
  places.clear();
  places.reserve(series.size());
  overflow_places.clear();
  for (const CatalogSeries& each : series) {
    places.push_back(each.place);
    if (each.is_overflow) overflow_places.push_back(each.place);
  }
  return before - series.size();
}

const KeptParts& CatalogFamily::prefixes() const {
  if (!kept_prefixes.ends.empty()) return kept_prefixes;
  KeptParts parts;
  parts.bytes.reserve(text_bytes);  // only what is written takes memory
  parts.ends.reserve(series.size() * lines_per_series());
  PrefixWriter writer(*this, parts);
  for (const CatalogSeries& each : series) writer.write(each);
  kept_prefixes = std::move(parts);  // whole, or not at all
  return kept_prefixes;
}

void CatalogFamily::drop_kept() {
  kept_prefixes = {};
  kept_fields = {};
}

void make_room_for(std::string_view label, std::vector<std::string>& labels) {
  const auto own = std::find(labels.begin(), labels.end(), label);
  if (own == labels.end()) return;
  std::string renamed = "exported_" + *own;
  while (std::find(labels.begin(), labels.end(), renamed) != labels.end()) renamed.insert(0, "exported_");
  *own = std::move(renamed);
}

std::string head_of(const CatalogFamily& family) {
  std::string head;
  append_head(head, family.name, family.help, type_in_text(family.type));
  return head;
}

CatalogFamily family_of(const shm::ParsedFamily& parsed, const std::string& segment) {
  CatalogFamily family;
  const shm::Schema& schema = parsed.schema;
  family.entry = parsed.entry;
  family.type = schema.type;
  family.cell_kind = schema.cell_kind;
  family.gauge_mode = schema.type == shm::MetricType::kInfo ? shm::GaugeMode::kLivemax : schema.gauge_mode;
  family.name = schema.name;
  family.help = schema.help;
  family.unit = schema.unit;
  family.segment = segment;
  family.labels.assign(schema.labels.begin(), schema.labels.end());
  if (!segment.empty()) make_room_for(kSegmentLabel, family.labels);
  family.bounds = schema.bounds;
  if (schema.is_native) {
    family.window = shm::NativeWindow::of(schema.bounds).value();
    family.native = {family.window->schema, family.window->low_key, family.window->bound_count() + 1,
                     shm::kHistogramBuckets};
    family.bounds = classic_bounds(*family.window);
    family.classic_buckets = classic_buckets(*family.window, family.bounds);
  }
  family.has_exemplars = schema.has_exemplars;
  family.slot_exemplars = shm::exemplars_of(schema);
  family.head = head_of(family);
  return family;
}

}  // namespace shmetrics::collector
