// An independent judge of protobuf scrapes: what client_golang decodes, as text.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include "tests/child_process.hpp"

namespace shmetrics::tests {

/// Whether the judge could be built; a test that cannot ask it says so and skips.
inline bool has_protobuf_judge() {
  return access(SHMETRICS_PROTOBUF_JUDGE, X_OK) == 0;
}
inline constexpr const char* kNoProtobufJudge =
    "NOBODY JUDGES PROTOBUF HERE: tools/install-dependencies.sh test, then configure and build anew";

/// The families as text 0.0.4. What cannot be decoded has code 1 and the reason in `error`.
inline Outcome judge_protobuf(const std::string& scrape) {
  return run_command({SHMETRICS_PROTOBUF_JUDGE}, scrape);
}

/// A text 0.0.4 with its numbers written in one way, whoever wrote it.
inline std::string with_plain_numbers(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t number = line.rfind(' ') + 1;
    if (!line.starts_with("#")) {
      char digits[64];
      std::snprintf(digits, sizeof digits, "%.17g", std::strtod(line.c_str() + number, nullptr));
      line.replace(number, line.npos, digits);
    }
    out += line + '\n';
  }
  return out;
}

}  // namespace shmetrics::tests
