#include "shm/segment.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>

#include "shm/lock_byte.hpp"
#include "tests/child_process.hpp"
#include "tests/forked.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace {
std::optional<long> file_system;  // what the kernel says that a file is on, when a test says so
}

extern "C" {
int __real_fstatfs(int fd, struct statfs* found);
int __wrap_fstatfs(int fd, struct statfs* found) {
  const int result = __real_fstatfs(fd, found);
  if (file_system) found->f_type = *file_system;
  return result;
}
}

namespace shmetrics::shm {
namespace {

using ::testing::HasSubstr;

class SegmentTest : public ::testing::Test {
 protected:
  SegmentTest() { options_.geometry = {4, 8, kGrowthCells, kPageBytes}; }

  OpenedSegment create() { return open_or_create(path_, options_); }
  void patch(std::uint64_t offset, std::uint64_t value) {
    const Descriptor file(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(pwrite(file.get(), &value, sizeof value, static_cast<off_t>(offset)), 8);
  }
  /// Fault and message of an attempt to open.
  template <typename Open>
  static std::pair<Fault, std::string> failure(Open open) {
    try {
      open();
    } catch (const Error& error) {
      return {error.fault(), error.what()};
    }
    return {Fault{}, "opened"};
  }
  std::pair<Fault, std::string> read_failure() {
    return failure([&] { open_for_reading(path_); });
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  CreationOptions options_;
};

TEST_F(SegmentTest, CreatedSegmentOpensForReaderAndWriter) {
  const OpenedSegment made = create();
  EXPECT_EQ(made.geometry, options_.geometry);
  EXPECT_TRUE(made.on_tmpfs);
  EXPECT_EQ(open_or_create(path_, options_).id, made.id);
  const OpenedSegment read = open_for_reading(path_);
  EXPECT_EQ(read.id, made.id);
  EXPECT_EQ(std::memcmp(&read.header, &made.header, sizeof(Header)), 0);
}

TEST_F(SegmentTest, NetworkAndFuseFileSystemsAreForCopiesToReadAndADiskIsNoted) {
  create();
  for (const long magic : {0x6969L, 0x65735546L, 0xff534d42L, 0xfe534d42L, 0x01021997L}) {  // NFS FUSE CIFS SMB2 9p
    file_system = magic;
    const auto [fault, said] = failure([&] { create(); });
    const auto [read_fault, said_to_reader] = read_failure();
    file_system.reset();
    EXPECT_EQ(fault, Fault::kRefused);
    EXPECT_THAT(said, HasSubstr("is on a network or FUSE file system: use tmpfs"));
    EXPECT_EQ(said_to_reader, "opened") << "a copy may be looked at";
  }
  file_system = 0xef53L;  // ext4
  const bool is_on_tmpfs = create().on_tmpfs;
  file_system.reset();
  EXPECT_FALSE(is_on_tmpfs);
}

TEST_F(SegmentTest, TheFilesGeometryWins) {
  create();
  options_.geometry.workers = 9;
  EXPECT_EQ(create().geometry.workers, 4u);
}

TEST_F(SegmentTest, AFreshSegmentIsSmall) {
  options_.geometry = {};
  create();
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(status.st_size), Geometry{}.file_bytes());
  EXPECT_LE(status.st_blocks * 512, 160 * 1024);
}

TEST_F(SegmentTest, ModeIsAsAskedWhateverTheUmask) {
  const mode_t before = umask(0777);
  options_.mode = 0640;
  create();
  umask(before);
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST_F(SegmentTest, OfManyCreatorsAllGetOneFile) {
  const tests::Baton go;
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(tests::forked([&] {
      go.receive();
      const OpenedSegment mine = create();
      return file_id(path_) == mine.id ? 0 : 1;
    }));
  }
  for (int i = 0; i < 8; ++i) go.pass();
  for (const pid_t child : children) EXPECT_EQ(tests::wait_for(child), 0);
}

TEST_F(SegmentTest, NothingIsNotReadyForAReader) {
  EXPECT_EQ(read_failure().first, Fault::kNotReady);
  std::ofstream(path_).close();
  EXPECT_EQ(read_failure().first, Fault::kNotReady);
}

TEST_F(SegmentTest, AnEmptyFileIsReplacedByAWriter) {
  std::ofstream(path_).close();
  const auto before = file_id(path_);
  EXPECT_NE(create().id, before);
  EXPECT_EQ(tests::leftovers_of(path_), 0u);
}

TEST_F(SegmentTest, NobodyStopsAReplacementByBeingFirstAtItsName) {
  std::ofstream(path_).close();
  const auto before = file_id(path_);
  for (const char* squatter : {".shmetrics-new", ".shmetrics-new-0x0000000000000001"}) {
    std::filesystem::create_directories(path_ + squatter + "/not empty");
  }
  EXPECT_NE(create().id, before);
}

TEST_F(SegmentTest, AReplacementRemovesWhatAKilledOneLeft) {
  std::ofstream(path_).close();
  std::ofstream(path_ + ".shmetrics-new-0x0000000000000001").close();
  create();
  EXPECT_EQ(tests::leftovers_of(path_), 0u);
}

TEST_F(SegmentTest, EveryUserHasADefaultPathOfItsOwn) {
  const auto path_of = [](uid_t user, const char* variable) {
    return tests::wait_for(tests::forked([=] {
      const uid_t self = geteuid();
      if (user != self && seteuid(user) != 0) return 2;
      variable == nullptr ? unsetenv(kPathVariable) : setenv(kPathVariable, variable, 1);
      const std::string of_user = "/dev/shm/shmetrics-" + std::to_string(user) + ".seg";
      const bool is_set = variable != nullptr && *variable != 0;
      const std::string path = default_path();
      if (seteuid(self) != 0) return 3;  // as another user it could not look for leaks at its end
      return path == (is_set ? variable : user == 0 ? "/dev/shm/shmetrics.seg" : of_user) ? 0 : 1;
    }));
  };
  for (const char* variable : {static_cast<const char*>(nullptr), "", "/run/app/a.seg"}) {
    EXPECT_EQ(path_of(geteuid(), variable), 0);
    if (geteuid() == 0) {
      EXPECT_EQ(path_of(12345, variable), 0);
    }
  }
}

TEST_F(SegmentTest, ASegmentOfAnotherBootIsReplacedOnlyWithoutLiveWorkers) {
  const OpenedSegment made = create();
  Header header = made.header;
  header.boot_id[0] ^= 1;
  const Descriptor file(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(pwrite(file.get(), &header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
  ASSERT_TRUE(try_lock(file.get(), claim_byte(2)));
  EXPECT_THROW(create(), Error);
  EXPECT_EQ(file_id(path_), made.id) << "never overwritten";
  unlock(file.get(), claim_byte(2));
  EXPECT_NE(create().id, made.id);
}

TEST_F(SegmentTest, AnOlderLayoutIsReplacedOnlyWithoutLiveWorkers) {
  const OpenedSegment made = create();
  patch(offsetof(Header, layout_version), 0);
  const Descriptor file(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(try_lock(file.get(), live_byte(0)));
  EXPECT_EQ(failure([&] { create(); }).first, Fault::kIncompatible);
  unlock(file.get(), live_byte(0));
  EXPECT_NE(create().id, made.id);
}

TEST_F(SegmentTest, ANewerLayoutIsRefusedWithBothVersions) {
  create();
  patch(offsetof(Header, layout_version), 7);
  for (const auto& [fault, message] : {read_failure(), failure([&] { create(); })}) {
    EXPECT_EQ(fault, Fault::kIncompatible);
    EXPECT_THAT(message, HasSubstr("version 7"));
    EXPECT_THAT(message, HasSubstr("version 2"));
  }
}

TEST_F(SegmentTest, EveryHeaderFieldIsCheckedAndNamed) {
  struct Case {
    std::uint64_t offset;
    Fault fault;
    const char* word;
  };
  for (const Case& field : {Case{offsetof(Header, magic), Fault::kIncompatible, "first bytes"},
                            Case{offsetof(Header, layout_version), Fault::kIncompatible, "layout version"},
                            Case{offsetof(Header, abi_fingerprint), Fault::kIncompatible, "fingerprint"},
                            Case{offsetof(Header, file_bytes), Fault::kIncompatible, "geometry"},
                            Case{offsetof(Header, directory_bytes), Fault::kIncompatible, "geometry"},
                            Case{offsetof(Header, workers), Fault::kIncompatible, "geometry"},
                            Case{offsetof(Header, cells), Fault::kIncompatible, "geometry"},
                            Case{offsetof(Header, checksum), Fault::kDamaged, "checksum"},
                            Case{offsetof(Header, created_unix_ns), Fault::kDamaged, "checksum"},
                            Case{offsetof(Header, reserved2), Fault::kDamaged, "checksum"}}) {
    std::filesystem::remove(path_);
    create();
    patch(field.offset, 0x123456789abc);
    const auto [fault, message] = read_failure();
    EXPECT_EQ(fault, field.fault) << message;
    EXPECT_THAT(message, HasSubstr(field.word));
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST_F(SegmentTest, ATruncatedSegmentIsDamagedWithBothSizes) {
  create();
  std::filesystem::resize_file(path_, 20480);
  const auto [fault, message] = read_failure();
  EXPECT_EQ(fault, Fault::kDamaged);
  EXPECT_THAT(message, HasSubstr("20480"));
  EXPECT_THAT(message, HasSubstr(std::to_string(options_.geometry.file_bytes())));
}

TEST_F(SegmentTest, WhatIsNoRegularFileIsRefusedAtOnce) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(read_failure().first, Fault::kRefused);
  EXPECT_EQ(failure([&] { create(); }).first, Fault::kRefused);
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_EQ(read_failure().first, Fault::kRefused);
  EXPECT_EQ(failure([&] { create(); }).first, Fault::kRefused);
  std::filesystem::remove(path_);
  std::filesystem::create_symlink(folder_.file("elsewhere"), path_);
  EXPECT_THAT(read_failure().second, HasSubstr("symbolic link"));
  EXPECT_EQ(failure([&] { create(); }).first, Fault::kRefused);
}

TEST_F(SegmentTest, AForeignOwnerIsRefusedByName) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  create();
  ASSERT_EQ(chown(path_.c_str(), 12345, static_cast<gid_t>(-1)), 0);
  const auto [fault, message] = failure([&] { create(); });
  EXPECT_EQ(fault, Fault::kRefused);
  EXPECT_THAT(message, HasSubstr("12345"));
  EXPECT_THAT(message, HasSubstr("SHMETRICS_SEGMENT"));
  EXPECT_NO_THROW(open_for_reading(path_)) << "a reader trusts no byte and needs no owner";
}

TEST_F(SegmentTest, AMissingFolderIsNamed) {
  path_ = folder_.file("no/such/a.seg");
  EXPECT_THAT(failure([&] { create(); }).second, HasSubstr(folder_.file("no/such")));
}

TEST_F(SegmentTest, AFolderThatTakesNoSegmentIsNamedWithWhatToDo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to be another user";
  path_ = "/proc/a.seg";
  EXPECT_THAT(failure([&] { create(); }).second, HasSubstr("/proc: Operation not supported; choose a path on tmpfs"));
  ASSERT_EQ(chmod(folder_.file(".").c_str(), 0755), 0);
  path_ = folder_.file("a.seg");
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              if (seteuid(65534) != 0) return 1;
              const auto [fault, message] = failure([&] { create(); });
              if (seteuid(0) != 0) return 1;  // LeakSanitizer looks at the end, as its own user alone
              EXPECT_THAT(message, HasSubstr("Permission denied; let this user write there"));
              return fault == Fault::kRefused && message.find("let this user") != message.npos ? 0 : 2;
            })),
            0);
}

TEST_F(SegmentTest, GeometryBeyondTheCapsIsAnArgumentError) {
  options_.geometry.workers = 5000;
  EXPECT_EQ(failure([&] { create(); }).first, Fault::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SegmentTest, AFileSizeLimitIsAnErrorAndNoSignal) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const rlimit small{4096, 4096};
              setrlimit(RLIMIT_FSIZE, &small);
              const auto [fault, message] = failure([&] { create(); });
              return fault == Fault::kFull && message.find("RLIMIT_FSIZE") != std::string::npos ? 0 : 1;
            })),
            0);
}

