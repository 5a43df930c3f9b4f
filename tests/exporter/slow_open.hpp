// An exporter whose looks at segments take a minute, for as long as a file is there: slow_open.c.
#pragma once

#include <string>
#include <vector>

namespace shmetrics::tests {

/// The environment of such an exporter. Without the last of it, a sanitizer is not loaded behind another library.
inline std::vector<std::string> slow_while(const std::string& marker) {
  return {"LD_PRELOAD=" SHMETRICS_SLOW_OPEN, "SLOW_WHILE=" + marker, "ASAN_OPTIONS=verify_asan_link_order=0"};
}

}  // namespace shmetrics::tests
