// Releases of an application that declare one name differently, with the same type: in processes of their own, side by
// side, one after the other, and rolled back. They add up.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/skew/schema_skew.hpp"

namespace shmetrics {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using tests::Samples;
using tests::SchemaSkewTest;
using tests::WorkerProcess;

/// Another schema of the same type. `samples`: when the old one has counted three times and the new one twice.
struct Generation {
  std::string name;
  std::string before, after;  // the declarations, as the worker takes them
  Samples samples;
};

const std::vector<Generation>& generations() {
  static const std::vector<Generation> all = {
      {"other bounds",
       "histogram job Help 1 2",
       "histogram job Help 1 3",
       {{"job_bucket{le=\"1\"}", 5}, {"job_bucket{le=\"2\"}", 5}, {"job_bucket{le=\"3\"}", 5}, {"job_count", 5}}},
      {"a finer bound",
       "histogram job Help 2",
       "histogram job Help 1 2",
       {{"job_bucket{le=\"1\"}", 2}, {"job_bucket{le=\"2\"}", 5}, {"job_count", 5}, {"job_sum", 5}}},
      {"fewer bounds",
       "histogram job Help 1 2",
       "histogram job Help 2",
       {{"job_bucket{le=\"1\"}", 3}, {"job_bucket{le=\"2\"}", 5}, {"job_count", 5}}},
      {"a label more",
       "counter job_total Help",
       "counter job_total Help queue",
       {{"job_total", 3}, {"job_total{queue=\"v\"}", 2}}},
      {"a label less",
       "counter job_total Help queue",
       "counter job_total Help",
       {{"job_total{queue=\"v\"}", 3}, {"job_total", 2}}},
      {"another label",
       "counter job_total Help queue",
       "counter job_total Help path",
       {{"job_total{queue=\"v\"}", 3}, {"job_total{path=\"v\"}", 2}}},
      {"another order of labels",
       "counter job_total Help queue path",
       "counter job_total Help path queue",
       {{"job_total{path=\"v\",queue=\"v\"}", 5}}},
      {"another kind of number",
       "counter job_total Help queue",
       "float job_total Help queue",
       {{"job_total{queue=\"v\"}", 5}}},
      {"another mode", "gauge job Help livesum", "gauge job Help max", {{"job", 1}}},
  };
  return all;
}

TEST_F(SchemaSkewTest, BesideLiveWorkersANewSchemaCountsAndBothAddUp) {
  for (const Generation& change : generations()) {
    SCOPED_TRACE(change.name);
    std::filesystem::remove(path_);
    const auto old = started(change.before);
    old->ask("count");
    const auto next = started(change.after);
    for (int i = 0; i < 2; ++i) {
      old->ask("count");
      next->ask("count");
    }
    const tests::Scrape scrape = scraped();
    expect_samples(scrape, change.samples);
    EXPECT_EQ(scrape["steady_total"], 5);
    EXPECT_EQ(generations_of(change.before.starts_with("counter") ? "job_total" : "job"), 2u);
  }
}

TEST_F(SchemaSkewTest, AfterAStopTheNewSchemaGoesOnWithWhatTheOldOneCounted) {
  for (const Generation& change : generations()) {
    if (change.name == "another mode") continue;  // values of a gauge's older generation live as long as their workers
    for (const bool in_order : {true, false}) {
      SCOPED_TRACE(change.name);
      std::filesystem::remove(path_);
      auto old = started(change.before);
      for (int i = 0; i < 3; ++i) old->ask("count");
      in_order ? static_cast<void>(old->finish()) : old->kill();
      const auto next = started(change.after);
      for (int i = 0; i < 2; ++i) next->ask("count");
      expect_samples(scraped(), change.samples);
    }
  }
}

TEST_F(SchemaSkewTest, ARollBackFindsItsOldRecordsAndNothingGoesBack) {
  for (const Generation& change : generations()) {
    if (change.before.starts_with("gauge")) continue;
    SCOPED_TRACE(change.name);
    std::filesystem::remove(path_);
    std::vector<tests::Scrape> scrapes;
    std::unique_ptr<WorkerProcess> worker;
    for (const std::string& release : {change.before, change.after, change.before, change.after}) {
      const auto next = started(release);
      next->ask("count");
      if (worker) worker->ask("count");
      scrapes.push_back(scraped());
      if (scrapes.size() > 1) expect_nothing_went_back(scrapes[scrapes.size() - 2], scrapes.back());
      if (worker) worker->finish();
      worker = started(release);
      worker->ask("count");
      scrapes.push_back(scraped());
      expect_nothing_went_back(scrapes[scrapes.size() - 2], scrapes.back());
    }
    EXPECT_EQ(generations_of(change.before.starts_with("counter") ? "job_total" : "job"), 2u)
        << "who comes back finds its own";
  }
}

TEST_F(SchemaSkewTest, AGaugesOlderGenerationCountsOnlyWhileItsWorkersLive) {
  auto old = started("gauge job Help sum");
  old->ask("count 5");
  const auto next = started("gauge job Help max");
  next->ask("count 3");
  EXPECT_EQ(scraped()["job"], 5) << "the newest's mode: the greatest";
  old->kill();
  EXPECT_EQ(scraped()["job"], 3);
  const auto adopter = started("gauge job Help max");
  EXPECT_EQ(scraped()["job"], 3) << "a claim resets it and folds nothing";
}

TEST_F(SchemaSkewTest, OtherHelpIsNoOtherSchema) {
  const auto old = started("counter job_total Before");
  old->ask("count");
  const auto next = started("counter job_total After");
  next->ask("count");
  const tests::Scrape scrape = scraped();
  EXPECT_EQ(scrape["job_total"], 2);
  EXPECT_THAT(scrape.text, HasSubstr("# HELP job_total Before\n"));
  EXPECT_EQ(generations_of("job_total"), 1u);
}

TEST_F(SchemaSkewTest, TheNewestGenerationsHelpIsShown) {
  const auto old = started("counter job_total Before");
  const auto next = started("counter job_total After queue");
  EXPECT_THAT(scraped().text, HasSubstr("# HELP job_total After\n"));
}

TEST_F(SchemaSkewTest, ALabelSetWithoutItsEmptyValuesIsTheSameInEveryGeneration) {
  const auto old = started("counter job_total Help queue");
  old->ask("with mail");
  const auto next = started("counter job_total Help queue status");
  next->ask("with mail");
  const auto last = started("counter job_total Help");
  last->ask("count");
  const tests::Scrape scrape = scraped();
  EXPECT_EQ(scrape["job_total{queue=\"mail\"}"], 1);
  EXPECT_EQ(scrape["job_total{queue=\"mail\",status=\"mail\"}"], 1);
  EXPECT_EQ(scrape["job_total"], 1);
}

// At every moment: nothing that was shown goes back, and the count is that of the observations.
TEST_F(SchemaSkewTest, InARollingDeployAndItsRollBackCountsAreExactAllTheTime) {
  constexpr int kWorkers = 4;
  const std::string releases[] = {"histogram job Help 1 2", "histogram job Help 0.5 1 4", "histogram job Help 1 2"};
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  double observed = 0;
  const auto count = [&] {
    for (auto& worker : workers) {
      for (const char* const value : {"0.4", "1", "3"}) worker->ask(std::string("count ") + value);
      observed += 3;
    }
  };
  for (int i = 0; i < kWorkers; ++i) workers.push_back(started(releases[0]));
  count();
  tests::Scrape before = scraped();
  for (const std::string& release : releases) {
    for (auto& worker : workers) {
      worker->finish();
      worker = started(release);
      tests::Scrape now = scraped();
      expect_nothing_went_back(before, now);
      count();
      before = scraped();
      expect_nothing_went_back(now, before);
      EXPECT_EQ(before["job_count"], observed);
      EXPECT_EQ(before["steady_total"], observed);
      EXPECT_NEAR(before["job_sum"], observed / 3 * 4.4, 1e-9);
    }
  }
  EXPECT_EQ(before["job_bucket{le=\"1\"}"], observed / 3 * 2) << "a bound that all have is exact";
}

TEST_F(SchemaSkewTest, OfTwoNewSchemasThatComeAtOnceBothAreServed) {
  for (int round = 0; round < 10; ++round) {
    const auto answers = come_at_once("histogram job Help 1 2", "histogram job Help 1 3", "histogram job Help 1 4");
    EXPECT_THAT(answers, Each("ok"));
    const tests::Scrape scrape = scraped();
    for (const char* const bound : {"1", "2", "3", "4", "+Inf"}) {
      EXPECT_EQ(scrape["job_bucket{le=\"" + std::string(bound) + "\"}"], 3);
    }
    EXPECT_EQ(scrape["job_count"], 3);
  }
}

TEST_F(SchemaSkewTest, OfOneNewSchemaThatComesTwiceAtOnceThereIsOneRecord) {
  for (int round = 0; round < 10; ++round) {
    std::filesystem::remove(path_);
    const auto one = started();
    const auto two = started();
    one->send("histogram job Help 1 3");
    two->send("histogram job Help 1 3");
    EXPECT_EQ(one->answer(), "ok");
    EXPECT_EQ(two->answer(), "ok");
    EXPECT_EQ(generations_of("job"), 1u);
    EXPECT_EQ(scraped().status.families, 2u);
  }
}

}  // namespace
}  // namespace shmetrics
