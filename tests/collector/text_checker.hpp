// A strict judge of Prometheus text format 0.0.4, which shares no code with the writer.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "tests/collector/format_checker.hpp"

namespace shmetrics::tests {

class TextChecker : public FormatChecker {
 public:
  /// What is wrong with `text`, in one line; empty when it is well-formed and every histogram adds up.
  static std::string problem(std::string_view text) {
    if (!text.empty() && text.back() != '\n') return "does not end in a line feed";
    return TextChecker().wrong_line(text);
  }

 private:
  std::string line(std::string_view line) override {
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
    if (type_ == "counter" && !(*exposed_number(sample.value) >= 0)) return "counter below 0";
    return add(line, std::move(sample)) ? "" : "series is there twice";
  }

  std::string wrong_end(const HistogramState& state) const override {
    return state.has_sum && state.has_count ? "" : "incomplete histogram";
  }
};

}  // namespace shmetrics::tests
