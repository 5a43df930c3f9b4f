#include "collector/duration.hpp"

#include <gtest/gtest.h>

namespace shmetrics::collector {
namespace {

using std::chrono::milliseconds;

TEST(Duration, IsReadAsGoReadsIt) {
  for (const auto& [text, ms] : {std::pair("10s", 10'000),
                                 {"1m30s", 90'000},
                                 {"500ms", 500},
                                 {"1.5h", 5'400'000},
                                 {"1h0m0.25s", 3'600'250},
                                 {".5s", 500},
                                 {"5.s", 5'000},
                                 {"2000us", 2},
                                 {"1000000ns", 1},
                                 {"24h", 86'400'000},
                                 {"1s1s", 2'000}}) {
    EXPECT_EQ(parse_duration(text), milliseconds(ms)) << text;
  }
}

TEST(Duration, ThatIsNoneIsRefused) {
  for (const char* text : {"",    "10",   "s",    "10 s", " 10s",  "10s ", "-10s", "+10s", "10S",  "10sec",
                           "10d", "1e3s", "infs", "nans", "1..5s", ".s",   "0x1s", "10s5", "1m30", "\xc2\xb5s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, OutOfRangeIsRefused) {
  for (const char* text : {"0s", "0ms", "999us", "1ns", "24h1ms", "25h", "99999999999999999999999h"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace shmetrics::collector
