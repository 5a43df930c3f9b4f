// A segment that comes, is read, and goes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <shmetrics/shmetrics.hpp>

#include "shm/lock_byte.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::ContainsRegex;
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

TEST_F(SegmentTest, WhoHoldsReadLocksOnItIsTakenForNoWorkerAndSaidOnce) {
  run_worker();
  const int reader = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_start = static_cast<off_t>(shm::live_byte(1));
  lock.l_len = 1;
  ASSERT_EQ(fcntl(reader, F_OFD_SETLK, &lock), 0);
  // It may have looked already, and looks again after kLockPause.
  ASSERT_TRUE(eventually([&] { return scrape().find("\nshmetrics_foreign_locks 1\n") != std::string::npos; }));
  for (int i = 0; i < 3; ++i) {
    const std::string text = scrape();
    EXPECT_THAT(text, HasSubstr("\nshmetrics_foreign_locks 1\n"));
    EXPECT_THAT(text, HasSubstr("\nshmetrics_workers{state=\"live\"} 0\n"));
  }
  const std::string log = exporter_.child().err(), line = "msg=\"a process that is no worker holds read locks";
  EXPECT_THAT(log, ContainsRegex("level=warn " + line + "[^\n]*\" segment=" + path_ + " locks=1\n"));
  EXPECT_EQ(log.find(line), log.rfind(line)) << log;
  close(reader);
}

}  // namespace
}  // namespace shmetrics::tests
