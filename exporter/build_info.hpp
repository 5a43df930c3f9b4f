// Version, revision and compiler: constants of the build.
//
// Threads: any. Failure: none. Lifetime: that of the program.
#pragma once

#include <string_view>

namespace shmetrics::exporter {

std::string_view build_version();   // 0.1.0
std::string_view build_revision();  // short commit hash, or `unknown`
std::string_view build_compiler();  // GNU 12.2.0

}  // namespace shmetrics::exporter
