// A strict judge of OpenMetrics 1.0.0 text, which shares no code with the writer; quick enough for fuzzing, where
// the parser of python3-prometheus-client (tests/openmetrics_judge.hpp) is not.
//
// Source: prometheus.io/docs/specs/om/open_metrics_spec.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "tests/collector/format_checker.hpp"

namespace shmetrics::tests {

class OpenmetricsChecker : public FormatChecker {
 public:
  /// What is wrong with `text`, in one line; empty when it is well-formed and every histogram adds up.
  static std::string problem(std::string_view text) {
    constexpr std::string_view kEnd = "# EOF\n";
    if (!text.ends_with(kEnd)) return "does not end in # EOF";
    text.remove_suffix(kEnd.size());
    if (!text.empty() && text.back() != '\n') return "# EOF is not a line of its own";
    return OpenmetricsChecker().wrong_line(text);
  }

 private:
  std::string line(std::string_view line) override {
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
      heads_.clear();
      return {};
    }
    if (family_.empty() || name != family_ || !samples_.empty()) return "head out of place";
    if (!heads_.emplace(word).second) return "head is there twice";
    if (word == "HELP") return are_escapes(text, "\\\"n") && is_utf8(text) ? "" : "bad HELP";
    return name.ends_with("_" + std::string(text)) && type_ != "info" ? "" : "family is not named after its unit";
  }

  /// Where an exemplar begins: behind the value, and in no label.
  static std::size_t exemplar_begin(std::string_view line) {
    bool is_quoted = false;
    for (std::size_t at = 0; at < line.size(); ++at) {
      if (is_quoted && line[at] == '\\') {
        ++at;
      } else if (line[at] == '"') {
        is_quoted = !is_quoted;
      } else if (!is_quoted && line.substr(at).starts_with(" # ")) {
        return at;
      }
    }
    return line.size();
  }

  /// ` # {labels} value time`, of at most 128 characters of labels.
  static std::string wrong_exemplar(std::string_view exemplar, double& value) {
    exemplar.remove_prefix(3);
    std::map<std::string, std::string> labels;
    if (!exemplar.starts_with("{")) return "an exemplar without labels";
    if (const std::string what = parse_labels(exemplar, labels); !what.empty()) return what;
    std::size_t characters = 0;
    for (const auto& [label, text] : labels) characters += label.size() + text.size();  // at least so many
    const std::size_t blank = exemplar.rfind(' ');
    if (characters > 2 * 128 || blank == 0 || blank == exemplar.npos) return "an exemplar that is too long, or no time";
    const auto number = exposed_number(exemplar.substr(1, blank - 1)),
               time = exposed_number(exemplar.substr(blank + 1));
    if (exemplar[0] != ' ' || !number || std::isnan(*number) || !time) return "an exemplar without numbers";
    value = *number;
    return {};
  }

  std::string sample(std::string_view line) {
    SampleLine sample;
    const std::string_view exemplar = line.substr(exemplar_begin(line));
    line.remove_suffix(exemplar.size());
    if (const std::string what = parse_sample(line, sample); !what.empty()) return what;
    if (family_.empty() || !sample.name.starts_with(family_)) return "sample of another family";
    const std::string suffix = sample.name.substr(family_.size());
    if (!fits(suffix)) return "a suffix that the type does not have";
    const auto owner = owners_.try_emplace(sample.name, family_).first;
    if (owner->second != family_) return "sample name of another family";
    if (!exemplar.empty()) {
      if (suffix != "_total" && suffix != "_bucket") return "an exemplar of what has none";
      double example = 0;
      if (const std::string what = wrong_exemplar(exemplar, example); !what.empty()) return what;
      if (suffix == "_bucket" && !(example <= *exposed_number(sample.labels["le"])))
        return "an exemplar above its bucket";
    }
    const double value = *exposed_number(sample.value);
    const bool only_grows = type_ == "counter" || suffix == "_bucket" || suffix == "_count" ||
                            (suffix == "_sum" && (type_ == "histogram" || type_ == "summary"));
    if (only_grows && !(value >= 0)) return "below 0, or no number";
    if (type_ == "info" && value != 1) return "an info that is not 1";
    return add(line, std::move(sample)) ? "" : "series is there twice";
  }

  bool fits(std::string_view suffix) const {
    if (type_ == "counter") return suffix == "_total";
    if (type_ == "info") return suffix == "_info";
    if (type_ == "histogram") return suffix == "_bucket" || suffix == "_sum" || suffix == "_count";
    if (type_ == "summary") return suffix == "_sum" || suffix == "_count";
    return suffix.empty();
  }

  std::string wrong_bound(const std::string& le) const override {
    return le.find_first_of(".eI") == std::string::npos ? "le is no canonical number" : "";
  }
  std::string wrong_end(const HistogramState& state) const override {
    if (state.bound != INFINITY) return "no +Inf bucket";
    if (state.has_sum != state.has_count) return "_sum and _count come together";
    return state.has_sum && state.has_negative_bound ? "_sum of a histogram that goes below 0" : "";
  }

  std::set<std::string> heads_;  // of the family
  std::map<std::string, std::string> owners_;
};

}  // namespace shmetrics::tests
