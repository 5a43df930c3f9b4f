// Registering: small directories up to their very limits, by several processes at once; which pages are open for
// writing; and rooms that a process has taken and not used.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "client/attachment.hpp"
#include "client/control_lock.hpp"
#include "shm/geometry.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr std::uint64_t rounded(std::uint64_t bytes) {
  return (bytes + 7) / 8 * 8;
}
/// Of a series with one label.
constexpr std::uint64_t series_bytes(std::uint64_t value_bytes) {
  return rounded(sizeof(shm::SeriesRecord) + 2 + value_bytes);
}

class DirectoryTest : public ::testing::Test {
 protected:
  DirectoryTest() {
    options_.path = folder_.file("a.seg");
    options_.series_per_family = 1'000'000;
  }
  Registry open() const { return Registry::open(options_); }
  tests::Scrape scrape() const { return tests::scrape(options_.path); }
  shm::Geometry geometry() const {
    return {options_.workers, options_.slots, options_.cells, options_.directory_bytes};
  }
  /// What the directory has at most: a family `a_total` with the label `l`, and series with values of that length.
  std::uint64_t most_series(std::uint64_t value_bytes) const {
    const std::uint64_t family = rounded(sizeof(shm::FamilyRecord) + 2 + 7 + 1 + 1);
    return std::min<std::uint64_t>(geometry().index_entries() - 1,
                                   (geometry().heap_bytes() - family) / series_bytes(value_bytes));
  }
  /// Several processes register label sets of their own until nothing fits any more, and `beyond` more each.
  void fill(int processes, std::uint64_t value_bytes, int beyond) const {
    const auto hits = open().counter("a_total", "A", {"l"});
    ASSERT_FALSE(hits.error()) << hits.error().message();
    const std::uint64_t sets = most_series(value_bytes) + static_cast<std::uint64_t>(beyond);
    const tests::Baton go;
    std::vector<pid_t> children;
    for (int p = 0; p < processes; ++p) {
      children.push_back(tests::forked([&, p] {
        go.receive();
        for (std::uint64_t n = 0; n < sets; ++n) {
          std::string value = std::to_string(p) + "-" + std::to_string(n);
          value.resize(value_bytes, 'x');
          hits.with(value).inc();
        }
        return 0;
      }));
    }
    for (int p = 0; p < processes; ++p) go.pass();
    for (const pid_t child : children) EXPECT_EQ(tests::wait_for(child), 0);

    const tests::Scrape result = scrape();
    double total = 0;
    for (const auto& [series, value] : result.values) total += value;
    const auto asked = static_cast<std::uint64_t>(processes) * sets;
    EXPECT_EQ(total, static_cast<double>(asked));
    EXPECT_EQ(result.status.series, most_series(value_bytes));
    EXPECT_EQ(result.values.size(), most_series(value_bytes) + 1) << "and the overflow series";
    EXPECT_EQ(tests::overflow_of(result.status, "a_total", "directory"), asked - most_series(value_bytes));
    EXPECT_EQ(result.status.quarantined_series + result.status.quarantined_families, 0u);
  }

  tests::TemporaryFolder folder_;
  Options options_;
};

struct Size {
  std::uint64_t directory_bytes;
  int processes;
};
/// Directories whose index and heap share a page, a step of pages that are opened together, or neither.
class SmallDirectoryTest : public DirectoryTest, public ::testing::WithParamInterface<Size> {
 protected:
  SmallDirectoryTest() { options_.directory_bytes = GetParam().directory_bytes; }
};
INSTANTIATE_TEST_SUITE_P(Sizes, SmallDirectoryTest,
                         ::testing::Values(Size{4096, 1}, Size{4096, 2}, Size{4096, 8}, Size{8192, 4}, Size{12288, 4},
                                           Size{16384, 4}, Size{20480, 3}, Size{36864, 4}, Size{65536, 8}),
                         [](const auto& size) {
                           return std::to_string(size.param.directory_bytes) + "BytesAnd" +
                                  std::to_string(size.param.processes) + "Processes";
                         });

TEST_P(SmallDirectoryTest, EveryEntryOfTheIndexCanBeUsed) {
  ASSERT_EQ(most_series(6), geometry().index_entries() - 1) << "short values, so that entries are used up first";
  fill(GetParam().processes, 6, 10);
}

TEST_P(SmallDirectoryTest, EveryByteOfTheHeapCanBeUsed) {
  ASSERT_LT(most_series(134), geometry().index_entries() - 1) << "long values, so that bytes are used up first";
  fill(GetParam().processes, 134, 10);
}

TEST_F(DirectoryTest, ARecordThatDoesNotFitAnyMoreLeavesRoomToASmallerOne) {
  options_.directory_bytes = 4096;
  const auto hits = open().counter("a_total", "A", {"l"});
  for (int i = 0; i < 3; ++i) hits.with(std::to_string(i) + std::string(999, 'x')).inc();
  EXPECT_EQ(scrape().status.series, 3u);
  hits.with(std::string(1000, 'y')).inc();
  EXPECT_EQ(scrape()["a_total{l=\"__overflow__\"}"], 1);
  hits.with("short").inc();
  EXPECT_EQ(scrape()["a_total{l=\"short\"}"], 1);
}

