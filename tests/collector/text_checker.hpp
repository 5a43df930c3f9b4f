// A strict judge of Prometheus text format 0.0.4, which shares no code with the writer.
#pragma once

#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::test {

class TextChecker {
 public:
  /// What is wrong with `text`, in one line; empty when it is well-formed and every histogram adds up.
  static std::string problem(std::string_view text) {
    TextChecker checker;
    if (!text.empty() && text.back() != '\n') return "does not end in a line feed";
    std::size_t number = 0;
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      ++number;
      if (const std::string what = checker.line(text.substr(0, end)); !what.empty()) {
        return "line " + std::to_string(number) + ": " + what + ": " + std::string(text.substr(0, end));
      }
      text.remove_prefix(end + 1);
    }
    return checker.finish_family();
  }

 private:
  struct Sample {
    std::string name;
    std::map<std::string, std::string> labels;
    std::string value;
  };

  static bool is_name(std::string_view name) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == name.npos;
  }

  static std::optional<double> number(std::string_view text) {
    if (text == "NaN") return std::nan("");
    if (text == "+Inf") return INFINITY;
    if (text == "-Inf") return -INFINITY;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
  }

  static bool are_escapes(std::string_view text, std::string_view allowed) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && (++i >= text.size() || allowed.find(text[i]) == allowed.npos)) return false;
    }
    return true;
  }

  std::string line(std::string_view line) {
    if (line.starts_with("# HELP ")) {
      if (const std::string what = finish_family(); !what.empty()) return what;
      const std::size_t blank = line.find(' ', 7);
      if (blank == line.npos || !are_escapes(line.substr(blank + 1), "\\n")) return "bad HELP";
      family_ = line.substr(7, blank - 7);
      if (!is_name(family_) || !families_.insert(family_).second) return "bad or second HELP";
      return {};
    }
    if (line.starts_with("# TYPE ")) {
      const std::string head = "# TYPE " + family_ + " ";
      if (family_.empty() || !line.starts_with(head) || !type_.empty()) return "TYPE out of place";
      type_ = line.substr(head.size());
      static const std::set<std::string> kTypes{"counter", "gauge", "histogram", "summary", "untyped"};
      return kTypes.contains(type_) ? "" : "unknown type";
    }
    Sample sample;
    if (const std::string what = parse(line, sample); !what.empty()) return what;
    std::string suffix = sample.name.starts_with(family_) ? sample.name.substr(family_.size()) : "?";
    const bool has_parts = type_ == "histogram" || type_ == "summary";
    const bool fits = has_parts
                          ? suffix == "_sum" || suffix == "_count" || (type_ == "histogram" && suffix == "_bucket")
                          : suffix.empty();
    if (type_.empty() || !fits) return "sample of another family";
    if (!seen_.insert(std::string(line.substr(0, line.rfind(' ')))).second) return "series is there twice";
    if (type_ == "counter" && !(*number(sample.value) >= 0)) return "counter below 0";
    samples_.push_back(std::move(sample));
    return {};
  }

  static std::string parse(std::string_view line, Sample& sample) {
    const std::size_t name_end = line.find_first_of("{ ");
    if (name_end == line.npos) return "no value";
    sample.name = line.substr(0, name_end);
    if (!is_name(sample.name)) return "bad name";
    line.remove_prefix(name_end);
    if (line[0] == '{') {
      line.remove_prefix(1);
      while (line.empty() || line[0] != '}') {
        const std::size_t equals = line.find("=\"");
        if (equals == line.npos || !is_name(line.substr(0, equals))) return "bad label";
        const std::string label(line.substr(0, equals));
        line.remove_prefix(equals + 2);
        std::size_t end = 0;
        while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
        if (end >= line.size() || !are_escapes(line.substr(0, end), "\\\"n")) return "bad label value";
        if (!sample.labels.emplace(label, line.substr(0, end)).second) return "label is there twice";
        line.remove_prefix(end + 1);
        if (!line.empty() && line[0] == ',') line.remove_prefix(1);
      }
      line.remove_prefix(1);
    }
    if (line.size() < 2 || line[0] != ' ' || !number(line.substr(1))) return "bad value";
    sample.value = line.substr(1);
    return {};
  }

  // A histogram's series: bounds increase, counts do not decrease, the last bound is +Inf and its count is _count's.
  std::string finish_family() {
    std::string what;
    if (!family_.empty() && samples_.empty()) what = "family " + family_ + " has a head and no sample";
    if (type_ == "histogram") what = check_histograms();
    family_.clear();
    type_.clear();
    samples_.clear();
    return what;
  }

  std::string check_histograms() {
    struct State {
      double bound = -INFINITY, below = 0;
      bool has_sum = false, has_count = false;
    };
    std::map<std::map<std::string, std::string>, State> states;
    for (Sample& sample : samples_) {
      auto labels = sample.labels;
      const auto le = labels.extract("le");
      State& state = states[labels];
      const double value = *number(sample.value);
      if (sample.name.ends_with("_bucket")) {
        if (le.empty() || !number(le.mapped()) || !(*number(le.mapped()) > state.bound)) return family_ + ": bad le";
        if (value < state.below) return family_ + ": buckets are not cumulative";
        state.bound = *number(le.mapped());
        state.below = value;
      } else if (sample.name.ends_with("_sum")) {
        state.has_sum = true;
      } else {
        state.has_count = true;
        if (state.bound != INFINITY || value != state.below) return family_ + ": _count is not the +Inf bucket";
      }
    }
    for (const auto& [labels, state] : states) {
      if (!state.has_sum || !state.has_count) return family_ + ": incomplete histogram";
    }
    return {};
  }

  std::string family_, type_;
  std::set<std::string> families_, seen_;
  std::vector<Sample> samples_;
};

}  // namespace shmetrics::test
