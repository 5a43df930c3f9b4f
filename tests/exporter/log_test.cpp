#include "exporter/log.hpp"

#include <gtest/gtest.h>

namespace shmetrics::exporter {
namespace {

TEST(Log, LogfmtQuotesWhatIsNotPlain) {
  EXPECT_EQ(render_logfmt(LogLevel::kWarn, "a message", {{"a", "plain"}, {"b", "two words"}, {"c", ""}, {"d", "x=y"}}),
            "level=warn msg=\"a message\" a=plain b=\"two words\" c=\"\" d=\"x=y\"");
}

TEST(Log, NothingInAValueBeginsANewLineOrKey) {
  EXPECT_EQ(render_logfmt(LogLevel::kInfo, "m", {{"a", "x\nlevel=error \"\\\x1b\xff"}}),
            R"(level=info msg="m" a="x\nlevel=error \"\\\x1b\xff")");
  EXPECT_EQ(render_json(LogLevel::kError, "m\r", {{"a", "\"\n\x01"}}),
            R"("level":"error","msg":"m\r","a":"\"\n\u0001")");
}

TEST(Log, JsonIsAsciiAndABadByteIsTheReplacementCharacter) {
  EXPECT_EQ(render_json(LogLevel::kInfo, "\xc3\xa9", {{"a", "x\xffy"}}),
            R"("level":"info","msg":"\u00e9","a":"x\ufffdy")");
}

TEST(LogThrottle, OneLineAMinuteAndClassPassesAndTheRestIsCounted) {
  LogThrottle throttle;
  const LogThrottle::Time start{};
  EXPECT_EQ(throttle.pass("a", start), 0U);
  EXPECT_EQ(throttle.pass("b", start), 0U);
  EXPECT_EQ(throttle.pass("a", start + std::chrono::seconds(1)), std::nullopt);
  EXPECT_EQ(throttle.pass("a", start + std::chrono::seconds(59)), std::nullopt);
  EXPECT_EQ(throttle.pass("a", start + std::chrono::seconds(60)), 2U);
  EXPECT_EQ(throttle.pass("a", start + std::chrono::seconds(120)), 0U);
}

}  // namespace
}  // namespace shmetrics::exporter
