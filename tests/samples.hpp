// The samples of a Prometheus text, by line: "name{label=\"value\"}" -> value.
#pragma once

#include <cstdio>
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
