// No room on the file system: declarations are refused and label sets share the overflow series while it lasts, and no
// longer.
#include <gmock/gmock.h>

#include "tests/client/refusing.hpp"
#include "tests/small_tmpfs.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using tests::comes_within_two_seconds;

class NoMemoryTest : public ::testing::Test {
 protected:
  NoMemoryTest() {
    if (!disk_.refusal().empty()) return;
    segment_.options.directory_bytes = 65536;
    segment_.options.cells = 65536;
    registry_ = segment_.open();
  }
  void SetUp() override {
    if (!disk_.refusal().empty()) GTEST_SKIP() << disk_.refusal();
    ASSERT_TRUE(registry_);
  }
  tests::SmallTmpfs disk_{4 << 20};
  tests::RefusingSegment segment_{disk_.file("a.seg")};
  Registry registry_;
};

TEST_F(NoMemoryTest, ADeclarationWithoutMemoryIsRefusedAndHealsWhenThereIsRoom) {
  disk_.fill();
  const auto hits = registry_.counter("a_total", "A", {"l"});
  EXPECT_EQ(hits.error(), Errc::full);
  EXPECT_THAT(hits.error().message(), AllOf(HasSubstr("free space"), HasSubstr(disk_.path())));
  EXPECT_EQ(segment_.refused("no_memory"), 1u);
  hits.with("v").inc();
  EXPECT_EQ(segment_.dropped("no_memory"), 1u);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  hits.with("v").inc();
  EXPECT_EQ(segment_.dropped("no_memory"), 2u) << "tried again in vain";
  disk_.drain();
  EXPECT_TRUE(comes_within_two_seconds([&] {
    hits.with("v").inc();
    return segment_.scrape().has("a_total{l=\"v\"}");
  }));
  EXPECT_EQ(segment_.refused("no_memory"), 1u);
}

TEST_F(NoMemoryTest, TheNextDeclarationTakesTheRoomAtOnce) {
  disk_.fill();
  EXPECT_TRUE(registry_.counter("a_total", "A").error());
  EXPECT_TRUE(registry_.gauge("g", "G").error());
  disk_.drain();
  registry_.counter("a_total", "A").inc();
  registry_.gauge("g", "G").set(2);
  EXPECT_EQ(segment_.scrape()["a_total"], 1);
  EXPECT_EQ(segment_.scrape()["g"], 2);
  EXPECT_EQ(segment_.refused("no_memory"), 2u);
}

TEST_F(NoMemoryTest, LabelSetsWithoutMemoryOverflowUntilThereIsRoomAgain) {
  const auto hits = registry_.counter("a_total", "A", {"l"});
  const auto depth = registry_.gauge("depth", "D", {"l"});
  hits.with("old").inc();
  depth.with("old").set(1);
  disk_.fill();
  // Registers until what has memory is used up: the pages that are open are taken with it.
  const std::string padding(1000, 'x');
  int registered = 0;
  while (registered < 60 && !segment_.scrape().has("a_total{l=\"__overflow__\"}")) {
    hits.with(padding + std::to_string(registered++)).inc();
  }
  EXPECT_EQ(tests::overflow_of(segment_.scrape().status, "a_total", "no_memory"), 1u);
  depth.with("new" + padding).set(1);
  EXPECT_EQ(segment_.dropped("no_memory"), 1u);
  hits.with("old").inc();
  EXPECT_EQ(segment_.scrape()["a_total{l=\"old\"}"], 2);
  disk_.drain();
  EXPECT_TRUE(comes_within_two_seconds([&] {
    hits.with("new").inc();
    return segment_.scrape().has("a_total{l=\"new\"}");
  }));
  EXPECT_EQ(tests::overflow_of(segment_.scrape().status, "a_total", "directory"), 0u);
}

}  // namespace
}  // namespace shmetrics
