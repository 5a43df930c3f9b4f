// An independent judge of OpenMetrics text: the parser of python3-prometheus-client.
#pragma once

#include <string>

#include "tests/child_process.hpp"

namespace shmetrics::tests {

inline constexpr const char* kPython = "/usr/bin/python3";

/// Whether the judge is installed; a test that cannot ask it says so and skips.
inline bool has_openmetrics_judge() {
  return run_command({kPython, "-c", "import prometheus_client.openmetrics.parser"}).code == 0;
}
inline constexpr const char* kNoJudge =
    "NOBODY JUDGES OPENMETRICS HERE: install python3-prometheus-client (tools/install-dependencies.sh test)";

/// What the parser reads: a line a family, [name, type, unit, help] as JSON in ASCII, and one a sample, [name, labels,
/// value], with [labels, value, timestamp] of its exemplar behind these if it has one. A text that it refuses has code
/// 1 and the reason in `error`.
inline Outcome judge_openmetrics(const std::string& text) {
  static constexpr const char* kScript = R"(
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
text = sys.stdin.buffer.read().decode("utf-8")
for family in text_string_to_metric_families(text):
    print(json.dumps([family.name, family.type, family.unit, family.documentation]))
    for sample in family.samples:
        exemplar = [] if sample.exemplar is None else [[sample.exemplar.labels, sample.exemplar.value,
                                                        float(sample.exemplar.timestamp)]]
        print(json.dumps([sample.name, sample.labels, sample.value] + exemplar))
)";
  return run_command({kPython, "-c", kScript}, text);
}

}  // namespace shmetrics::tests
