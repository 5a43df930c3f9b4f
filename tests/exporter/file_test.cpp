// The real exporter over HTTP, and the real `shmetrics`, on whatever can be where a segment should be: before they
// start and while they read. A scrape is 200 and well-formed at all times; a tool answers in one line and by its code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <thread>

#include "tests/child_process.hpp"
#include "tests/exporter/well_formed.hpp"
#include "tests/file_states.hpp"
#include "tests/forked.hpp"
#include "tests/live_worker.hpp"
#include "tests/running_exporter.hpp"
#include "tests/small_tmpfs.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using std::literals::operator""sv;

class Worker : public LiveWorker {
 public:
  explicit Worker(const std::string& path)
      : LiveWorker(small_options(path), [](const Registry& registry) {
          registry.counter("crm_things_total", "Things done").inc(3);
          registry.histogram("crm_seconds", "Times", {"kind"}).with("a").observe(1);
          registry.gauge("crm_depth", "Depth").set(1);
        }) {}
};

constexpr const char* kUp = "\nshmetrics_segment_up 1\n";
constexpr const char* kDown = "\nshmetrics_segment_up 0\n";
constexpr const char* kThings = "\ncrm_things_total 3\n";

/// Runs `shmetrics` and expects this code, and one line on stderr if it is not 0 and no finding went to stdout.
void expect_tool(const std::vector<std::string>& arguments, int code) {
  std::vector<std::string> command{SHMETRICS_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.code, code) << arguments[0] << ": " << outcome.error;
  const auto lines = std::count(outcome.error.begin(), outcome.error.end(), '\n');
  EXPECT_LE(lines, 1) << outcome.error;
  EXPECT_TRUE(code == 0 || lines == 1 || !outcome.out.empty()) << arguments[0] << " says nothing";
}

void expect_tools(const std::string& path, const FileState& state) {
  const int readable = state.reader_says == nullptr ? 0 : 1;
  expect_tool({"check", path}, state.check_code);
  expect_tool({"dump", path}, readable);
  expect_tool({"dump", "--format", "json", path}, readable);
  expect_tool({"top", "--once", "--interval", "10ms", path}, readable);
  expect_tool({"diff", path, path}, readable == 0 ? 0 : 2);
}

class FilePrograms : public ::testing::Test {
 protected:
  void clear() const {
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".target");
  }
  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

TEST_F(FilePrograms, WhateverIsAtThePathTheExporterServesAndSaysWhatIsWrong) {
  for (const FileState& state : file_states()) {
    SCOPED_TRACE(state.name);
    state.make(path_);
    RunningExporter exporter({.segment = path_});
    EXPECT_THAT(well_formed_text(exporter), HasSubstr(state.reader_says == nullptr ? kUp : kDown));
    if (state.reader_says != nullptr) {
      EXPECT_TRUE(exporter.child().says(state.reader_says)) << exporter.child().err();
    }
    clear();
    const Worker worker(path_);
    EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings)) << "and a segment is served as soon as there is one";
    clear();
  }
}

TEST_F(FilePrograms, WhateverIsAtThePathTheToolsAnswerByTheirCodes) {
  for (const FileState& state : file_states()) {
    SCOPED_TRACE(state.name);
    state.make(path_);
    expect_tools(path_, state);
    clear();
  }
  for (const char* device : {"/dev/null", "/dev/zero"}) {
    expect_tool({"check", device}, 2);
    expect_tool({"dump", device}, 1);
  }
}

TEST_F(FilePrograms, EveryLengthHasItsAnswer) {
  RunningExporter exporter({.segment = path_});
  for (const std::uint64_t length : telling_lengths()) {
    SCOPED_TRACE(length);
    make_segment(path_);
    ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(length)), 0);
    const bool is_whole = length >= kSmallGeometry.file_bytes();
    EXPECT_THAT(well_formed_text(exporter), HasSubstr(is_whole ? kUp : kDown));
    expect_tool({"check", path_}, is_whole ? 0 : length < 8 ? 2 : 1);
    expect_tool({"dump", path_}, is_whole ? 0 : 1);
    clear();
  }
}

TEST_F(FilePrograms, WhateverTakesThePathInUseLiveWorkersAreServedOnUntilTheyAreGone) {
  for (const FileState& state : file_states()) {
    SCOPED_TRACE(state.name);
    RunningExporter exporter({.segment = path_});
    {
      const Worker worker(path_);
      EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
      clear();
      state.make(path_);
      if (state.reader_says == nullptr) {
        EXPECT_THAT(well_formed_text(exporter), Not(HasSubstr("crm_"))) << "the path names another segment";
      } else {
        EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
        EXPECT_TRUE(exporter.child().says("the segment is up, but")) << exporter.child().err();
        const bool is_gone = state.name == "nothing"sv || state.name == "no bytes"sv;
        EXPECT_TRUE(exporter.child().says(is_gone ? "was removed while in use"
                                                  : "what was open before is served while its workers live"));
      }
    }
    if (state.reader_says != nullptr) {
      EXPECT_THAT(well_formed_text(exporter), HasSubstr(kDown));
      EXPECT_TRUE(exporter.child().says("the segment is not up"));
    }
    clear();
  }
}

