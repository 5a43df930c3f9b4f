// Foreign judges of Prometheus text 0.0.4: promtool, and the parser of python3-prometheus-client.
#pragma once

#include <unistd.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/child_process.hpp"
#include "tests/collector/text_checker.hpp"

namespace shmetrics::tests {

inline constexpr const char* kPromtool = "/usr/bin/promtool";
inline constexpr const char* kSystemPython = "/usr/bin/python3";

inline bool has_text_judges() {
  return access(kPromtool, X_OK) == 0 &&
         run_command({kSystemPython, "-c", "import prometheus_client.parser"}).code == 0;
}
inline constexpr const char* kNoTextJudges =
    "NOBODY JUDGES THE TEXT HERE: install prometheus and python3-prometheus-client (tools/install-dependencies.sh "
    "test)";

/// What promtool or the strict checker of the collector's tests object to; empty when they agree with the text.
inline std::string objection(const std::string& text) {
  if (const std::string problem = TextChecker::problem(text); !problem.empty()) return problem;
  const Outcome promtool = run_command({kPromtool, "check", "metrics"}, text);
  return promtool.code == 0 ? "" : "promtool: " + promtool.out + promtool.error;
}

struct ParsedSample {
  std::string name;
  double value = 0;
  std::map<std::string, std::string> labels;
};

/// The samples as python3-prometheus-client reads them; `refusal` says why when it does not.
inline std::vector<ParsedSample> parsed_samples(const std::string& text, std::string& refusal) {
  const Outcome parser = run_command({kSystemPython, SHMETRICS_PARSE_TEXT}, text);
  refusal = parser.code == 0 ? "" : "python3-prometheus-client: " + parser.error;
  const auto plain = [](const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    return bytes;
  };
  std::vector<ParsedSample> samples;
  std::istringstream lines(parser.out);
  for (std::string line; std::getline(lines, line);) {
    ParsedSample& sample = samples.emplace_back();
    std::istringstream fields(line);
    std::string value;
    fields >> sample.name >> value;
    sample.value = std::strtod(value.c_str(), nullptr);
    fields.ignore(1);
    for (std::string label; std::getline(fields, label, ',');) {
      const std::size_t equals = label.find('=');
      sample.labels.emplace(label.substr(0, equals), plain(label.substr(equals + 1)));
    }
  }
  return samples;
}

}  // namespace shmetrics::tests
