// A segment that comes, is read, and goes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <shmetrics/shmetrics.hpp>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void count_three_things(const std::string& path) {
  shmetrics::Options options;
  options.path = path;
  auto registry = shmetrics::Registry::open(options);
  registry.counter("crm_things_total", "Things done", {"kind"}).with("a\"b").inc(3);
}

class SegmentTest : public ::testing::Test {
 protected:
  SegmentTest() : exporter_({.segment = path_}) {}

  /// A worker that does not outlive this call; this process must not become one, or the segment would stay in use.
  void run_worker() {
    const pid_t child = fork();
    if (child == 0) {
      count_three_things(path_);
      _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  std::string scrape() { return exporter_.get("/metrics").body; }

  TemporaryFolder directory_;
  std::string path_ = directory_.file("a.seg");
  RunningExporter exporter_;
};

TEST_F(SegmentTest, ThatComesIsServedAndSaid) {
  EXPECT_THAT(scrape(), HasSubstr("\nshmetrics_segment_up 0\n"));
  run_worker();
  const std::string text = scrape();
  EXPECT_THAT(text, HasSubstr("\ncrm_things_total{kind=\"a\\\"b\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\nshmetrics_segment_up 1\n"));
  EXPECT_TRUE(exporter_.child().says("level=info msg=\"the segment is up\" segment=" + path_));
}

TEST_F(SegmentTest, ThatIsReplacedByRubbishIsServedNoLongerAndThatIsSaidAtOnce) {
  run_worker();
  scrape();
  std::ofstream(path_ + ".new") << std::string(8192, 'x');
  std::filesystem::rename(path_ + ".new", path_);
  const std::string text = scrape();
  EXPECT_THAT(text, Not(HasSubstr("crm_things_total")));
  EXPECT_THAT(text, HasSubstr("\nshmetrics_segment_up 0\n"));
  EXPECT_TRUE(
      exporter_.child().says("level=warn msg=\"the segment is not up\" segment=" + path_ + " problem=\"" + path_));
}

TEST_F(SegmentTest, ThatIsRemovedWhileAWorkerLivesIsServedOnAndThatIsSaidOnce) {
  count_three_things(path_);
  scrape();
  std::filesystem::remove(path_);
  for (int i = 0; i < 3; ++i) EXPECT_THAT(scrape(), HasSubstr("\ncrm_things_total{kind=\"a\\\"b\"} 3\n"));
  const std::string log = exporter_.child().err();
  const std::size_t first = log.find("the segment is up, but");
  EXPECT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("the segment is up, but", first + 1), std::string::npos) << log;
}

}  // namespace
}  // namespace shmetrics::tests
