// Workers of several releases of an application, and what is shown of the family `job` that they declare differently.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/scrape.hpp"
#include "tests/skew/worker_process.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

using Samples = std::map<std::string, double>;

class SchemaSkewTest : public ::testing::Test {
 protected:
  /// A worker of some release, which declares that, and `steady_total` as all releases do.
  std::unique_ptr<WorkerProcess> started(const std::string& declaration = {}) {
    auto worker = std::make_unique<WorkerProcess>(SHMETRICS_WORKER);
    EXPECT_EQ(worker->ask("open " + path_), "ok");
    EXPECT_EQ(worker->ask("counter steady_total Steady"), "ok");
    if (!declaration.empty()) {
      EXPECT_EQ(worker->ask(declaration), "ok");
    }
    return worker;
  }
  /// Two that come at once, after a worker of the release before has counted and ended. They count, too. Their answers.
  std::array<std::string, 2> come_at_once(const std::string& before, const std::string& one, const std::string& two) {
    std::filesystem::remove(path_);
    auto old = started(before);
    old->ask("count");
    old->finish();
    const std::unique_ptr<WorkerProcess> workers[] = {started(), started()};
    workers[0]->send(one);
    workers[1]->send(two);
    const std::array answers{workers[0]->answer(), workers[1]->answer()};
    for (const auto& worker : workers) worker->ask("count");
    return answers;
  }
  static std::size_t times(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
    return count;
  }
  /// A scrape in which the family is written once, with buckets that add up.
  Scrape scraped() {
    const Scrape scrape = tests::scrape(path_);
    EXPECT_EQ(times(scrape.text, "# TYPE job"), 1u) << scrape.text;
    EXPECT_EQ(times(scrape.text, "# HELP job"), 1u) << scrape.text;
    EXPECT_EQ(scrape.status.quarantined_families + scrape.status.quarantined_series, 0u);
    double below = 0;
    std::map<double, double> buckets;
    for (const auto& [sample, value] : scrape.values) {
      if (!sample.starts_with("job_bucket{le=\"")) continue;
      const std::string bound = sample.substr(std::string("job_bucket{le=\"").size());
      buckets[bound.starts_with("+Inf") ? INFINITY : std::stod(bound)] = value;
    }
    for (const auto& [bound, value] : buckets) {
      EXPECT_GE(value, below) << "le " << bound << " in\n" << scrape.text;
      below = value;
    }
    if (!buckets.empty()) {
      EXPECT_EQ(scrape["job_count"], below);
    }
    return scrape;
  }
  static void expect_samples(const Scrape& scrape, const Samples& expected) {
    for (const auto& [sample, value] : expected) {
      if (!scrape.has(sample)) {
        ADD_FAILURE() << "no " << sample << " in\n" << scrape.text;
      } else {
        EXPECT_EQ(scrape[sample], value) << sample;
      }
    }
  }
  /// Samples by name and sorted labels: their order in the text means nothing.
  static Samples sorted(const Samples& samples) {
    Samples sorted;
    for (const auto& [sample, value] : samples) {
      std::string name = sample.substr(0, sample.find('{'));
      std::set<std::string> labels;
      std::istringstream rest(sample.substr(name.size()));
      for (std::string label; std::getline(rest, label, ',');) {
        labels.insert(label.substr(label[0] == '{' ? 1 : 0, label.find('}') - (label[0] == '{' ? 1 : 0)));
      }
      for (const std::string& label : labels) name.append(" ").append(label);
      sorted[name] = value;
    }
    return sorted;
  }
  /// No counter, bucket, sum or count is gone or lower than before.
  static void expect_nothing_went_back(const Scrape& before, const Scrape& now) {
    const Samples shown = sorted(now.values);
    for (const auto& [sample, value] : sorted(before.values)) {
      const auto found = shown.find(sample);
      if (found == shown.end()) {
        ADD_FAILURE() << sample << " is gone from\n" << now.text;
      } else {
        EXPECT_GE(found->second, value) << sample;
      }
    }
  }
  std::uint64_t generations_of(const std::string& family) {
    for (const auto& [name, count] : scrape(path_).status.family_generations) {
      if (name == family) return count;
    }
    return 1;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

}  // namespace shmetrics::tests
