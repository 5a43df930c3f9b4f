// docs/metrics.md is made from the table of the self metrics, and says what that says.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "exporter/scrape/self_metrics.hpp"

namespace shmetrics::exporter {
namespace {

constexpr const char* kCommand = "SHMETRICS_WRITE_PAGE=1 build/dev/tests/exporter_test --gtest_filter='MetricsPage.*'";
const std::string kPage = SHMETRICS_SOURCE_FOLDER "/docs/metrics.md";

/// Fills lines of 120 columns with the words; those behind the first begin with `indent`.
std::string filled(const std::string& text, const std::string& indent) {
  std::istringstream words(text);
  std::string lines, line, word;
  while (words >> word) {
    if (!line.empty() && line.size() + 1 + word.size() > 120) {
      lines += line + "\n";
      line = indent + word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
  }
  return lines + line + "\n";
}

std::string heading_of(std::string_view name) {
  if (name.starts_with("shmetrics_exporter_") || name.starts_with("process_")) return "Of the exporter";
  return name == "shmetrics_scrape_duration_seconds" ? "Of a scrape" : "Of segments and their workers";
}

std::string page() {
  std::string text =
      "# The exporter's own metrics\n\n" +
      filled(
          "What the exporter says about segments and about itself, beside the application's metrics. With several "
          "segments each of these has the label `segment` too. Of a segment that is up all are shown, zeros too; those "
          "with a label `family` only where there is something to tell. Names, types and label values are a contract. "
          "[Alerts](../deploy/prometheus/shmetrics-alerts.yml) are shipped for those that ask for somebody.",
          "") +
      "\nThis page is made from the table in `exporter/scrape/self_metrics.cpp`. To refresh it:\n\n```bash\n" +
      kCommand + "\n```\n";
  std::string heading;
  for (const SelfMetric& metric : self_metrics()) {
    if (heading_of(metric.name) != heading) {
      heading = heading_of(metric.name);
      text += "\n## " + heading + "\n";
    }
    text += "\n### `" + std::string(metric.name) + "`\n\n";
    text += filled(std::string(metric.type) + ". " + std::string(metric.help), "");
    text += "\n";
    std::istringstream labels{std::string(metric.labels)};
    for (std::string label; std::getline(labels, label);) text += filled("* Label " + label, "  ");
    text += filled("* " + std::string(metric.advice), "  ");
  }
  return text;
}

TEST(MetricsPage, IsMadeFromTheTable) {
  if (std::getenv("SHMETRICS_WRITE_PAGE") != nullptr) std::ofstream(kPage) << page();
  std::ostringstream now;
  now << std::ifstream(kPage).rdbuf();
  EXPECT_TRUE(now.str() == page()) << "docs/metrics.md is old; run: " << kCommand;
}

TEST(MetricsPage, EachMetricIsThereOnceWithHelpAndAdvice) {
  std::set<std::string_view> names;
  for (const SelfMetric& metric : self_metrics()) {
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
    EXPECT_TRUE(metric.name.starts_with("shmetrics_") || metric.name.starts_with("process_")) << metric.name;
    EXPECT_EQ(metric.type == "counter", metric.name.ends_with("_total")) << metric.name;
    EXPECT_TRUE(metric.help.ends_with(".")) << metric.name;
    EXPECT_TRUE(metric.advice.ends_with(".")) << metric.name;
  }
}

}  // namespace
}  // namespace shmetrics::exporter
