// Mode and group of a new file: of Options, then of the environment, then the default; and how the default registry
// comes to its segment.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "client/control_lock.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {
std::size_t bytes_of_a_group = 0;  // as many as the system's group file would need
}

extern "C" {
int __real_getgrnam_r(const char* name, group* entry, char* room, size_t bytes, group** found);
int __wrap_getgrnam_r(const char* name, group* entry, char* room, size_t bytes, group** found) {
  *found = nullptr;
  return bytes < bytes_of_a_group ? ERANGE : __real_getgrnam_r(name, entry, room, bytes, found);
}
}

namespace shmetrics {
namespace {

using ::testing::HasSubstr;

class CreationTest : public ::testing::Test {
 protected:
  CreationTest() { clear_environment(); }
  ~CreationTest() override { clear_environment(); }
  static void clear_environment() {
    for (const char* const name : {"SHMETRICS_MODE", "SHMETRICS_GROUP", "SHMETRICS_SEGMENT"}) unsetenv(name);
  }
  /// A file that a process of its own makes by these options; its mode and group.
  struct stat created(Options options = {}) {
    options.path = folder_.file(std::to_string(++files_) + ".seg");
    EXPECT_EQ(tests::wait_for(tests::forked([&] {
                static_cast<void>(Registry::open(options));
                return 0;
              })),
              0);
    struct stat status {};
    EXPECT_EQ(stat(options.path.c_str(), &status), 0);
    return status;
  }
  mode_t mode_of(const Options& options = {}) { return created(options).st_mode & 07777; }
  gid_t group_of(const Options& options = {}) { return created(options).st_gid; }
  static Options with_mode(std::uint32_t mode) {
    Options options;
    options.mode = mode;
    return options;
  }
  static Options with_group(std::uint32_t group) {
    Options options;
    options.group = group;
    return options;
  }
  /// The message of an open that makes no file.
  std::string refusal() {
    Options options;
    options.path = folder_.file("refused.seg");
    std::error_code error;
    EXPECT_FALSE(Registry::open(options, error));
    EXPECT_EQ(error, Errc::invalid_argument) << error.message();
    EXPECT_FALSE(std::filesystem::exists(options.path));
    return error.message();
  }

  tests::TemporaryFolder folder_;
  int files_ = 0;
};

TEST_F(CreationTest, TheModeIsTheOptionsThenTheEnvironmentsThen0600) {
  const mode_t before = umask(0077);
  EXPECT_EQ(mode_of(), 0600u);
  setenv("SHMETRICS_MODE", "0660", 1);
  EXPECT_EQ(mode_of(), 0660u) << "whatever the umask";
  setenv("SHMETRICS_MODE", "640", 1);
  EXPECT_EQ(mode_of(), 0640u) << "octal, also without the 0";
  EXPECT_EQ(mode_of(with_mode(0666)), 0666u) << "code wins";
  setenv("SHMETRICS_MODE", "", 1);
  EXPECT_EQ(mode_of(), 0600u) << "empty is not set";
  umask(before);
}

TEST_F(CreationTest, AModeThatIsNoneIsRefusedByNameAndMakesNoFile) {
  for (const char* const wrong : {"rw-rw----", "0x1b0", "0980", "01777", "0", "-1", " 0660", "0660 ", "06 60"}) {
    setenv("SHMETRICS_MODE", wrong, 1);
    const std::string message = refusal();
    EXPECT_THAT(message, HasSubstr(std::string("SHMETRICS_MODE=") + wrong));
    EXPECT_THAT(message, HasSubstr("octal"));
    EXPECT_EQ(mode_of(with_mode(0640)), 0640u) << "what code says is not asked of the environment";
  }
}

TEST_F(CreationTest, TheGroupIsTheOptionsThenTheEnvironmentsByNumberOrName) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  const group* const named = getgrgid(65534);
  ASSERT_NE(named, nullptr);
  const std::string name = named->gr_name;
  EXPECT_EQ(group_of(), getegid());
  setenv("SHMETRICS_GROUP", name.c_str(), 1);
  EXPECT_EQ(group_of(), 65534u);
  setenv("SHMETRICS_GROUP", "4711", 1);
  EXPECT_EQ(group_of(), 4711u) << "a number that nobody has named";
  EXPECT_EQ(group_of(with_group(65534)), 65534u) << "code wins";
  setenv("SHMETRICS_GROUP", "", 1);
  EXPECT_EQ(group_of(), getegid()) << "empty is not set";
}

TEST_F(CreationTest, AGroupMayHaveAnyNumberOfMembers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  bytes_of_a_group = 200'000;
  setenv("SHMETRICS_GROUP", getgrgid(65534)->gr_name, 1);
  EXPECT_EQ(group_of(), 65534u);
}

TEST_F(CreationTest, AnOwnGroupNeedsNoPrivilege) {
  setenv("SHMETRICS_GROUP", std::to_string(getegid()).c_str(), 1);
  EXPECT_EQ(group_of(), getegid());
}

TEST_F(CreationTest, AGroupThatIsNoneIsRefusedByNameAndMakesNoFile) {
  for (const char* const wrong : {"no-such-group-here", "-1", "4294967296", "0x10", " root"}) {
    setenv("SHMETRICS_GROUP", wrong, 1);
    EXPECT_THAT(refusal(), HasSubstr(std::string("SHMETRICS_GROUP=") + wrong + " is not a group"));
  }
  EXPECT_EQ(group_of(with_group(getegid())), getegid()) << "what code says is not asked of the environment";
}

TEST_F(CreationTest, AFileOfAnotherUserIsTakenThroughTheGroupThatTheEnvironmentNames) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to be another user";
  const std::string path = folder_.file("shared.seg");
  ASSERT_EQ(chmod(std::filesystem::path(path).parent_path().c_str(), 0777), 0);
  setenv("SHMETRICS_SEGMENT", path.c_str(), 1);
  setenv("SHMETRICS_MODE", "0660", 1);
  setenv("SHMETRICS_GROUP", "4711", 1);
  const auto count_as = [&](uid_t user) {
    return tests::wait_for(tests::forked([&] {
      if (setgroups(0, nullptr) != 0 || setgid(4711) != 0 || setuid(user) != 0) return 1;
      std::error_code error;
      const Registry registry = Registry::open({}, error);
      if (error) return error == Errc::refused ? 2 : 3;
      registry.counter("a_total", "A").inc();
      return 0;
    }));
  };
  EXPECT_EQ(count_as(5001), 0);
  EXPECT_EQ(count_as(5002), 0);
  EXPECT_EQ(tests::scrape(path)["a_total"], 2);
  unsetenv("SHMETRICS_GROUP");
  EXPECT_EQ(count_as(5002), 2) << "a file of somebody else";
}

