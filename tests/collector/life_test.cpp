// What becomes of a reader when its file comes, goes, is replaced, or is cut while it is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "collector/mapped_segment.hpp"
#include "collector/scraper.hpp"
#include "collector/sigbus_guard.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/collector/text_checker.hpp"

namespace shmetrics::collector {
namespace {

using ::testing::HasSubstr;
using tests::SegmentBuilder;

struct Scrape {
  std::string text;
  SegmentStatus status;
  explicit Scrape(Scraper& scraper) : status(scraper.scrape(text)) {}
};

TEST(Life, AMissingSegmentIsNoErrorAndMayCome) {
  Scraper scraper("/dev/shm/shmetrics-test-nothing.seg");
  const Scrape nothing(scraper);
  EXPECT_FALSE(nothing.status.up);
  EXPECT_THAT(nothing.status.problem, HasSubstr("shmetrics-test-nothing.seg"));
  EXPECT_EQ(nothing.text, "");

  SegmentBuilder segment;
  const std::string path = segment.path() + ".later";
  Scraper later(path);
  EXPECT_FALSE(Scrape(later).status.up);
  ASSERT_EQ(rename(segment.path().c_str(), path.c_str()), 0);
  EXPECT_TRUE(Scrape(later).status.up);
  unlink(path.c_str());
}

TEST(Life, AReplacedFileIsFollowedAndNothingOfTheOldStays) {
  SegmentBuilder old, fresh;
  old.thread(0, old.family(tests::counter("old_total")).cell).store_relaxed(1);
  fresh.thread(0, fresh.family(tests::counter("new_total")).cell).store_relaxed(2);
  const shm::Descriptor alive = old.live(0);
  Scraper scraper(old.path());
  EXPECT_THAT(Scrape(scraper).text, HasSubstr("old_total 1\n"));
  ASSERT_EQ(rename(fresh.path().c_str(), old.path().c_str()), 0);
  const Scrape after(scraper);
  EXPECT_EQ(after.text, "# HELP new_total Help.\n# TYPE new_total counter\nnew_total 2\n");
  EXPECT_EQ(after.status.notice, "");
}

TEST(Life, ARemovedFileIsServedAsLongAsItsWorkersLive) {
  SegmentBuilder segment;
  const auto family = segment.family(tests::counter("a_total"));
  shm::Descriptor alive = segment.live(0);
  Scraper scraper(segment.path());
  EXPECT_TRUE(Scrape(scraper).status.up);
  unlink(segment.path().c_str());
  segment.thread(0, family.cell).store_relaxed(5);
  const Scrape orphan(scraper);
  EXPECT_THAT(orphan.text, HasSubstr("a_total 5\n"));
  EXPECT_THAT(orphan.status.notice, HasSubstr("removed while in use"));
  alive.reset();
  const Scrape gone(scraper);
  EXPECT_FALSE(gone.status.up);
  EXPECT_EQ(gone.text, "");
}

TEST(Life, AFileThatIsNoSegmentDoesNotTakeThePlaceOfOneWithWorkers) {
  SegmentBuilder segment;
  segment.family(tests::counter("a_total"));
  const shm::Descriptor alive = segment.live(0);
  Scraper scraper(segment.path());
  EXPECT_TRUE(Scrape(scraper).status.up);
  unlink(segment.path().c_str());
  std::ofstream(segment.path()) << "not a segment";
  EXPECT_TRUE(Scrape(scraper).status.up);
}

TEST(Life, AnotherSegmentWrittenIntoTheSameFileIsReadAnew) {
  SegmentBuilder segment, other;
  segment.family(tests::counter("a_total"));
  other.family(tests::counter("b_total"));
  Scraper scraper(segment.path());
  EXPECT_THAT(Scrape(scraper).text, HasSubstr("a_total 0\n"));
  std::memcpy(segment.base(), other.base(), segment.geometry().file_bytes());
  const Scrape after(scraper);
  EXPECT_EQ(after.text, "# HELP b_total Help.\n# TYPE b_total counter\nb_total 0\n") << after.status.problem;
}

TEST(Life, ADirectoryThatGotShorterIsReadAnew) {
  SegmentBuilder segment;
  segment.family(tests::counter("a_total"));
  segment.family(tests::counter("b_total"));
  Scraper scraper(segment.path());
  EXPECT_THAT(Scrape(scraper).text, HasSubstr("b_total 0\n"));
  segment.view().index(1).store_relaxed(0);
  EXPECT_EQ(Scrape(scraper).text, "# HELP a_total Help.\n# TYPE a_total counter\na_total 0\n");
}

TEST(Life, ATruncatedFileIsNotUpUntilItIsReplaced) {
  SegmentBuilder segment;
  segment.family(tests::counter("a_total"));
  Scraper scraper(segment.path());
  EXPECT_TRUE(Scrape(scraper).status.up);
  ASSERT_EQ(truncate(segment.path().c_str(), 8192), 0);
  const Scrape cut(scraper);
  EXPECT_FALSE(cut.status.up);
  EXPECT_EQ(cut.text, "");
  EXPECT_THAT(cut.status.problem, HasSubstr("truncated"));
  SegmentBuilder fresh;
  ASSERT_EQ(rename(fresh.path().c_str(), segment.path().c_str()), 0);
  EXPECT_TRUE(Scrape(scraper).status.up);
}

TEST(Life, TruncationBetweenMappingAndCopyIsSeenByTheGuard) {
  SegmentBuilder segment;
  const MappedSegment mapped(segment.path());
  std::vector<std::uint64_t> words(512);
  {
    const SigbusGuard guard = mapped.guard();
    mapped.copy(0, words);
    EXPECT_FALSE(guard.is_damaged());
    EXPECT_EQ(words[0], shm::kMagic);
  }
  ASSERT_EQ(truncate(segment.path().c_str(), 0), 0);
  const SigbusGuard guard = mapped.guard();
  mapped.copy(0, words);
  EXPECT_TRUE(guard.is_damaged());
  EXPECT_EQ(words[0], 0u);
}

TEST(Life, TruncationAtAnyMomentNeverKillsTheReaderNorSpoilsItsOutput) {
  SegmentBuilder segment;
  const auto family = segment.family(tests::counter("a_total", {"x"}));
  for (int i = 0; i < 200; ++i) segment.series(family, {std::to_string(i)});
  const std::vector<std::byte> image(segment.base(), segment.base() + segment.geometry().spill_cells());
  std::atomic<bool> done{false};
  std::atomic<bool> failed{false};
  std::thread villain([&] {
    const shm::Descriptor file(open(segment.path().c_str(), O_RDWR));
    while (!done && !failed) {
      failed = ftruncate(file.get(), 4096) != 0 || ftruncate(file.get(), segment.geometry().file_bytes()) != 0 ||
               pwrite(file.get(), image.data(), image.size(), 0) < 0;
    }
  });
  Scraper scraper(segment.path());
  int times_up = 0, times_down = 0;
  for (int i = 0; i < 3000; ++i) {
    const Scrape scrape(scraper);
    EXPECT_EQ(tests::TextChecker::problem(scrape.text), "");
    EXPECT_TRUE(scrape.status.up || scrape.text.empty());
    ++(scrape.status.up ? times_up : times_down);
  }
  done = true;
  villain.join();
  EXPECT_FALSE(failed);
  EXPECT_GT(times_up, 0) << "it was never whole when it was read";
  EXPECT_GT(times_down, 0) << "it was never cut when it was read";
}

TEST(Life, ABlockedSignalDoesNotDisarmTheGuard) {
  SegmentBuilder segment;
  const MappedSegment mapped(segment.path());
  sigset_t bus;
  sigemptyset(&bus);
  sigaddset(&bus, SIGBUS);
  pthread_sigmask(SIG_BLOCK, &bus, nullptr);
  ASSERT_EQ(truncate(segment.path().c_str(), 0), 0);
  std::uint64_t word = 1;
  const SigbusGuard guard = mapped.guard();
  mapped.copy(0, {&word, 1});
  EXPECT_TRUE(guard.is_damaged());
}

// A SIGBUS of somebody else is not ours to swallow.
TEST(Life, AFaultOutsideTheGuardedRangeStillKills) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGBUS, SIG_DFL);
    SegmentBuilder segment, other;
    const MappedSegment guarded(segment.path()), bare(other.path());
    const SigbusGuard guard = guarded.guard();
    if (truncate(other.path().c_str(), 0) != 0) _exit(1);
    std::uint64_t word = 0;
    unlink(segment.path().c_str());
    unlink(other.path().c_str());
    bare.copy(0, {&word, 1});
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) << status;
}

}  // namespace
}  // namespace shmetrics::collector
