// Processes that cannot open the file any more: without a descriptor left, without privileges, in another root. They
// register as any other.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <string>

#include "tests/forked.hpp"
#include "tests/live_worker.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

class DescriptorTest : public ::testing::Test {
 protected:
  DescriptorTest() { options_.path = folder_.file("a.seg"); }
  Registry open() const { return Registry::open(options_); }

  static bool forbid_descriptors() {
    const rlimit none{0, 0};
    return setrlimit(RLIMIT_NOFILE, &none) == 0;
  }
  static void hold_the_entry(const Registry& registry) { registry.gauge("held", "H").set(1); }
  static bool drop_privileges() { return setgid(65534) == 0 && setuid(65534) == 0; }
  /// Enough for several pages of the index, of the heap and of a slot.
  static constexpr int kSets = 900;
  static bool register_and_count(const Registry& registry) {
    bool is_fine = true;
    for (int f = 0; f < 3; ++f) {
      const auto hits = registry.counter("f" + std::to_string(f) + "_total", "F", {"l"});
      is_fine = is_fine && !hits.error();
      for (int i = 0; i < kSets; ++i) hits.with("set " + std::to_string(i)).inc();
    }
    const auto seconds = registry.histogram("seconds", "S", {"l"});
    for (int i = 0; i < 20; ++i) seconds.with(std::to_string(i)).observe(1);
    const auto depth = registry.gauge("depth", "D", {"l"}, GaugeMode::mostrecent);
    for (int i = 0; i < 20; ++i) depth.with(std::to_string(i)).set(i + 1);
    return is_fine && !seconds.error() && !depth.error();
  }
  void expect_all(bool with_gauges = true) const {
    const tests::Scrape result = tests::scrape(options_.path);
    for (int f = 0; f < 3; ++f) {
      for (int i = 0; i < kSets; ++i) {
        ASSERT_EQ(result["f" + std::to_string(f) + "_total{l=\"set " + std::to_string(i) + "\"}"], 1);
      }
    }
    EXPECT_EQ(result["seconds_count{l=\"7\"}"], 1);
    EXPECT_EQ(result.has("depth{l=\"7\"}"), with_gauges);
    EXPECT_TRUE(result.status.series_overflow.empty());
    EXPECT_EQ(tests::count_of(result.status.updates_dropped, "no_entry"), with_gauges ? 0u : 20u);
    for (const auto& [reason, count] : result.status.declarations_refused) EXPECT_EQ(count, 0u) << reason;
  }

  tests::TemporaryFolder folder_;
  Options options_;
};

TEST_F(DescriptorTest, WithoutADescriptorLeftAProcessRegistersAsAnyOther) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const Registry registry = open();
              static_cast<void>(registry.counter("first_total", "claims the entry"));
              return forbid_descriptors() && register_and_count(registry) ? 0 : 1;
            })),
            0);
  expect_all();
}

TEST_F(DescriptorTest, WithItsDescriptorsClosedTooItStillRegisters) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const Registry registry = open();
              static_cast<void>(registry.counter("first_total", "claims the entry"));
              for (int fd = 0; fd < 256; ++fd) close(fd);
              return forbid_descriptors() && register_and_count(registry) ? 0 : 1;
            })),
            0);
  expect_all();
}

// The first declaration comes too late to open the file for an entry: only gauges need one.
TEST_F(DescriptorTest, WithoutADescriptorAndAnEntryOnlyGaugesAreDropped) {
  if (geteuid() == 0) {
    // A child of root has its entry from the fork on.
    options_.workers = 1;
  }
  const tests::LiveWorker holder(options_, hold_the_entry);
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              options_.quiet = true;
              const Registry registry = open();
              return forbid_descriptors() && register_and_count(registry) ? 0 : 1;
            })),
            0);
  expect_all(options_.workers != 1);
}

TEST_F(DescriptorTest, AChildThatHasDroppedItsPrivilegesRegistersAsAnyOther) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to drop privileges";
  const Registry registry = open();
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              if (!drop_privileges() || ::access(options_.path.c_str(), R_OK) == 0) return 1;
              if (!register_and_count(registry)) return 2;
              return Registry::open(options_) ? 0 : 3;
            })),
            0);
  expect_all();
}

TEST_F(DescriptorTest, AProcessThatDropsItsPrivilegesBeforeItsFirstDeclarationRegistersAsAnyOther) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to drop privileges";
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const Registry registry = open();
              return drop_privileges() && register_and_count(registry) ? 0 : 1;
            })),
            0);
  expect_all();
}

TEST_F(DescriptorTest, AProcessThatDroppedItsPrivilegesHasGaugesOnceAnEntryIsFree) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to drop privileges";
  options_.workers = 1;
  options_.quiet = true;
  const tests::Baton dropped, freed;
  tests::LiveWorker holder(options_, hold_the_entry);
  const pid_t late = tests::forked([&] {
    const Registry registry = open();
    if (!drop_privileges()) return 1;
    const Gauge depth = registry.gauge("depth", "D", {}, GaugeMode::mostrecent);
    depth.set(1);
    dropped.pass();
    freed.receive();
    usleep(1'100'000);  // what found no entry is not tried again for a second
    depth.set(2);
    return 0;
  });
  dropped.receive();
  holder.end();
  freed.pass();
  EXPECT_EQ(tests::wait_for(late), 0);
  EXPECT_EQ(tests::scrape(options_.path)["depth"], 2);
}

TEST_F(DescriptorTest, InAnotherRootAsNobodyAndWithoutDescriptorsItRegistersAsAnyOther) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to change the root";
  const std::string root = folder_.file("root");
  ASSERT_EQ(mkdir(root.c_str(), 0755), 0);
  const Registry registry = open();
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              if (chroot(root.c_str()) != 0 || chdir("/") != 0 || !drop_privileges()) return 1;
              for (int fd = 0; fd < 256; ++fd) close(fd);
              return forbid_descriptors() && register_and_count(registry) ? 0 : 2;
            })),
            0);
  expect_all();
}

TEST_F(DescriptorTest, WorkersOfAMasterThatDroppedItsPrivilegesRegisterToo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to drop privileges";
  options_.quiet = true;  // of gauges: its entry is the master's, and nobody of theirs can claim one
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const Registry registry = open();
              if (!drop_privileges()) return 1;
              const auto theirs = registry.counter("theirs_total", "T", {"worker"});
              for (int worker = 0; worker < 4; ++worker) {
                const pid_t child = fork();
                if (child != 0) {
                  if (tests::wait_for(child) != 0) return 2;
                  continue;
                }
                theirs.with(std::to_string(worker)).inc();
                _exit(worker > 0 || register_and_count(registry) ? 0 : 3);
              }
              return 0;
            })),
            0);
  const tests::Scrape result = tests::scrape(options_.path);
  for (int worker = 0; worker < 4; ++worker) {
    EXPECT_EQ(result["theirs_total{worker=\"" + std::to_string(worker) + "\"}"], 1);
  }
  EXPECT_TRUE(result.status.series_overflow.empty());
  EXPECT_EQ(result["f2_total{l=\"set 899\"}"], 1);
}

}  // namespace
}  // namespace shmetrics
