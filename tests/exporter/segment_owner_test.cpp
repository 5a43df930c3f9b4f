#include "exporter/scrape/segment_owner.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "tests/temporary_folder.hpp"

namespace shmetrics::exporter {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kStranger = 12001;
constexpr gid_t kStrangers = 12002;

class SegmentOwnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
    std::ofstream(path_) << "a file";
    ASSERT_EQ(chmod(folder_.file("").c_str(), 0777), 0);
  }
  void belongs_to(uid_t user, gid_t group) { ASSERT_EQ(chown(path_.c_str(), user, group), 0); }
  std::string refusal(const SegmentOwners& owners = {}) const {
    const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    const std::string reason = owners.refusal(file, path_);
    close(file);
    return reason;
  }
  /// The same, asked by a process of this user.
  bool is_believed_by(uid_t user) const {
    const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(seteuid(user), 0);
    const bool is_believed = SegmentOwners{}.refusal(file, path_).empty();
    EXPECT_EQ(seteuid(0), 0);
    close(file);
    return is_believed;
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

TEST_F(SegmentOwnerTest, FilesOfRootAndOfItsOwnUserAreBelieved) {
  belongs_to(0, kStrangers);
  EXPECT_EQ(refusal(), "");
  EXPECT_TRUE(is_believed_by(kStranger));
  belongs_to(kStranger, kStrangers);
  EXPECT_TRUE(is_believed_by(kStranger));
  EXPECT_FALSE(is_believed_by(kStranger + 1));
}

TEST_F(SegmentOwnerTest, AStrangersFileIsRefusedByNameAndNumberOfWhatWouldAllowIt) {
  belongs_to(kStranger, kStrangers);
  EXPECT_THAT(refusal(), HasSubstr(path_ + " belongs to user 12001 and group 12002"));
  EXPECT_THAT(refusal(), HasSubstr("--segment.owner=12001"));
  EXPECT_THAT(refusal(), HasSubstr("--segment.group=12002"));
}

TEST_F(SegmentOwnerTest, OwnersAndGroupsThatAreNamedAreBelieved) {
  belongs_to(kStranger, kStrangers);
  EXPECT_EQ(refusal({.users = {5, kStranger}, .groups = {}}), "");
  EXPECT_EQ(refusal({.users = {}, .groups = {5, kStrangers}}), "");
  EXPECT_NE(refusal({.users = {kStrangers}, .groups = {kStranger}}), "");
}

TEST_F(SegmentOwnerTest, TheOwnerOfAFolderIsBelievedWhereNobodyElseMayWriteThere) {
  belongs_to(kStranger, kStrangers);
  const std::string folder = folder_.file("");
  ASSERT_EQ(chown(folder.c_str(), kStranger, kStrangers), 0);
  for (const auto& [mode, is_believed] : {std::pair{0755, true}, {0700, true}, {0775, false}, {01777, false}}) {
    ASSERT_EQ(chmod(folder.c_str(), static_cast<mode_t>(mode)), 0);
    EXPECT_EQ(refusal().empty(), is_believed) << std::oct << mode;
  }
  ASSERT_EQ(chmod(folder.c_str(), 0755), 0);
  belongs_to(kStranger + 1, kStrangers);
  EXPECT_NE(refusal(), "") << "it is the folder's owner who is believed";
}

TEST_F(SegmentOwnerTest, WhoStandsForTheUsersOutsideIsBelievedOnlyByName) {
  belongs_to(kStranger, kStrangers);
  const std::string folder = folder_.file("");
  ASSERT_EQ(chown(folder.c_str(), kStranger, kStrangers), 0);
  ASSERT_EQ(chmod(folder.c_str(), 0755), 0);
  EXPECT_EQ(refusal({.users = {}, .groups = {}, .stands_for_others = kStranger + 1}), "");
  EXPECT_THAT(refusal({.users = {}, .groups = {}, .stands_for_others = kStranger}),
              HasSubstr("does not know: pass --segment.owner=12001"))
      << "to be that user would not help";
  EXPECT_EQ(refusal({.users = {kStranger}, .groups = {}, .stands_for_others = kStranger}), "");
  belongs_to(0, kStrangers);
  EXPECT_NE(refusal({.users = {}, .groups = {}, .stands_for_others = 0}), "") << "also if it were ourselves";
}

TEST(SegmentOwner, UsersAndGroupsAreNamesOrNumbers) {
  EXPECT_EQ(parse_user("root"), 0u);
  EXPECT_EQ(parse_group("root"), 0u);
  EXPECT_EQ(parse_user("12001"), kStranger);
  EXPECT_EQ(parse_group("12002"), kStrangers);
  for (const char* wrong : {"", "no-such-name", "-1", "12001x", "4294967296"}) {
    EXPECT_THROW(parse_user(wrong), std::invalid_argument) << wrong;
    EXPECT_THROW(parse_group(wrong), std::invalid_argument) << wrong;
  }
}

}  // namespace
}  // namespace shmetrics::exporter
