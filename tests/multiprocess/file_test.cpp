// The segment's file in other people's hands, before it is opened and while it is in use: what a worker and a reader
// make of it. The programs' side is tests/exporter/file_test.cpp.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <shmetrics/shmetrics.hpp>

#include <filesystem>
#include <string>

#include "collector/check.hpp"
#include "tests/file_states.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/small_tmpfs.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

using tests::FileState;
using tests::small_options;

/// A worker in a process of its own. It counts in "a_total" and its series once at its start, and once more whenever it
/// is told to.
class Worker {
 public:
  explicit Worker(const std::string& path) {
    pid_ = tests::forked([&] {
      signal(SIGBUS, SIG_DFL);  // a sanitizer has a handler of its own
      const Registry registry = Registry::open(small_options(path));
      const auto hits = registry.counter("a_total", "A", {"n"});
      const Gauge active = registry.gauge("active", "A");
      for (int n = 0;; ++n) {
        hits.with("all").inc();
        hits.with(std::to_string(n)).inc();
        active.set(n);
        done_.pass();
        go_.receive();
      }
      return 0;
    });
    done_.receive();
  }
  ~Worker() {
    if (pid_ > 0) tests::kill_and_wait(pid_);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void count() const {
    go_.pass();
    done_.receive();
  }
  /// Tells it to count; what it ends by.
  int count_and_end() {
    go_.pass();
    return tests::wait_for(std::exchange(pid_, -1));
  }

 private:
  tests::Baton go_, done_;
  pid_t pid_ = -1;
};

/// Opens, declares, updates. The error's message, or nothing.
std::string work(const std::string& path) {
  std::error_code error;
  const Registry registry = Registry::open(small_options(path), error);
  const auto hits = registry.counter("a_total", "A", {"n"});
  for (int i = 0; i < 100; ++i) hits.with(std::to_string(i)).inc();
  hits.with("0").inc(-1);
  registry.gauge("active", "A").set(1);
  registry.histogram("h", "H").observe(1);
  if (!error) error = hits.error();
  return error ? error.message() : "";
}

class FileTest : public ::testing::Test {
 protected:
  std::string worked(const std::string& path) const;

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

/// work() in a process of its own, which must end in order.
std::string FileTest::worked(const std::string& path) const {
  const std::string note = folder_.file("note");
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              std::ofstream(note) << work(path);
              return 0;
            })),
            0);
  std::string message;
  std::getline(std::ifstream(note), message, '\0');
  std::filesystem::remove(note);
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

std::string problem_of(const std::string& path) {
  return tests::scrape(path).status.problem;
}

TEST_F(FileTest, WhateverIsAtThePathAWorkerOpensItOrSaysWhatToDoAndLeavesItAlone) {
  for (const FileState& state : tests::file_states()) {
    SCOPED_TRACE(state.name);
    state.make(path_);
    const auto before = shm::file_id(path_);
    const std::string said = worked(path_);
    if (state.worker_says == nullptr) {
      EXPECT_EQ(said, "");
      EXPECT_EQ(tests::scrape(path_)["a_total{n=\"1\"}"], 1);
    } else {
      EXPECT_NE(said.find(state.worker_says), std::string::npos) << said;
      EXPECT_EQ(shm::file_id(path_), before);
    }
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".target");
  }
}

TEST_F(FileTest, WhateverIsAtThePathAReaderReadsItOrSaysWhatIsWrong) {
  for (const FileState& state : tests::file_states()) {
    SCOPED_TRACE(state.name);
    state.make(path_);
    const std::string said = problem_of(path_);
    EXPECT_EQ(said.empty(), state.reader_says == nullptr) << said;
    if (state.reader_says != nullptr) {
      EXPECT_NE(said.find(state.reader_says), std::string::npos) << said;
    }
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".target");
  }
}

TEST_F(FileTest, ADeviceIsRefused) {
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/tty"}) {
    EXPECT_NE(worked(device).find("not a regular file"), std::string::npos) << device;
    EXPECT_NE(problem_of(device).find("not a regular file"), std::string::npos) << device;
  }
}

TEST_F(FileTest, EveryLengthHasItsAnswer) {
  for (const std::uint64_t length : tests::telling_lengths()) {
    SCOPED_TRACE(length);
    tests::make_segment(path_);
    ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(length)), 0);
    const bool is_whole = length >= tests::kSmallGeometry.file_bytes();
    EXPECT_EQ(problem_of(path_).empty(), is_whole);
    EXPECT_EQ(collector::check_segment(path_).findings.empty(), is_whole);
    // What is empty, a worker replaces.
    EXPECT_EQ(worked(path_).empty(), is_whole || length == 0);
    std::filesystem::remove(path_);
  }
}

