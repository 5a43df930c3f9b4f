#include "exporter/scrape/segment_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "exporter/scrape/path_glob.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::exporter {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

/// Files in a folder, and what a set of segments makes of them: "name=path" each, the folder written as `~`.
class SegmentSetTest : public ::testing::Test {
 protected:
  void make(const std::string& name) {
    std::filesystem::create_directories(std::filesystem::path(folder_.file(name)).parent_path());
    std::ofstream(folder_.file(name)) << "no segment, but a file";
  }
  /// So that the file system tells files apart by age.
  static void wait_a_tick() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }
  void remove(const std::string& name) { std::filesystem::remove(folder_.file(name)); }

  /// `[NAME=]PATH` below the folder.
  SegmentSet follow(std::vector<std::string> texts, std::size_t most = kMaxSegments) {
    for (std::string& text : texts) {
      const std::size_t at = text.find('=') == text.npos ? 0 : text.find('=') + 1;
      text.insert(at, folder_.file(""));
    }
    return SegmentSet(parse_segments(texts), {}, most);
  }
  std::vector<std::string> look(SegmentSet& set) {
    CaptureStderr();
    set.refresh();
    log_ = GetCapturedStderr();
    std::vector<std::string> texts;
    for (FollowedSegment& segment : set.segments()) {
      texts.push_back(segment.scraper.segment() + "=~" + segment.scraper.path().substr(folder_.file("").size() - 1));
    }
    return texts;
  }

  tests::TemporaryFolder folder_;
  std::string log_;
};

// As after a restart of the exporter: nobody is followed yet.
TEST_F(SegmentSetTest, OfFilesOfOneNameTheOldestHasIt) {
  make("z/app.seg");
  wait_a_tick();
  make("a/app.seg");
  SegmentSet set = follow({"*/app.seg"});
  EXPECT_THAT(look(set), ElementsAre("app=~/z/app.seg"));
  EXPECT_THAT(log_, HasSubstr("a/app.seg"));
  EXPECT_THAT(log_, HasSubstr("z/app.seg has its name"));
}

TEST_F(SegmentSetTest, FixedSegmentsAreFollowedInTheirOrderWhetherTheyAreThereOrNot) {
  make("b.seg");
  SegmentSet set = follow({"b.seg", "x=a.seg"});
  EXPECT_THAT(look(set), ElementsAre("b=~/b.seg", "x=~/a.seg"));
  SegmentSet alone = follow({"a.seg"});
  EXPECT_THAT(look(alone), ElementsAre("=~/a.seg"));
  EXPECT_EQ(log_, "");
}

TEST_F(SegmentSetTest, AGlobFollowsTheFilesThatAreThere) {
  SegmentSet set = follow({"*.seg"});
  EXPECT_THAT(look(set), ElementsAre());
  EXPECT_THAT(log_, HasSubstr("no file matches yet"));
  make("b.seg");
  EXPECT_THAT(look(set), ElementsAre("b=~/b.seg"));
  const FollowedSegment* kept = &set.segments().front();
  make("a.seg");
  EXPECT_THAT(look(set), ElementsAre("a=~/a.seg", "b=~/b.seg"));
  EXPECT_EQ(&set.segments().back(), kept);  // what is mapped stays mapped
  remove("a.seg");
  EXPECT_THAT(look(set), ElementsAre("b=~/b.seg"));
  EXPECT_THAT(log_, HasSubstr("level=info msg=\"the segment is gone\" segment=a path=" + folder_.file("a.seg")));
  EXPECT_EQ(&set.segments().front(), kept);
}

TEST_F(SegmentSetTest, AReplacedFileIsTheSameSegment) {
  make("a.seg");
  SegmentSet set = follow({"*.seg"});
  look(set);
  const FollowedSegment* kept = &set.segments().front();
  make("new");
  std::filesystem::rename(folder_.file("new"), folder_.file("a.seg"));
  EXPECT_THAT(look(set), ElementsAre("a=~/a.seg"));
  EXPECT_EQ(&set.segments().front(), kept);
  EXPECT_EQ(log_, "");
}

TEST_F(SegmentSetTest, OfFilesWithOneNameTheOldestIsFollowedAndTheOthersAreToldOnce) {
  make("b/metrics.seg");
  wait_a_tick();
  make("a/metrics.seg");
  make("c/metrics.seg");
  SegmentSet set = follow({"*/metrics.seg"});
  EXPECT_THAT(look(set), ElementsAre("metrics=~/b/metrics.seg"));
  EXPECT_THAT(log_, HasSubstr("level=warn msg=\"a segment is left out\" segment=metrics path=" +
                              folder_.file("a/metrics.seg") + " problem=\"" + folder_.file("b/metrics.seg") +
                              " has its name: give each file one with --segment NAME=PATH\""));
  EXPECT_EQ(std::count(log_.begin(), log_.end(), '\n'), 1);
  look(set);
  EXPECT_EQ(log_, "");
}

TEST_F(SegmentSetTest, ANameDoesNotChangeHandsWhileItsHolderIsThere) {
  make("b/metrics.seg");
  SegmentSet set = follow({"*/metrics.seg"});
  look(set);
  make("a/metrics.seg");
  EXPECT_THAT(look(set), ElementsAre("metrics=~/b/metrics.seg"));
  remove("b/metrics.seg");
  EXPECT_THAT(look(set), ElementsAre("metrics=~/a/metrics.seg"));
}

