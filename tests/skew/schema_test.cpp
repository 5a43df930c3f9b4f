// Releases of an application that declare one name differently: in processes of their own, with old ones alive and
// without.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "tests/scrape.hpp"
#include "tests/skew/worker_process.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

using ::testing::HasSubstr;
using tests::WorkerProcess;

struct Change {
  std::string name;
  std::string before, after;  // the declarations, as the worker takes them
  std::string difference;     // as the refusal names it
  std::string old_sample, new_sample;
};

const std::vector<Change>& changes() {
  static const std::vector<Change> all = {
      {"other bounds", "histogram job Help 1 2", "histogram job Help 1 3", "other bounds", "job_bucket{le=\"2\"}",
       "job_bucket{le=\"3\"}"},
      {"fewer bounds", "histogram job Help 1 2", "histogram job Help 2", "other bounds", "job_bucket{le=\"1\"}",
       "job_bucket{le=\"2\"}"},
      {"a label more", "counter job_total Help", "counter job_total Help queue", "other labels", "job_total",
       "job_total{queue=\"v\"}"},
      {"a label less", "counter job_total Help queue", "counter job_total Help", "other labels",
       "job_total{queue=\"v\"}", "job_total"},
      {"another label", "counter job_total Help queue", "counter job_total Help path", "other labels",
       "job_total{queue=\"v\"}", "job_total{path=\"v\"}"},
      {"gauge to histogram", "gauge job Help", "histogram job Help 1", "gauge", "job", "job_count"},
      {"histogram to summary", "histogram job Help 1", "summary job Help", "histogram", "job_bucket{le=\"1\"}",
       "job_sum"},
  };
  return all;
}

class SchemaSkewTest : public ::testing::Test {
 protected:
  std::unique_ptr<WorkerProcess> started() {
    auto worker = std::make_unique<WorkerProcess>(SHMETRICS_WORKER);
    EXPECT_EQ(worker->ask("open " + path_), "ok");
    EXPECT_EQ(worker->ask("counter steady_total Steady"), "ok");
    return worker;
  }
  static std::size_t times(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
    return count;
  }
  /// A scrape in which each family is written once.
  tests::Scrape scraped() {
    const tests::Scrape scrape = tests::scrape(path_);
    EXPECT_EQ(times(scrape.text, "# TYPE job"), 1u) << scrape.text;
    EXPECT_EQ(times(scrape.text, "# HELP job"), 1u) << scrape.text;
    EXPECT_EQ(scrape.status.quarantined_families, 0u);
    return scrape;
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

TEST_F(SchemaSkewTest, BesideLiveWorkersTheNewSchemaIsInertAndNamesTheDifference) {
  for (const Change& change : changes()) {
    SCOPED_TRACE(change.name);
    std::filesystem::remove(path_);
    const auto old = started();
    ASSERT_EQ(old->ask(change.before), "ok");
    old->ask("count");
    const auto next = started();
    const std::string refusal = next->ask(change.after);
    EXPECT_THAT(refusal, HasSubstr(change.difference));
    EXPECT_THAT(refusal, HasSubstr("live workers; restart them, or open with Start::fresh"));
    next->ask("count");
    old->ask("count");
    const tests::Scrape scrape = scraped();
    EXPECT_TRUE(scrape.has(change.old_sample)) << scrape.text;
    EXPECT_EQ(scrape["steady_total"], 3) << "what they agree on, both count";
  }
}

TEST_F(SchemaSkewTest, AfterAStopTheNewSchemaTakesTheNameAndStartsAtZero) {
  for (const Change& change : changes()) {
    for (const bool in_order : {true, false}) {
      SCOPED_TRACE(change.name);
      std::filesystem::remove(path_);
      auto old = started();
      ASSERT_EQ(old->ask(change.before), "ok");
      for (int i = 0; i < 5; ++i) old->ask("count");
      in_order ? static_cast<void>(old->finish()) : old->kill();
      const auto next = started();
      ASSERT_EQ(next->ask(change.after), "ok");
      next->ask("count");
      const tests::Scrape scrape = scraped();
      ASSERT_TRUE(scrape.has(change.new_sample)) << scrape.text;
      EXPECT_EQ(scrape[change.new_sample], 1);
      EXPECT_FALSE(scrape.has(change.old_sample)) << scrape.text;
      EXPECT_EQ(scrape["steady_total"], 6) << "what did not change goes on";
    }
  }
}

TEST_F(SchemaSkewTest, OtherHelpIsNoOtherSchema) {
  const auto old = started();
  ASSERT_EQ(old->ask("counter job_total Before"), "ok");
  old->ask("count");
  const auto next = started();
  ASSERT_EQ(next->ask("counter job_total After"), "ok");
  next->ask("count");
  const tests::Scrape scrape = scraped();
  EXPECT_EQ(scrape["job_total"], 2);
  EXPECT_THAT(scrape.text, HasSubstr("# HELP job_total Before\n"));
}

// Also the new ones are live workers: as long as one of either runs, the old schema stays.
TEST_F(SchemaSkewTest, ARollingRestartKeepsTheOldSchemaUntilAllStandStill) {
  constexpr int kWorkers = 4;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(started());
    ASSERT_EQ(workers.back()->ask("histogram job Help 1 2"), "ok");
    workers.back()->ask("count");
  }
  double count = kWorkers;
  for (auto& worker : workers) {
    worker->finish();
    worker = started();
    EXPECT_THAT(worker->ask("histogram job Help 1 3"), HasSubstr("other bounds"));
    for (const auto& each : workers) each->ask("count");
    const tests::Scrape scrape = scraped();
    EXPECT_GE(scrape["job_count"], count) << "nothing goes down";
    count = scrape["job_count"];
  }
  for (auto& worker : workers) worker->finish();
  EXPECT_EQ(scraped()["steady_total"], kWorkers + kWorkers * kWorkers);
  const auto alone = started();
  EXPECT_EQ(alone->ask("histogram job Help 1 3"), "ok");
  alone->ask("count");
  EXPECT_EQ(scraped()["job_bucket{le=\"3\"}"], 1);
}

TEST_F(SchemaSkewTest, OfTwoNewSchemasThatComeAtOnceOneIsServed) {
  for (int round = 0; round < 10; ++round) {
    std::filesystem::remove(path_);
    auto old = started();
    ASSERT_EQ(old->ask("histogram job Help 1 2"), "ok");
    old->ask("count");
    old->finish();
    const auto one = started();
    const auto two = started();
    one->send("histogram job Help 1 3");
    two->send("histogram job Help 1 4");
    one->answer();
    two->answer();
    one->ask("count");
    two->ask("count");
    const tests::Scrape scrape = scraped();
    EXPECT_NE(scrape.has("job_bucket{le=\"3\"}"), scrape.has("job_bucket{le=\"4\"}")) << scrape.text;
    EXPECT_FALSE(scrape.has("job_bucket{le=\"2\"}"));
    EXPECT_EQ(scrape["job_count"], 1) << "who was superseded before it counted, counts unseen";
  }
}

}  // namespace
}  // namespace shmetrics
