// What a scrape of a segment says, by line: "name{label=\"value\"}" -> value.
#pragma once

#include <cstdlib>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

#include "collector/scraper.hpp"

namespace shmetrics::tests {

struct Scrape {
  collector::SegmentStatus status;
  std::string text;
  std::map<std::string, double> values;

  bool has(const std::string& series) const { return values.contains(series); }
  double operator[](const std::string& series) const {
    const auto found = values.find(series);
    if (found == values.end()) throw std::out_of_range("no " + series + " in:\n" + text);
    return found->second;
  }
};

inline Scrape scrape(collector::Scraper& scraper) {
  Scrape result;
  result.status = scraper.scrape(result.text);
  std::istringstream lines(result.text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto space = line.rfind(' ');
    result.values[line.substr(0, space)] = std::strtod(line.c_str() + space + 1, nullptr);
  }
  return result;
}

inline Scrape scrape(const std::string& path) {
  collector::Scraper scraper(path);
  return scrape(scraper);
}

}  // namespace shmetrics::tests
