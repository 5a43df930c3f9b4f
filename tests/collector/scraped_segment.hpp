// A segment and what a scrape of it says, for the tests of the whole collector.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "collector/scraper.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/collector/text_checker.hpp"

namespace shmetrics::tests {

class ScrapedSegment : public ::testing::Test {
 protected:
  /// A text that the strict judge accepts.
  std::string scrape(collector::Scraper& scraper) {
    std::string text;
    status_ = scraper.scrape(text);
    EXPECT_TRUE(status_.up) << status_.problem;
    EXPECT_EQ(TextChecker::problem(text), "") << text;
    return text;
  }
  std::string scrape() { return scrape(scraper_); }
  /// Its lines that are no comment.
  static std::string samples_in(const std::string& text) {
    std::string samples;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      if (text[at] != '#') samples.append(text, at, end + 1 - at);
      at = end + 1;
    }
    return samples;
  }

  SegmentBuilder segment_;
  collector::Scraper scraper_{segment_.path()};
  collector::SegmentStatus status_;
};

}  // namespace shmetrics::tests