TEST_F(FilePrograms, ARemovedSegmentIsServedUntilANewOneIsThere) {
  RunningExporter exporter({.segment = path_});
  const Worker old(path_);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
  clear();
  EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
  EXPECT_TRUE(exporter.child().says("restart the application, with the master that forks the workers"));
  const Worker young(path_);
  const std::string text = well_formed_text(exporter);
  EXPECT_THAT(text, HasSubstr(kThings));
  EXPECT_THAT(text, HasSubstr("shmetrics_workers{state=\"live\"} 1\n")) << "of the new one alone";
}

TEST_F(FilePrograms, AFileCutAndMadeLongerInALoopNeitherEndsNorSpoilsAnything) {
  RunningExporter exporter({.segment = path_});
  make_segment(path_);
  { const Worker worker(path_); }
  std::vector<char> image(kSmallGeometry.spill_cells());
  const shm::Descriptor file(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(pread(file.get(), image.data(), image.size(), 0), static_cast<ssize_t>(image.size()));
  std::atomic<bool> is_over{false};
  std::thread villain([&] {
    const auto size = static_cast<off_t>(kSmallGeometry.file_bytes());
    for (off_t i = 0; !is_over; ++i) {
      if (ftruncate(file.get(), i * 4096 % size) != 0 || ftruncate(file.get(), size) != 0) break;
      if (i % 3 == 0 && pwrite(file.get(), image.data(), image.size(), 0) < 0) break;
    }
  });
  for (int i = 0; i < 300; ++i) well_formed_text(exporter);
  for (int i = 0; i < 10; ++i) {
    for (const char* command : {"check", "dump"}) {
      EXPECT_LE(run_command({SHMETRICS_PROGRAM, command, path_}).code, 2) << "no signal";
    }
  }
  is_over = true;
  villain.join();
  clear();
  const Worker worker(path_);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
}

TEST_F(FilePrograms, AFullDiskIsReadWithoutTakingAPage) {
  const SmallTmpfs disk;
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const std::string path = disk.file("a.seg");
  const Worker worker(path);
  disk.fill(1);  // one page: to have it taken would be seen
  RunningExporter exporter({.segment = path});
  for (int i = 0; i < 50; ++i) EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
  expect_tool({"check", path}, 0);
  expect_tool({"dump", path}, 0);
  EXPECT_EQ(disk.free_bytes(), 4096u);
  disk.fill();
  punch(path, kSmallGeometry.thread_slot(0), 4096);
  disk.fill();  // its page too: whoever reads the hole now gets SIGBUS
  for (int i = 0; i < 50; ++i) EXPECT_THAT(well_formed_text(exporter), HasSubstr(kUp));
  expect_tool({"check", path}, 0);
  expect_tool({"dump", path}, 0);
}

TEST_F(FilePrograms, ARemovedSegmentWithoutWorkersGivesItsRoomBackAtTheNextScrape) {
  const SmallTmpfs disk;
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const std::string path = disk.file("a.seg");
  const std::uint64_t empty_bytes = disk.free_bytes();
  RunningExporter exporter({.segment = path});
  for (const bool is_replaced : {false, true}) {
    {
      const Worker worker(path);
      EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
    }
    if (is_replaced) {
      make_segment(path + ".next");
      std::filesystem::rename(path + ".next", path);
    } else {
      std::filesystem::remove(path);
    }
    well_formed_text(exporter);
    std::filesystem::remove(path);
    well_formed_text(exporter);
    EXPECT_EQ(disk.free_bytes(), empty_bytes) << "no inode is held";
  }
}

TEST_F(FilePrograms, AReadOnlyMountIsReadAsAnyOther) {
  const SmallTmpfs disk;
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const std::string path = disk.file("a.seg");
  { const Worker worker(path); }
  ASSERT_TRUE(disk.remount_read_only());
  RunningExporter exporter({.segment = path});
  EXPECT_THAT(well_formed_text(exporter), HasSubstr(kThings));
  expect_tool({"check", path}, 0);
  expect_tool({"dump", path}, 0);
  expect_tool({"top", "--once", "--interval", "10ms", path}, 0);
}

}  // namespace
}  // namespace shmetrics::tests
