// Releases of an application that declare one name with another type: another metric. It waits until nobody lives who
// has the name.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/skew/schema_skew.hpp"

namespace shmetrics {
namespace {

using ::testing::HasSubstr;

/// Another type: another metric.
struct OtherType {
  std::string before, after;
  std::string difference;  // as the refusal names it
  std::string old_sample, new_sample;
};

const std::vector<OtherType>& other_types() {
  static const std::vector<OtherType> all = {
      {"gauge job Help", "histogram job Help 1", "as another type (gauge)", "job", "job_count"},
      {"histogram job Help 1", "summary job Help", "as another type (histogram)", "job_bucket{le=\"1\"}", "job_sum"},
      {"summary job Help", "gauge job Help", "as another type (summary)", "job_sum", "job"},
  };
  return all;
}

using OtherTypeSkewTest = tests::SchemaSkewTest;

TEST_F(OtherTypeSkewTest, AnotherTypeIsRefusedByNameBesideLiveWorkersAndTheyGoOn) {
  for (const OtherType& change : other_types()) {
    SCOPED_TRACE(change.after);
    std::filesystem::remove(path_);
    const auto old = started(change.before);
    old->ask("count");
    const auto next = started();
    const std::string refusal = next->ask(change.after);
    EXPECT_THAT(refusal, HasSubstr("'job'"));
    EXPECT_THAT(refusal, HasSubstr(change.difference));
    EXPECT_THAT(refusal, HasSubstr("stop them, choose another name, or open a fresh file"));
    next->ask("count");
    old->ask("count");
    const tests::Scrape scrape = scraped();
    EXPECT_TRUE(scrape.has(change.old_sample)) << scrape.text;
    EXPECT_EQ(scrape["steady_total"], 3) << "what they agree on, both count";
    EXPECT_EQ(tests::count_of(scrape.status.declarations_refused, "other_type"), 1u);
    EXPECT_EQ(tests::count_of(scrape.status.updates_dropped, "refused_family"), 1u);
  }
}

TEST_F(OtherTypeSkewTest, AnIdleWorkerThatHasOnlyDeclaredKeepsAnotherTypeOut) {
  for (const OtherType& change : other_types()) {
    SCOPED_TRACE(change.after);
    std::filesystem::remove(path_);
    auto idle = started(change.before);
    const auto next = started();
    EXPECT_THAT(next->ask(change.after), HasSubstr(change.difference));
    EXPECT_EQ(tests::scrape(path_).status.workers_live, 0u) << "it has not updated anything";
    idle->finish();
    EXPECT_EQ(next->ask(change.after), "ok") << "the next declaration finds it gone";
    next->ask("count");
    const tests::Scrape scrape = scraped();
    EXPECT_TRUE(scrape.has(change.new_sample)) << scrape.text;
    EXPECT_EQ(scrape.status.worker_deaths, 0u);
  }
}

TEST_F(OtherTypeSkewTest, WhenNobodyLivesAnotherTypeTakesTheNameAndStartsAtZero) {
  for (const OtherType& change : other_types()) {
    for (const bool in_order : {true, false}) {
      SCOPED_TRACE(change.after);
      std::filesystem::remove(path_);
      auto old = started(change.before);
      for (int i = 0; i < 5; ++i) old->ask("count");
      in_order ? static_cast<void>(old->finish()) : old->kill();
      const auto next = started(change.after);
      next->ask("count");
      const tests::Scrape scrape = scraped();
      ASSERT_TRUE(scrape.has(change.new_sample)) << scrape.text;
      EXPECT_EQ(scrape[change.new_sample], 1);
      EXPECT_FALSE(scrape.has(change.old_sample)) << scrape.text;
      EXPECT_EQ(scrape["steady_total"], 6) << "what did not change goes on";
    }
  }
}

// Two that live refuse each other's type, or one was there before the other looked: never both, and never a mixture.
TEST_F(OtherTypeSkewTest, OfTwoOtherTypesThatComeAtOnceAtMostOneIsServed) {
  for (int round = 0; round < 10; ++round) {
    const auto answers = come_at_once("histogram job Help 1 2", "gauge job Help", "summary job Help");
    EXPECT_FALSE(answers[0] == "ok" && answers[1] == "ok");
    const tests::Scrape scrape = scraped();
    EXPECT_EQ(scrape.has("job"), answers[0] == "ok") << scrape.text;
    EXPECT_EQ(scrape["steady_total"], 3);
  }
}

}  // namespace
}  // namespace shmetrics
