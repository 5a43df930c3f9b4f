// An independent judge of protobuf scrapes: what client_golang decodes, as text.
#pragma once

#include <unistd.h>

#include <string>

#include "tests/child_process.hpp"
#include "tests/samples.hpp"

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

}  // namespace shmetrics::tests
