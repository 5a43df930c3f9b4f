// A strict judge of OpenMetrics 1.0.0 text, which shares no code with the writer; quick enough for fuzzing, where
// the parser of python3-prometheus-client (tests/openmetrics_judge.hpp) is not.
//
// Source: prometheus.io/docs/specs/om/open_metrics_spec.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/collector/sample_line.hpp"

namespace shmetrics::test {

class OpenmetricsChecker {
 public:
  /// What is wrong with `text`, in one line; empty when it is well-formed and every histogram adds up.
  static std::string problem(std::string_view text) {
    constexpr std::string_view kEnd = "# EOF\n";
    if (!text.ends_with(kEnd)) return "does not end in # EOF";
    text.remove_suffix(kEnd.size());
    if (!text.empty() && text.back() != '\n') return "# EOF is not a line of its own";
    OpenmetricsChecker checker;
    for (std::size_t number = 1; !text.empty(); ++number) {
      const std::size_t end = text.find('\n');
      if (const std::string what = checker.line(text.substr(0, end)); !what.empty()) {
        return "line " + std::to_string(number) + ": " + what + ": " + std::string(text.substr(0, end));
      }
      text.remove_prefix(end + 1);
    }
    return checker.finish_family();
  }

 private:
  std::string line(std::string_view line) {
    if (!line.starts_with('#')) return sample(line);
    for (const std::string_view word : {"TYPE", "UNIT", "HELP"}) {
      const std::string head = "# " + std::string(word) + " ";
      if (!line.starts_with(head)) continue;
      const std::string_view rest = line.substr(head.size());
      const std::size_t blank = rest.find(' ');
      if (blank == rest.npos) return "a head without its text";
      return metadata(word, rest.substr(0, blank), rest.substr(blank + 1));
    }
    return "a comment that is no head";
  }

  std::string metadata(std::string_view word, std::string_view name, std::string_view text) {
    if (word == "TYPE") {
      if (const std::string what = finish_family(); !what.empty()) return what;
      static const std::set<std::string_view> kTypes{"counter", "gauge", "histogram", "summary", "info", "unknown"};
      if (!is_exposed_name(name) || !families_.emplace(name).second) return "bad or second family";
      if (!kTypes.contains(text)) return "unknown type";
      family_ = name;
      type_ = text;
      return {};
    }
    if (family_.empty() || name != family_ || !samples_.empty()) return "head out of place";
    if (!heads_.emplace(word).second) return "head is there twice";
    if (word == "HELP") return are_escapes(text, "\\\"n") && is_utf8(text) ? "" : "bad HELP";
    return name.ends_with("_" + std::string(text)) && type_ != "info" ? "" : "family is not named after its unit";
  }

  std::string sample(std::string_view line) {
    SampleLine sample;
    if (const std::string what = parse_sample(line, sample); !what.empty()) return what;
    if (family_.empty() || !sample.name.starts_with(family_)) return "sample of another family";
    const std::string suffix = sample.name.substr(family_.size());
    if (!fits(suffix)) return "a suffix that the type does not have";
    if (!seen_.insert(std::string(line.substr(0, line.rfind(' ')))).second) return "series is there twice";
    const auto owner = owners_.try_emplace(sample.name, family_).first;
    if (owner->second != family_) return "sample name of another family";
    const double value = *exposed_number(sample.value);
    const bool only_grows = type_ == "counter" || suffix == "_bucket" || suffix == "_count" ||
                            (suffix == "_sum" && (type_ == "histogram" || type_ == "summary"));
    if (only_grows && !(value >= 0)) return "below 0, or no number";
    if (type_ == "info" && value != 1) return "an info that is not 1";
    samples_.push_back(std::move(sample));
    return {};
  }

  bool fits(std::string_view suffix) const {
    if (type_ == "counter") return suffix == "_total";
    if (type_ == "info") return suffix == "_info";
    if (type_ == "histogram") return suffix == "_bucket" || suffix == "_sum" || suffix == "_count";
    if (type_ == "summary") return suffix == "_sum" || suffix == "_count";
    return suffix.empty();
  }

  std::string finish_family() {
    std::string what;
    if (!family_.empty() && samples_.empty()) what = "family " + family_ + " has a head and no sample";
    if (type_ == "histogram" && what.empty()) what = check_histograms();
    family_.clear();
    type_.clear();
    heads_.clear();
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
        what = le.empty() || le.mapped().find_first_of(".eI") == std::string::npos
                   ? "le is no canonical number"
                   : state.bucket(exposed_number(le.mapped()), value);
      } else if (sample.name.ends_with("_sum")) {
        state.has_sum = true;
      } else {
        what = state.count(value);
      }
      if (!what.empty()) return family_ + ": " + what;
    }
    for (const auto& [labels, state] : states) {
      if (state.bound != INFINITY) return family_ + ": no +Inf bucket";
      if (state.has_sum != state.has_count) return family_ + ": _sum and _count come together";
      if (state.has_sum && state.has_negative_bound) return family_ + ": _sum of a histogram that goes below 0";
    }
    return {};
  }

  std::string family_, type_;
  std::set<std::string> families_, heads_, seen_;
  std::map<std::string, std::string> owners_;
  std::vector<SampleLine> samples_;
};

}  // namespace shmetrics::test
