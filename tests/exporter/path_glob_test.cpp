#include "exporter/scrape/path_glob.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/temporary_folder.hpp"

namespace shmetrics::exporter {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PathGlobTest : public ::testing::Test {
 protected:
  void make(const std::string& name) {
    std::filesystem::create_directories(std::filesystem::path(directory_.file(name)).parent_path());
    std::ofstream(directory_.file(name)) << "x";
  }
  /// Matches, without the directory that all share.
  std::vector<std::string> expand(const std::string& pattern) {
    std::vector<std::string> names;
    for (const std::string& path : expand_glob(directory_.file(pattern)).paths) {
      names.push_back(path.substr(directory_.file("").size()));
    }
    return names;
  }

  tests::TemporaryFolder directory_;
};

TEST_F(PathGlobTest, MatchesAreSortedByTheirBytes) {
  for (const char* name : {"b.seg", "a.seg", "B.seg", "a.txt", "c/d.seg", ".hidden.seg"}) make(name);
  EXPECT_THAT(expand("*.seg"), ElementsAre("B.seg", "a.seg", "b.seg"));
  EXPECT_THAT(expand("[ab].seg"), ElementsAre("a.seg", "b.seg"));
  EXPECT_THAT(expand("?.seg"), ElementsAre("B.seg", "a.seg", "b.seg"));
  EXPECT_THAT(expand(".h*"), ElementsAre(".hidden.seg"));
  EXPECT_THAT(expand("\\a.se?"), ElementsAre("a.seg"));
}

TEST_F(PathGlobTest, AWildcardMayBeAnyPartButDoesNotCrossASlash) {
  for (const char* name : {"a/m.seg", "b/m.seg", "b/n.seg", "c/d/m.seg", "file"}) make(name);
  EXPECT_THAT(expand("*/m.seg"), ElementsAre("a/m.seg", "b/m.seg"));
  EXPECT_THAT(expand("*/*.seg"), ElementsAre("a/m.seg", "b/m.seg", "b/n.seg"));
  EXPECT_THAT(expand("?//d/m.seg"), ElementsAre("c//d/m.seg"));
  EXPECT_THAT(expand("*/"), ElementsAre("a/", "b/", "c/"));
}

TEST_F(PathGlobTest, WhatIsNotThereOrCannotBeReadDoesNotMatch) {
  EXPECT_THAT(expand("*.seg"), IsEmpty());
  EXPECT_THAT(expand("nowhere/*.seg"), IsEmpty());
  EXPECT_THAT(expand("*/m.seg"), IsEmpty());
  EXPECT_THAT(expand_glob("").paths, ElementsAre());
  EXPECT_THAT(expand_glob("[").paths, IsEmpty());
}

TEST_F(PathGlobTest, ARelativePatternIsLookedForInTheWorkingDirectory) {
  make("x.seg");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.file(""));
  const GlobResult found = expand_glob("*.seg");
  std::filesystem::current_path(before);
  EXPECT_THAT(found.paths, ElementsAre("x.seg"));
}

TEST_F(PathGlobTest, TheWorkIsBoundedAndTheCutIsTold) {
  for (int i = 0; i < 20; ++i) make(std::to_string(i) + ".seg");
  const GlobResult all = expand_glob(directory_.file("*.seg"), 20);
  EXPECT_EQ(all.paths.size(), 20U);
  EXPECT_FALSE(all.is_cut);
  const GlobResult some = expand_glob(directory_.file("*.seg"), 10);
  EXPECT_LE(some.paths.size(), 10U);
  EXPECT_TRUE(some.is_cut);
}

}  // namespace
}  // namespace shmetrics::exporter