TEST_F(SegmentSetTest, AFixedSegmentIsNotFollowedAgainAsAMatch) {
  make("a/metrics.seg");
  make("b/metrics.seg");
  std::filesystem::create_directory_symlink(folder_.file("a"), folder_.file("link"));
  SegmentSet set = follow({"*/metrics.seg", "a=a/metrics.seg"});
  EXPECT_THAT(look(set), ElementsAre("metrics=~/b/metrics.seg", "a=~/a/metrics.seg"));
  EXPECT_EQ(log_, "");
}

TEST_F(SegmentSetTest, AFixedSegmentHasItsNameBeforeAnyMatch) {
  make("a.seg");
  make("b.seg");
  SegmentSet set = follow({"*.seg", "a=elsewhere"});
  EXPECT_THAT(look(set), ElementsAre("b=~/b.seg", "a=~/elsewhere"));
  EXPECT_THAT(log_, HasSubstr("a segment is left out"));
}

TEST_F(SegmentSetTest, AFileThatTwoPatternsMatchIsFollowedOnce) {
  make("a.seg");
  make("b.seg");
  std::filesystem::create_hard_link(folder_.file("a.seg"), folder_.file("c.seg"));
  SegmentSet set = follow({"b*", "*.seg"});
  EXPECT_THAT(look(set), ElementsAre("b=~/b.seg", "a=~/a.seg"));
  EXPECT_EQ(log_, "");
}

TEST_F(SegmentSetTest, WhatIsNoRegularFileDoesNotMatch) {
  make("a.seg");
  std::filesystem::create_directory(folder_.file("b.seg"));
  std::filesystem::create_symlink(folder_.file("a.seg"), folder_.file("0.seg"));
  ASSERT_EQ(mkfifo(folder_.file("d.seg").c_str(), 0600), 0);
  SegmentSet set = follow({"*.seg"});
  EXPECT_THAT(look(set), ElementsAre("a=~/a.seg"));
}

TEST_F(SegmentSetTest, AFileWhoseNameIsNoLabelValueIsLeftOutAndToldOnce) {
  make("a\xff.seg");
  SegmentSet set = follow({"*.seg"});
  EXPECT_THAT(look(set), ElementsAre());
  EXPECT_THAT(log_, HasSubstr("cannot be a label value"));
  look(set);
  EXPECT_EQ(log_, "");
}

TEST_F(SegmentSetTest, OfARemovedFileWhoseWorkersLiveNothingIsKept) {
  tests::SegmentBuilder segment;
  const auto family = segment.family(tests::counter("a_total", {"x"}));
  for (int i = 0; i < 100; ++i) segment.series(family, {std::to_string(i)});
  const shm::Descriptor worker = segment.live(0);
  SegmentSet set(parse_segments({segment.path().substr(0, segment.path().size() - 1) + "?"}));
  set.refresh();
  collector::Scraper& scraper = set.segments().front().scraper;
  ASSERT_TRUE(scraper.read().up);
  const std::uint64_t held = scraper.held_bytes();
  ASSERT_EQ(unlink(segment.path().c_str()), 0);
  set.refresh();
  ASSERT_EQ(set.segments().size(), 1U);
  EXPECT_TRUE(set.segments().front().is_removed);
  EXPECT_LT(scraper.held_bytes(), held / 10);
}

TEST_F(SegmentSetTest, NoMoreThanTheLimitAreFollowedAndThoseThatAreStay) {
  for (const char* name : {"b.seg", "c.seg", "d.seg"}) make(name);
  SegmentSet set = follow({"*.seg", "fixed=f"}, 3);
  EXPECT_THAT(look(set), ElementsAre("b=~/b.seg", "c=~/c.seg", "fixed=~/f"));
  EXPECT_THAT(log_, HasSubstr("too many files match\" left_out=1 limit=3"));
  wait_a_tick();
  make("a.seg");
  EXPECT_THAT(look(set), ElementsAre("b=~/b.seg", "c=~/c.seg", "fixed=~/f"));
  EXPECT_EQ(log_, "");
  remove("b.seg");
  EXPECT_THAT(look(set), ElementsAre("c=~/c.seg", "d=~/d.seg", "fixed=~/f")) << "the oldest of those that waited";
}

TEST_F(SegmentSetTest, WhoeverFillsTheDirectoryPushesOutNobodyWhoWasThere) {
  for (char letter = 'a'; letter <= 'p'; ++letter) make(std::string(1, letter) + ".seg");
  SegmentSet set = follow({"*.seg", "fixed=a.seg"});
  const std::vector<std::string> before = look(set);
  EXPECT_EQ(before.size(), 16U);
  for (std::size_t i = 0; i < 2 * kMaxGlobEntries; ++i) make("litter-" + std::to_string(i));
  EXPECT_EQ(look(set), before);
  EXPECT_THAT(log_, HasSubstr("a glob looks at too many directory entries"));
  remove("c.seg");
  EXPECT_EQ(look(set).size(), 15U);
}

}  // namespace
}  // namespace shmetrics::exporter