TEST_F(FileTest, WhateverTakesThePathWorkersGoOnInTheirFileAndAreServed) {
  for (const FileState& state : tests::file_states()) {
    SCOPED_TRACE(state.name);
    collector::Scraper scraper(path_);
    {
      const Worker worker(path_);
      ASSERT_EQ(tests::scrape(scraper)["a_total{n=\"all\"}"], 1);
      std::filesystem::remove(path_);
      state.make(path_);
      worker.count();
      const tests::Scrape result = tests::scrape(scraper);
      ASSERT_TRUE(result.status.up) << result.status.problem;
      if (state.reader_says == nullptr) {
        EXPECT_FALSE(result.has("a_total{n=\"all\"}")) << "the path names another segment: that one is served";
      } else {
        EXPECT_EQ(result["a_total{n=\"all\"}"], 2);
        EXPECT_EQ(result["a_total{n=\"1\"}"], 1) << "and they register more";
        EXPECT_TRUE(result.status.notice.find("was removed while in use") != std::string::npos ||
                    result.status.notice.find("is served while its workers live") != std::string::npos)
            << result.status.notice;
      }
    }
    EXPECT_EQ(tests::scrape(scraper).status.up, state.reader_says == nullptr)
        << "without workers the old file is let go";
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".target");
  }
}

TEST_F(FileTest, ANewWorkerMakesANewSegmentWhereOneWasRemoved) {
  collector::Scraper scraper(path_);
  const Worker old(path_);
  EXPECT_EQ(tests::scrape(scraper)["active"], 0);
  std::filesystem::remove(path_);
  EXPECT_EQ(tests::scrape(scraper)["active"], 0);
  const Worker young(path_);
  young.count();
  old.count();
  old.count();
  EXPECT_EQ(tests::scrape(scraper)["a_total{n=\"all\"}"], 2) << "the new one's alone";
  EXPECT_EQ(tests::scrape(scraper).status.notice, "");
}

TEST_F(FileTest, ASegmentHasOneLifeUnderAllItsNames) {
  const Worker worker(path_);
  const std::string other = folder_.file("b.seg");
  std::filesystem::create_hard_link(path_, other);
  EXPECT_EQ(worked(other), "");
  EXPECT_EQ(tests::scrape(path_)["a_total{n=\"0\"}"], 2);
  std::filesystem::remove(path_);
  worker.count();
  EXPECT_EQ(tests::scrape(other)["a_total{n=\"all\"}"], 2);
}

TEST_F(FileTest, OnAReadOnlyMountAWorkerIsToldAndAReaderReads) {
  const tests::SmallTmpfs disk;
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const std::string path = disk.file("a.seg");
  EXPECT_EQ(worked(path), "");
  ASSERT_TRUE(disk.remount_read_only());
  std::error_code error;
  for (const std::string& name : {path, disk.file("none.seg")}) {
    static_cast<void>(Registry::open(small_options(name), error));
    EXPECT_EQ(error, Errc::refused);
    EXPECT_NE(error.message().find("choose a path that can be written"), std::string::npos) << error.message();
  }
  EXPECT_EQ(tests::scrape(path)["a_total{n=\"1\"}"], 1);
  EXPECT_EQ(collector::check_segment(path).verdict, collector::CheckReport::Verdict::kSound);
}

TEST_F(FileTest, WithoutPermissionOwnerModeAndRemedyAreNamed) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT TESTED: needs root, to be two users";
  std::filesystem::permissions(folder_.file(""), std::filesystem::perms::all);
  const auto as_nobody = [&](auto act) {
    return tests::wait_for(tests::forked([&] {
      if (setgid(65534) != 0 || setuid(65534) != 0) return 1;
      return act();
    }));
  };
  EXPECT_EQ(worked(path_), "");
  EXPECT_EQ(as_nobody([&] {
              std::error_code error;
              static_cast<void>(Registry::open(small_options(path_), error));
              const std::string said = error.message() + problem_of(path_);
              for (const char* part : {"uid 0", "mode 0600", "uid 65534", "SHMETRICS_MODE and SHMETRICS_GROUP"}) {
                if (said.find(part) == std::string::npos) return 2;
              }
              return error == Errc::refused ? 0 : 3;
            }),
            0);
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  EXPECT_EQ(as_nobody([&] { return tests::scrape(path_)["a_total{n=\"1\"}"] == 1 ? 0 : 2; }), 0)
      << "a reader needs permission to read and nothing else";
}

// The one case that cannot be helped: a library installs no signal handler in somebody's process.
TEST_F(FileTest, TruncationUnderAWorkerIsSigbusThereAndAnErrorForTheNext) {
  Worker worker(path_);
  worker.count();
  ASSERT_EQ(truncate(path_.c_str(), 4096), 0);
  EXPECT_EQ(worker.count_and_end(), -SIGBUS);
  EXPECT_NE(problem_of(path_).find("was truncated"), std::string::npos);
  const std::string said = worked(path_);
  EXPECT_NE(said.find("was truncated"), std::string::npos) << said;
  EXPECT_NE(said.find("remove it"), std::string::npos) << said;
  std::filesystem::remove(path_);
  EXPECT_EQ(worked(path_), "");
}

