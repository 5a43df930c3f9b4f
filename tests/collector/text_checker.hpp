// A strict judge of Prometheus text format 0.0.4, which shares no code with the writer.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/collector/sample_line.hpp"

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
  std::string line(std::string_view line) {
    if (line.starts_with("# HELP ")) {
      if (const std::string what = finish_family(); !what.empty()) return what;
      const std::size_t blank = line.find(' ', 7);
      if (blank == line.npos || !are_escapes(line.substr(blank + 1), "\\n") || !is_utf8(line)) return "bad HELP";
      family_ = line.substr(7, blank - 7);
      if (!is_exposed_name(family_) || !families_.insert(family_).second) return "bad or second HELP";
      return {};
    }
    if (line.starts_with("# TYPE ")) {
      const std::string head = "# TYPE " + family_ + " ";
      if (family_.empty() || !line.starts_with(head) || !type_.empty()) return "TYPE out of place";
      type_ = line.substr(head.size());
      static const std::set<std::string> kTypes{"counter", "gauge", "histogram", "summary", "untyped"};
      return kTypes.contains(type_) ? "" : "unknown type";
    }
    SampleLine sample;
    if (const std::string what = parse_sample(line, sample); !what.empty()) return what;
    std::string suffix = sample.name.starts_with(family_) ? sample.name.substr(family_.size()) : "?";
    const bool has_parts = type_ == "histogram" || type_ == "summary";
    const bool fits = has_parts
                          ? suffix == "_sum" || suffix == "_count" || (type_ == "histogram" && suffix == "_bucket")
                          : suffix.empty();
    if (type_.empty() || !fits) return "sample of another family";
    if (!seen_.insert(std::string(line.substr(0, line.rfind(' ')))).second) return "series is there twice";
    if (type_ == "counter" && !(*exposed_number(sample.value) >= 0)) return "counter below 0";
    samples_.push_back(std::move(sample));
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
    std::map<std::map<std::string, std::string>, HistogramState> states;
    for (const SampleLine& sample : samples_) {
      auto labels = sample.labels;
      const auto le = labels.extract("le");
      HistogramState& state = states[labels];
      const double value = *exposed_number(sample.value);
      std::string what;
      if (sample.name.ends_with("_bucket")) {
        what = le.empty() ? "no le" : state.bucket(exposed_number(le.mapped()), value);
      } else if (sample.name.ends_with("_sum")) {
        state.has_sum = true;
      } else {
        what = state.count(value);
      }
      if (!what.empty()) return family_ + ": " + what;
    }
    for (const auto& [labels, state] : states) {
      if (!state.has_sum || !state.has_count) return family_ + ": incomplete histogram";
    }
    return {};
  }

  std::string family_, type_;
  std::set<std::string> families_, seen_;
  std::vector<SampleLine> samples_;
};

}  // namespace shmetrics::test