/// Runs in processes of their own: a process has one default registry.
template <typename Act>
int in_a_process(Act act) {
  return tests::wait_for(tests::forked(act));
}

// One thread waits in vain for the control lock while another gets it: whichever ends last, the success stays.
TEST_F(CreationTest, TheFailureOfOneThreadDoesNotUndoTheDefaultRegistryOfAnother) {
  for (int round = 0; round < 10; ++round) {
    const std::string path = folder_.file("default" + std::to_string(round) + ".seg");
    setenv("SHMETRICS_SEGMENT", path.c_str(), 1);
    EXPECT_EQ(in_a_process([&] {
                detail::control_lock.try_lock();
                std::atomic<int> opened{0};
                const auto ask = [&] { opened += default_registry() ? 1 : 0; };
                std::thread first(ask);
                std::this_thread::sleep_for(std::chrono::milliseconds(60));
                std::thread second(ask);
                std::this_thread::sleep_for(std::chrono::milliseconds(36 + round));
                detail::control_lock.unlock();
                first.join();
                second.join();
                const bool works = static_cast<bool>(default_registry());
                default_registry().counter("a_total", "A").inc();
                return works == (opened > 0) ? 0 : 1;
              }),
              0);
  }
}

TEST_F(CreationTest, OnceAnyThreadHasTheDefaultRegistryAllHaveIt) {
  const std::string folder = folder_.file("later");
  setenv("SHMETRICS_SEGMENT", (folder + "/a.seg").c_str(), 1);
  EXPECT_EQ(in_a_process([&] {
              std::atomic<bool> stop{false}, works{false};
              std::atomic<int> lost{0};
              std::vector<std::thread> threads;
              for (int t = 0; t < 4; ++t) {
                threads.emplace_back([&] {
                  while (!stop) {
                    const bool had_worked = works;
                    const bool has = static_cast<bool>(default_registry());
                    if (had_worked && !has) ++lost;
                    if (has) works = true;
                  }
                });
              }
              std::this_thread::sleep_for(std::chrono::milliseconds(20));
              std::filesystem::create_directory(folder);
              for (int i = 0; i < 300 && !works; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
              std::this_thread::sleep_for(std::chrono::milliseconds(20));
              stop = true;
              for (std::thread& thread : threads) thread.join();
              return !works ? 1 : lost > 0 ? 2 : 0;
            }),
            0);
}

}  // namespace
}  // namespace shmetrics
