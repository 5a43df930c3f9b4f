#include "collector/text_format.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tests/collector/text_checker.hpp"

namespace shmetrics::collector {
namespace {

using tests::TextChecker;

std::string number(double value) {
  std::string text;
  append_number(text, value);
  return text;
}

TEST(TextFormat, HelpEscapesBackslashAndLineFeedButNotQuotes) {
  std::string text;
  append_head(text, "a_total", "one\\two\nthree \"four\"", "counter");
  EXPECT_EQ(text, "# HELP a_total one\\\\two\\nthree \"four\"\n# TYPE a_total counter\n");
}

TEST(TextFormat, LabelValuesEscapeQuotesToo) {
  std::string text;
  append_sample(text, "a", {{"x", "\\\n\""}, {"y", ""}}, std::uint64_t{1});
  EXPECT_EQ(text, "a{x=\"\\\\\\n\\\"\",y=\"\"} 1\n");
}

TEST(TextFormat, SeriesWithoutLabelsHasNoBraces) {
  std::string text;
  append_sample(text, "a", {}, 0.5);
  EXPECT_EQ(text, "a 0.5\n");
}

TEST(TextFormat, IntegersAreWrittenInAllTheirDigits) {
  std::string text;
  append_number(text, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(text, "18446744073709551615");
}

TEST(TextFormat, NotANumberAndInfinitiesHaveTheSpellingOfTheFormat) {
  EXPECT_EQ(number(NAN), "NaN");
  EXPECT_EQ(number(-NAN), "NaN");
  EXPECT_EQ(number(INFINITY), "+Inf");
  EXPECT_EQ(number(-INFINITY), "-Inf");
}

TEST(TextFormat, DoublesReadBackAsTheSameBits) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    const std::string text = number(value);
    double back = 0;
    std::from_chars(text.data(), text.data() + text.size(), back);
    ASSERT_EQ(std::bit_cast<std::uint64_t>(back), std::bit_cast<std::uint64_t>(value)) << text;
    ASSERT_LE(text.size(), kNumberBytes);
  }
}

TEST(TextFormat, BoundsAreSpeltAsGoSpellsThem) {
  const std::pair<double, const char*> cases[] = {
      {0.005, "0.005"}, {1, "1"},       {2.5, "2.5"}, {0.0001, "0.0001"}, {1e-5, "1e-05"},          {100000, "100000"},
      {1e6, "1e+06"},   {-0.5, "-0.5"}, {0, "0"},     {1e21, "1e+21"},    {1234567, "1.234567e+06"}};
  for (const auto& [bound, expected] : cases) {
    std::string text;
    append_bound(text, bound);
    EXPECT_EQ(text, expected);
  }
}

TEST(TextChecker, AcceptsWhatIsWellFormed) {
  EXPECT_EQ(TextChecker::problem(""), "");
  EXPECT_EQ(TextChecker::problem("# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\\n\"} 1\n"), "");
  EXPECT_EQ(TextChecker::problem("# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"
                                 "h_sum 3\nh_count 2\n"),
            "");
}

TEST(TextChecker, RefusesWhatIsNot) {
  for (const char* text :
       {"a 1", "a 1\n", "# HELP a x\n# TYPE a gauge\n", "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n", "# HELP a x\n# TYPE a gauge\na inf\n",
        "# HELP a x\n# TYPE a gauge\nb 1\n", "# HELP a x\n# TYPE a counter\na -1\n",
        "# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\na 1\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n", "# HELP a x\\q\n# TYPE a gauge\na 1\n",
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 3\n",
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"}) {
    EXPECT_NE(TextChecker::problem(text), "") << text;
  }
}

}  // namespace
}  // namespace shmetrics::collector