TEST_F(SegmentTest, FreshTakesThePathAndLeavesTheOldFileAlone) {
  const OpenedSegment old = create();
  const OpenedSegment fresh = open_or_create(path_, options_, true);
  EXPECT_NE(fresh.id, old.id);
  EXPECT_EQ(file_id(path_), fresh.id);
  EXPECT_EQ(file_id(old.file.get()), old.id);
}

TEST_F(SegmentTest, ReopenFindsTheSameFileOrNone) {
  const OpenedSegment made = create();
  EXPECT_TRUE(reopen(made.file.get(), path_.c_str(), made.id));
  EXPECT_TRUE(reopen(-1, path_.c_str(), made.id));
  const Descriptor other(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(reopen(other.get(), path_.c_str(), made.id)) << "the number is somebody else's now: by path";
  std::filesystem::remove(path_);
  EXPECT_FALSE(reopen(-1, path_.c_str(), made.id));
  EXPECT_TRUE(reopen(made.file.get(), path_.c_str(), made.id)) << "the file lives on without a name";
}

TEST_F(SegmentTest, KilledCreatorsLeaveNothing) {
  auto& steps = tests::shared<std::atomic<std::uint64_t>>();  // odd: within create()
  int killed_within = 0;
  for (int microseconds = 0; microseconds < 400; microseconds += 10) {
    const pid_t child = tests::forked([&] {
      for (;;) {
        std::filesystem::remove(path_);
        ++steps;
        create();
        ++steps;
      }
      return 0;
    });
    ASSERT_TRUE(tests::eventually([&] { return steps > 0; }));
    usleep(static_cast<useconds_t>(microseconds));
    EXPECT_EQ(tests::kill_and_wait(child), -SIGKILL);
    killed_within += static_cast<int>(steps.exchange(0) % 2);
    if (std::filesystem::exists(path_)) {
      EXPECT_NO_THROW(open_for_reading(path_));
    }
    std::filesystem::remove(path_);
    EXPECT_TRUE(std::filesystem::is_empty(std::filesystem::path(path_).parent_path()));
  }
  EXPECT_GT(killed_within, 4) << "of 40 kills";
}

}  // namespace
}  // namespace shmetrics::shm
