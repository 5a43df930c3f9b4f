#include "exporter/scrape/segment_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shmetrics::exporter {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class SegmentLogTest : public ::testing::Test {
 protected:
  SegmentLogTest() {
    status_.up = true;
    status_.segment = "crm";
    status_.declarations_refused = {{"rule", 0}, {"other_type", 0}, {"busy", 0}};
    noted();  // that it is up
  }
  std::string noted() {
    ::testing::internal::CaptureStderr();
    log_.note(status_, "/p/crm.seg");
    return ::testing::internal::GetCapturedStderr();
  }

  collector::SegmentStatus status_;
  SegmentLog log_;
};

TEST_F(SegmentLogTest, DeclarationsThatWereRefusedAreSaidOnceWithTheirReasons) {
  EXPECT_EQ(noted(), "");
  status_.declarations_refused = {{"rule", 2}, {"other_type", 0}, {"busy", 1}};
  const std::string line = noted();
  EXPECT_THAT(line, HasSubstr("level=warn msg=\"declarations of metrics were refused: the workers' stderr names them\" "
                              "segment=crm path=/p/crm.seg"));
  EXPECT_THAT(line, EndsWith(" reasons=\"rule 2, busy 1\"\n"));
  EXPECT_EQ(noted(), "");
  status_.declarations_refused[0].count = 3;
  EXPECT_EQ(noted(), "") << "within the minute";
}

TEST_F(SegmentLogTest, FamiliesWithMoreThanOneSchemaAreSaidOnceByName) {
  status_.family_generations = {{"a_total", 2}, {"b", 3}};
  const std::string line = noted();
  EXPECT_THAT(line, HasSubstr("level=info msg=\"families have more than one schema: the scrape shows their sums\" "
                              "segment=crm path=/p/crm.seg"));
  EXPECT_THAT(line, EndsWith(" families=\"a_total 2, b 3\"\n"));
  EXPECT_EQ(noted(), "");
  status_.up = false;
  status_.problem = "gone";
  status_.family_generations.clear();
  EXPECT_THAT(noted(), HasSubstr("the segment is not up"));
  status_.up = true;
  status_.family_generations = {{"a_total", 2}, {"b", 3}};
  EXPECT_THAT(noted(), EndsWith("msg=\"the segment is up\" segment=crm path=/p/crm.seg\n")) << "the rest was said";
}

TEST_F(SegmentLogTest, ALongListEndsWithHowManyMoreThereAre) {
  for (char c = 'a'; c <= 'z'; ++c) status_.family_generations.emplace_back(std::string(1, c), 2);
  EXPECT_THAT(noted(), EndsWith(" families=\"a 2, b 2, c 2, d 2, e 2, f 2, g 2, h 2 and 18 more\"\n"));
}

}  // namespace
}  // namespace shmetrics::exporter
