// A scrape that the strict judge of the text format accepts.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/collector/text_checker.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {

inline std::string well_formed_text(const RunningExporter& exporter) {
  const std::string text = exporter.text();
  EXPECT_EQ(TextChecker::problem(text), "");
  return text;
}

}  // namespace shmetrics::tests