TEST_F(FileTest, WhoHasNoPermissionCannotTruncatePunchOrReplace) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT TESTED: needs root, to be two users";
  ASSERT_EQ(chmod(folder_.file("").c_str(), 01777), 0) << "as /dev/shm";
  const Worker worker(path_);
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              if (setgid(65534) != 0 || setuid(65534) != 0) return 1;
              if (truncate(path_.c_str(), 0) == 0 || errno != EACCES) return 2;
              for (const int access : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC}) {
                if (open(path_.c_str(), access | O_CLOEXEC) >= 0 || errno != EACCES) return 3;
              }
              const std::string mine = folder_.file("mine");
              std::ofstream(mine) << 'x';
              if (rename(mine.c_str(), path_.c_str()) == 0 || unlink(path_.c_str()) == 0) return 4;
              std::filesystem::remove(mine);
              return 0;
            })),
            0);
  worker.count();
  EXPECT_EQ(tests::scrape(path_)["a_total{n=\"all\"}"], 2);
}

TEST_F(FileTest, AFileThatIsCutAndMadeLongerAgainCostsItsNumbersAndNobodysLife) {
  const Worker worker(path_);
  worker.count();
  // Between two updates: the pages come back as zeros, and so do the numbers.
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(tests::kSmallGeometry.thread_slot(0))), 0);
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(tests::kSmallGeometry.file_bytes())), 0);
  collector::Scraper scraper(path_);
  EXPECT_EQ(tests::scrape(scraper)["a_total{n=\"all\"}"], 0);
  worker.count();
  EXPECT_EQ(tests::scrape(scraper)["a_total{n=\"all\"}"], 1);
}

TEST_F(FileTest, HolesUnderAReaderAndAWorkerAreZerosAndNoSignal) {
  const shm::Geometry& shape = tests::kSmallGeometry;
  collector::Scraper scraper(path_);
  for (const auto& [offset, bytes] : {std::pair{shape.thread_slot(0), shape.slot_bytes()},
                                      {shape.process_slot(0), shape.slot_bytes()},
                                      {shape.spill_cells(), shape.slot_bytes()},
                                      {shape.slot_table(), std::uint64_t{shm::kPageBytes}},
                                      {shape.worker_table(), std::uint64_t{shm::kPageBytes}},
                                      {shape.directory(), shape.directory_bytes},
                                      {std::uint64_t{0}, std::uint64_t{shm::kPageBytes}},
                                      {std::uint64_t{0}, shape.file_bytes()}}) {
    SCOPED_TRACE(offset);
    {
      const Worker worker(path_);
      worker.count();
      EXPECT_TRUE(tests::scrape(scraper).status.up);
      tests::punch(path_, offset, bytes);
      tests::scrape(scraper);
      worker.count();
      worker.count();
      const tests::Scrape result = tests::scrape(scraper);
      EXPECT_EQ(result.status.up, offset != 0) << "only the header cannot be missed: " << result.status.problem;
      collector::check_segment(path_);
      worked(path_);
    }
    std::filesystem::remove(path_);
  }
}

// Where a touch would be SIGBUS: the room of the holes is taken by others.
TEST_F(FileTest, HolesInAFileOnAFullDiskAreAnErrorAtOpenAndNoSignal) {
  const tests::SmallTmpfs disk;
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const shm::Geometry& shape = tests::kSmallGeometry;
  const std::string path = disk.file("a.seg");
  for (const auto& [offset, bytes] : {std::pair{shape.worker_table(), std::uint64_t{shm::kPageBytes}},
                                      {shape.slot_table(), std::uint64_t{shm::kPageBytes}},
                                      {shape.directory(), std::uint64_t{shm::kPageBytes}},
                                      {shape.directory() + shm::kPageBytes, std::uint64_t{shm::kPageBytes}},
                                      {shape.spill_cells(), std::uint64_t{shm::kPageBytes}},
                                      {shape.spill_cells() + shm::kPageBytes, std::uint64_t{shm::kPageBytes}}}) {
    SCOPED_TRACE(offset);
    ASSERT_EQ(worked(path), "");
    tests::punch(path, offset, bytes);
    disk.fill();
    const std::uint64_t free = disk.free_bytes();
    EXPECT_NE(worked(path), "") << "there is no room for what it does";
    tests::scrape(path);
    EXPECT_EQ(disk.free_bytes(), free);
    disk.drain();
    std::filesystem::remove(path);
  }
}

}  // namespace
}  // namespace shmetrics
