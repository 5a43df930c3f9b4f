// What the strict judges of both text formats have in common: each line is read, each series is there once, each
// histogram adds up. Nothing here shares code with the writer.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/collector/sample_line.hpp"

namespace shmetrics::tests {

class FormatChecker {
 public:
  virtual ~FormatChecker() = default;
  FormatChecker(const FormatChecker&) = delete;
  FormatChecker& operator=(const FormatChecker&) = delete;

 protected:
  FormatChecker() = default;

  /// What is wrong with one line; with an `le`; with a histogram whose last line was read. Empty: nothing.
  virtual std::string line(std::string_view line) = 0;
  virtual std::string wrong_bound(const std::string& /*le*/) const { return {}; }
  virtual std::string wrong_end(const HistogramState& state) const = 0;

  /// The first thing that is wrong with lines that end in a line feed each.
  std::string wrong_line(std::string_view text) {
    for (std::size_t number = 1; !text.empty(); ++number) {
      const std::size_t end = text.find('\n');
      if (const std::string what = line(text.substr(0, end)); !what.empty()) {
        return "line " + std::to_string(number) + ": " + what + ": " + std::string(text.substr(0, end));
      }
      text.remove_prefix(end + 1);
    }
    return finish_family();
  }

  /// False: the family has this series already.
  bool add(std::string_view line, SampleLine sample) {
    samples_.push_back(std::move(sample));
    return seen_.emplace(line.substr(0, line.rfind(' '))).second;
  }

  std::string finish_family() {
    std::string what;
    if (!family_.empty() && samples_.empty()) what = "family " + family_ + " has a head and no sample";
    if (type_ == "histogram" && what.empty()) what = wrong_histogram();
    family_.clear();
    type_.clear();
    samples_.clear();
    return what;
  }

  std::string family_, type_;
  std::set<std::string> families_;
  std::vector<SampleLine> samples_;  // of the family

 private:
  std::string wrong_histogram() {
    std::map<std::map<std::string, std::string>, HistogramState> states;
    for (const SampleLine& sample : samples_) {
      auto labels = sample.labels;
      const auto le = labels.extract("le");
      HistogramState& state = states[labels];
      const double value = *exposed_number(sample.value);
      std::string what;
      if (sample.name.ends_with("_bucket")) {
        what = le.empty() ? "no le" : wrong_bound(le.mapped());
        if (what.empty()) what = state.bucket(exposed_number(le.mapped()), value);
      } else if (sample.name.ends_with("_sum")) {
        state.has_sum = true;
      } else {
        what = state.count(value);
      }
      if (!what.empty()) return family_ + ": " + what;
    }
    for (const auto& [labels, state] : states) {
      if (const std::string what = wrong_end(state); !what.empty()) return family_ + ": " + what;
    }
    return {};
  }

  std::set<std::string> seen_;
};

}  // namespace shmetrics::tests
