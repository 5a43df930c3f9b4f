// One sample line of a Prometheus text format, read strictly and without any code of the writer's: for the checkers.
#pragma once

#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace shmetrics::tests {

struct SampleLine {
  std::string name;
  std::map<std::string, std::string> labels;  // as written, escapes and all
  std::string value;
};

/// Of a metric. A label's has no colon.
inline bool is_exposed_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") == name.npos;
}
inline bool is_exposed_label(std::string_view name) {
  return is_exposed_name(name) && name.find(':') == name.npos;
}

inline std::optional<double> exposed_number(std::string_view text) {
  if (text == "NaN") return std::nan("");
  if (text == "+Inf") return INFINITY;
  if (text == "-Inf") return -INFINITY;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

inline bool are_escapes(std::string_view text, std::string_view allowed) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && (++i >= text.size() || allowed.find(text[i]) == allowed.npos)) return false;
  }
  return true;
}

/// UTF-8 by decoding each character and asking whether it would be encoded so: another way than the product's.
inline bool is_utf8(std::string_view text) {
  static constexpr unsigned long kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0 || at + length > text.size()) return false;
    unsigned long point = length == 1 ? lead : lead & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if (next >> 6 != 2) return false;
      point = point << 6 | (next & 0x3fU);
    }
    if (point < kLeast[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    at += length;
  }
  return true;
}

/// Takes `{name="value",...}` off the front of the line. What is wrong with it; empty when `labels` holds them.
inline std::string parse_labels(std::string_view& line, std::map<std::string, std::string>& labels) {
  do {
    line.remove_prefix(1);  // brace or comma
    const std::size_t equals = line.find("=\"");
    if (equals == line.npos || !is_exposed_label(line.substr(0, equals))) return "bad label";
    const std::string label(line.substr(0, equals));
    line.remove_prefix(equals + 2);
    std::size_t end = 0;
    while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
    if (end >= line.size() || !are_escapes(line.substr(0, end), "\\\"n")) return "bad label value";
    if (!labels.emplace(label, line.substr(0, end)).second) return "label is there twice";
    line.remove_prefix(end + 1);
  } while (!line.empty() && line[0] == ',');
  if (line.empty() || line[0] != '}') return "labels without an end";
  line.remove_prefix(1);
  return {};
}

/// What is wrong with the line; empty when `sample` holds it. No timestamps: nobody writes them.
inline std::string parse_sample(std::string_view line, SampleLine& sample) {
  const std::size_t name_end = line.find_first_of("{ ");
  if (name_end == line.npos) return "no value";
  sample.name = line.substr(0, name_end);
  if (!is_exposed_name(sample.name)) return "bad name";
  if (!is_utf8(line)) return "not UTF-8";
  line.remove_prefix(name_end);
  if (line[0] == '{') {
    if (const std::string what = parse_labels(line, sample.labels); !what.empty()) return what;
  }
  if (line.size() < 2 || line[0] != ' ' || !exposed_number(line.substr(1))) return "bad value";
  sample.value = line.substr(1);
  return {};
}

/// The buckets, sum and count of one series of a histogram, line by line.
struct HistogramState {
  double bound = -INFINITY, below = 0;
  bool has_sum = false, has_count = false, has_negative_bound = false;

  std::string bucket(std::optional<double> le, double count) {
    if (!le || !(*le > bound)) return "bad le";
    if (count < below) return "buckets are not cumulative";
    has_negative_bound = has_negative_bound || *le < 0;
    bound = *le;
    below = count;
    return {};
  }
  std::string count(double value) {
    has_count = true;
    return bound != INFINITY || value != below ? "_count is not the +Inf bucket" : "";
  }
};

}  // namespace shmetrics::tests
