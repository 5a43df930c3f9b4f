// docs/merge-rules.md has a worked example of each kind over a deploy and a roll-back: workers of both releases do what
// it says, and the scrape shows what it says after each step.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <cstdlib>
#include <functional>
#include <map>
#include <vector>

#include "collector/plain_family.hpp"
#include "tests/forked.hpp"
#include "tests/page_table.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

class MergeRulesDoc : public ::testing::Test {
 protected:
  using Work = std::function<void(const Registry&)>;

  /// A worker that does one part and ends; `a` and `b` below are what release A and release B do.
  void work(const Work& part) {
    EXPECT_EQ(wait_for(forked([&] {
                part(Registry::open({.path = path_}));
                return 0;
              })),
              0);
  }
  /// Does the columns' parts in turn, with a look after each; `series_of` says which series a row is about.
  void expect_table(std::string_view head, const std::vector<Work>& parts,
                    const std::function<std::string(const std::string&)>& series_of) {
    const auto rows = rows_below(SHMETRICS_DOCS "/merge-rules.md", head);
    ASSERT_GE(rows.size(), 1u);
    for (std::size_t step = 0; step < parts.size(); ++step) {
      work(parts[step]);
      const Scrape shown = scrape(path_);
      for (const auto& row : rows) {
        ASSERT_EQ(row.size(), parts.size() + 1) << row[0];
        const std::string series = series_of(row[0]), &value = row[step + 1];
        if (series.empty()) continue;  // Prometheus's own sum
        EXPECT_EQ(shown.has(series), !value.empty()) << series << ", step " << step + 1;
        if (value.empty()) continue;
        EXPECT_EQ(shown[series], std::atof(value.c_str())) << series << ", step " << step + 1;
      }
    }
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("deploy.seg");
};

TEST_F(MergeRulesDoc, CounterWithAnotherLabel) {
  const auto a = [](std::uint64_t n) {
    return [=](const Registry& registry) {
      registry.counter("app_hits_total", "Hits", {"path"}).with("/").inc(static_cast<std::int64_t>(n));
    };
  };
  const auto b = [](const Registry& registry) {
    registry.counter("app_hits_total", "Hits", {"path", "status"}).with("/", "200").inc(30);
  };
  expect_table("| series | A alone | B has counted 30 | rolled back, A has counted 40 more |", {a(100), b, a(40)},
               [](const std::string& row) { return row.starts_with('{') ? "app_hits_total" + row : ""; });
  work([](const Registry& registry) {
    registry.counter("app_hits_total", "Hits", {"path", "status"}).with("/", "").inc();
  });
  EXPECT_EQ(scrape(path_)["app_hits_total{path=\"/\"}"], 141) << "an empty label is none";
}

TEST_F(MergeRulesDoc, CounterOfIntegersThenOfFractions) {
  const auto a = [](std::int64_t n) {
    return [=](const Registry& registry) { registry.counter("app_cost_total", "Cost").inc(n); };
  };
  const auto b = [](const Registry& registry) { registry.float_counter("app_cost_total", "Cost").inc(2.5); };
  expect_table("| series | A alone | B has added 2.5 | rolled back, A has added 1 |", {a(100), b, a(1)},
               [](const std::string& row) { return row; });
}

TEST_F(MergeRulesDoc, HistogramWithOtherBounds) {
  const auto observing = [](Buckets bounds, std::vector<double> values) {
    return [=](const Registry& registry) {
      const auto seconds = registry.histogram("app_seconds", "Seconds", {}, bounds);
      for (const double value : values) seconds.observe(value);
    };
  };
  const Buckets of_a{0.1, 1}, of_b{0.1, 0.5, 2};
  expect_table("| `le` | A alone | B has declared | B has observed 10 | rolled back, A has observed 0.3 |",
               {observing(of_a, {.05, .05, .05, .05, .3, .7, .9, 3, 3, 3}), observing(of_b, {}),
                observing(of_b, {.05, .05, .05, .05, .05, .3, .3, 1.5, 1.5, 9}), observing(of_a, {0.3})},
               [](const std::string& row) {
                 return row.starts_with('+') ? "app_seconds_count" : "app_seconds_bucket{le=\"" + row + "\"}";
               });
  const Scrape shown = scrape(path_);
  EXPECT_EQ(shown["app_seconds_bucket{le=\"+Inf\"}"], shown["app_seconds_count"]);
}

// Rows as "2 to 4" and "zero, to 1".
std::map<std::string, double> native_buckets(const std::string& path) {
  collector::Scraper scraper(path);
  EXPECT_TRUE(scraper.read().up);
  const auto families = collector::plain_families(scraper.view());
  const auto& native = std::get<collector::Distribution>(families.at(0).series.at(0).value).native;
  const auto text = [](double border) { return std::to_string(static_cast<int>(border)); };
  std::map<std::string, double> buckets{
      {"zero, to " + text(native->zero_threshold), static_cast<double>(native->zero_count)}};
  for (const auto& [above, up_to, count] : native->buckets) {
    buckets[text(above) + " to " + text(2 * above)] = static_cast<double>(count);
  }
  return buckets;
}

TEST_F(MergeRulesDoc, NativeHistogramWithAnotherWindow) {
  const auto observing = [](double low, double high, std::vector<double> values) {
    return [=](const Registry& registry) {
      const auto seconds =
          registry.native_histogram("app_seconds", "Seconds", {}, {.low = low, .high = high, .factor = 2});
      for (const double value : values) seconds.observe(value);
    };
  };
  const std::vector<Work> parts = {observing(1, 8, {.5, 1.5, 3, 6, 20}), observing(2, 32, {}),
                                   observing(2, 32, {1, 3, 6, 12, 24, 100}), observing(1, 8, {3})};
  const std::string columns = "A alone | B has declared a window | B has observed 6 | rolled back, A has observed 3 |";
  expect_table("| `le` | " + columns, parts, [](const std::string& row) {
    return row.starts_with('+') ? "app_seconds_count" : "app_seconds_bucket{le=\"" + row + "\"}";
  });
  path_ = folder_.file("again.seg");
  const auto rows = rows_below(SHMETRICS_DOCS "/merge-rules.md", "| bucket | " + columns);
  for (std::size_t step = 0; step < parts.size(); ++step) {
    work(parts[step]);
    std::map<std::string, double> expected;
    for (const auto& row : rows) {
      if (!row.at(step + 1).empty()) expected[row[0]] = std::atof(row[step + 1].c_str());
    }
    EXPECT_EQ(native_buckets(path_), expected) << "step " << step + 1;
  }
}

TEST_F(MergeRulesDoc, SummaryWithAnotherLabel) {
  const auto a = [](std::vector<double> values) {
    return [=](const Registry& registry) {
      for (const double value : values) registry.summary("app_seconds", "Seconds").observe(value);
    };
  };
  const auto b = [](const Registry& registry) {
    const auto series = registry.summary("app_seconds", "Seconds", {"zone"}).with("");
    series.observe(0.5);
    series.observe(1);
  };
  expect_table("| series | A alone | B has observed 0.5 and 1 | rolled back, A has observed 2 |",
               {a(std::vector<double>(10, 0.5)), b, a({2})},
               [](const std::string& row) { return "app_seconds" + row; });
}

}  // namespace
}  // namespace shmetrics::tests