TEST_F(DirectoryTest, ASeriesLimitIsReachedExactlyByProcessesThatRegisterAtOnce) {
  const auto hits = open().counter("a_total", "A", {"l"}, {.series_limit = 100});
  const tests::Baton go;
  std::vector<pid_t> children;
  for (int p = 0; p < 8; ++p) {
    children.push_back(tests::forked([&, p] {
      go.receive();
      for (int n = 0; n < 100; ++n) hits.with(std::to_string(p) + "-" + std::to_string(n)).inc();
      return 0;
    }));
  }
  for (int p = 0; p < 8; ++p) go.pass();
  for (const pid_t child : children) EXPECT_EQ(tests::wait_for(child), 0);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result.status.series, 100u);
  EXPECT_EQ(result["a_total{l=\"__overflow__\"}"], 700);
  EXPECT_EQ(tests::overflow_of(result.status, "a_total", "series_limit"), 700u);
}

/// Bytes of the file's directory that this process may write at this moment.
std::uint64_t writable_directory_bytes(const std::string& path, const shm::Geometry& geometry) {
  std::uint64_t writable = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (!line.ends_with(path)) continue;
    std::uint64_t begin = 0, end = 0, offset = 0;
    char access[8] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s %lx", &begin, &end, access, &offset) != 4 || access[1] != 'w') continue;
    const std::uint64_t from = std::max(offset, geometry.directory());
    const std::uint64_t to = std::min(offset + end - begin, geometry.directory() + geometry.directory_bytes);
    if (from < to) writable += to - from;
  }
  return writable;
}

TEST_F(DirectoryTest, OnlyThePagesAroundTheEndOfTheLogAreOpenForWriting) {
  const auto hits = open().counter("a_total", "A", {"l"});
  for (int i = 0; i < 20'000; ++i) {
    hits.with(std::to_string(i)).inc();
    if (i % 500 == 0) {
      // Five steps of 16 KiB: the head's, and two for index and record, which may lie across a boundary.
      EXPECT_LE(writable_directory_bytes(options_.path, geometry()), 5u * 16384u);
      EXPECT_GT(writable_directory_bytes(options_.path, geometry()), 0u)
          << "a registration does not open them each time";
    }
  }
  EXPECT_EQ(
      tests::wait_for(tests::forked([&] { return writable_directory_bytes(options_.path, geometry()) == 0 ? 0 : 1; })),
      0)
      << "nothing is open in a child that has not registered";
  EXPECT_EQ(scrape().status.series, 20'000u);
}

/// From here on a system call ends this process by SIGSYS, exit_group apart. Strict mode would forbid the clock too.
bool forbid_system_calls() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST_F(DirectoryTest, ARegistrationWithinThePagesThatAreOpenMakesNoSystemCall) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
  const int outcome = tests::wait_for(tests::forked([&] {
    const auto hits = open().counter("a_total", "A", {"l"});
    for (int i = 0; i < 30; ++i) hits.with("before " + std::to_string(i)).inc();
    if (!forbid_system_calls()) return 77;
    for (int i = 0; i < 30; ++i) hits.with("within " + std::to_string(i)).inc();
    _exit(0);
    return 2;
  }));
  if (outcome == 77) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(outcome, 0);
  EXPECT_EQ(scrape().status.series, 60u);
}

TEST_F(DirectoryTest, AProcessThatOnlyLooksUpNeverOpensThemForWriting) {
  open().counter("a_total", "A", {"l"}).with("v").inc();
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const auto hits = open().counter("a_total", "A", {"l"});
              for (int i = 0; i < 1000; ++i) hits.with("v").inc();
              return writable_directory_bytes(options_.path, geometry()) == 0 ? 0 : 1;
            })),
            0);
}

/// As one that has lost the race for an entry: room of a series is taken, and no entry names it.
void take_a_spare() {
  const detail::ControlGuard control{detail::Deadline()};
  detail::Attachment& attachment = *detail::Attachment::at(0);
  ASSERT_TRUE(control);
  const shm::SegmentFile file = attachment.mapping.file();
  ASSERT_TRUE(attachment.mirror.pages.open_index(attachment.mirror.entries(), file));
  ASSERT_EQ(attachment.mirror.pages.take_room(series_bytes(6), file), detail::DirectoryPages::Room::kTaken);
}

TEST_F(DirectoryTest, ASpareIsUsedForTheNextRecordThatFitsIntoIt) {
  const auto hits = open().counter("a_total", "A", {"l"});
  take_a_spare();
  const std::uint64_t before = scrape().status.directory_used_bytes;
  hits.with("v").inc();
  EXPECT_EQ(scrape().status.directory_used_bytes, before + 8) << "an entry; the bytes were taken already";
  hits.with("w").inc();
  EXPECT_EQ(scrape().status.directory_used_bytes, before + 16 + series_bytes(1));
}

TEST_F(DirectoryTest, AChildNeverUsesItsParentsSpare) {
  constexpr int kRounds = 1000;
  const auto hits = open().counter("a_total", "A", {"l"});
  for (int i = 0; i < kRounds; ++i) {
    take_a_spare();
    if (HasFatalFailure()) return;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    hits.with((child == 0 ? "c" : "p") + std::to_string(i)).inc();
    if (child == 0) _exit(0);
    ASSERT_EQ(tests::wait_for(child), 0);
  }
  const tests::Scrape result = scrape();
  EXPECT_EQ(result.values.size(), 2u * kRounds);
  for (int i = 0; i < kRounds; ++i) {
    EXPECT_EQ(result["a_total{l=\"c" + std::to_string(i) + "\"}"], 1);
    EXPECT_EQ(result["a_total{l=\"p" + std::to_string(i) + "\"}"], 1);
  }
  EXPECT_EQ(result.status.quarantined_series, 0u);
}

}  // namespace
}  // namespace shmetrics
