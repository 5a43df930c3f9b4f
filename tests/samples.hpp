// The samples of a Prometheus text, by line: "name{label=\"value\"}" -> value.
#pragma once

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

namespace shmetrics::tests {

/// Of a text without timestamps and exemplars.
inline std::map<std::string, double> samples_of(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto blank = line.rfind(' ');
    samples[line.substr(0, blank)] = std::strtod(line.c_str() + blank + 1, nullptr);
  }
  return samples;
}

}  // namespace shmetrics::tests
