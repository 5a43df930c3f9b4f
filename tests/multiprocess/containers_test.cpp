// Workers and exporter in namespaces and as users of their own, as containers put them: pids say nothing, permissions
// all.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <shmetrics/shmetrics.hpp>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr gid_t kGroup = 54321;
constexpr uid_t kNobody = 65534;

class ContainersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // _exit here and below: the leak sanitizer's thread would be in the new namespace, where it waits for ever.
    const pid_t child = forked([]() -> int { _exit(unshare(CLONE_NEWPID | CLONE_NEWNS) == 0 ? 0 : errno); });
    if (const int error = wait_for(child)) GTEST_SKIP() << "no namespaces may be made here: " << strerror(error);
  }

  /// Runs `body` as pid 1 of a pid namespace with a /proc of its own. Returned is its keeper, whose death is its.
  template <typename Body>
  pid_t container(Body body) {
    return forked([&, body]() -> int {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return 90;
      const pid_t first = forked([&, body]() -> int {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const bool done = mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                          mount("proc", "/proc", "proc", 0, nullptr) == 0;
        return done && getpid() == 1 ? body() : 91;
      });
      _exit(wait_for(first));
    });
  }
  Registry open() const {
    Options options;
    options.path = path_;
    options.mode = mode_;
    options.group = group_;
    return Registry::open(options);
  }
  int work(double active, int hits) const {
    const Registry registry = open();
    const Counter counter = registry.counter("hits_total", "Hits", {"l"}).with("v");
    for (int i = 0; i < hits; ++i) counter.inc();
    registry.gauge("active", "Active").set(active);
    registry.gauge("each", "One of each", {}, GaugeMode::liveall).set(active);
    ready_.pass();
    for (;;) pause();
  }
  /// The exporter's program where any user can run it.
  std::string public_program() {
    chmod(programs_.c_str(), 0755);
    const std::string copy = programs_ + "/shmetrics-exporter";
    std::filesystem::copy_file(SHMETRICS_EXPORTER_PROGRAM, copy, std::filesystem::copy_options::overwrite_existing);
    chmod(copy.c_str(), 0755);
    chmod(folder_.file("").c_str(), 0755);
    return copy;
  }
  /// An exporter of another user, in the group that tests give to files.
  ExporterSetup as_nobody(std::vector<std::string> flags = {}) {
    return {.flags = std::move(flags),
            .segment = path_,
            .launcher = {"setpriv", "--reuid", std::to_string(kNobody), "--regid", std::to_string(kGroup),
                         "--clear-groups"},
            .program = public_program()};
  }
  ~ContainersTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(programs_, ignored);
  }

  TemporaryFolder folder_;
  std::string programs_ = "/tmp/shmetrics-test-" + std::to_string(getpid());
  bool has_programs_ = mkdir(programs_.c_str(), 0755) == 0;
  std::string path_ = folder_.file("a.seg");
  std::uint32_t mode_ = 0600;
  std::optional<std::uint32_t> group_;
  const Baton ready_;
};

TEST_F(ContainersTest, TwoWorkersThatAreBothPid1AreTwoAndTheExporterIsInAThirdNamespace) {
  const pid_t first = container([&] { return work(2, 1000); });
  const pid_t second = container([&] { return work(3, 500); });
  ready_.receive(2);
  const RunningExporter exporter(
      {.segment = path_, .launcher = {"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}});
  auto values = exporter.values();
  EXPECT_EQ(values["hits_total{l=\"v\"}"], 1500);
  EXPECT_EQ(values["active"], 5);
  EXPECT_EQ(values["each{worker=\"0\"}"] + values["each{worker=\"1\"}"], 5);
  EXPECT_EQ(values["shmetrics_workers{state=\"live\"}"], 2);
  EXPECT_GT(values["process_resident_memory_bytes"], 0);
  collector::Scraper scraper(path_);
  ASSERT_TRUE(scraper.read().up);
  for (const int worker : {0, 1}) EXPECT_EQ(scraper.workers()[worker].pid, 1u) << "the label that people see";

  kill_and_wait(first);
  for (int i = 0; i < 2000 && exporter.values()["active"] != 3; ++i) usleep(5000);
  EXPECT_EQ(exporter.values()["active"], 3);
  EXPECT_EQ(exporter.values()["hits_total{l=\"v\"}"], 1500);
  const pid_t third = container([&] { return work(10, 100); });
  ready_.receive();
  values = exporter.values();
  EXPECT_EQ(values["active"], 13);
  EXPECT_EQ(values["hits_total{l=\"v\"}"], 1600);
  EXPECT_EQ(values["shmetrics_workers{state=\"unused\"}"], 254) << "the third took over the entry of the first";
  EXPECT_EQ(values["shmetrics_worker_deaths_total"], 1);
  for (const pid_t keeper : {second, third}) kill_and_wait(keeper);
}

TEST_F(ContainersTest, ProcessMetricsAreOfTheEntrysOwnerAndNeverOfAnotherWithItsPid) {
  const auto idle = [&](bool has_gauge) -> int {
    const Registry registry = open();
    if (has_gauge) registry.gauge("active", "Active").set(1);
    if (!has_gauge) registry.counter("hits_total", "Hits").inc();
    ready_.pass();
    for (;;) pause();
  };
  std::set<std::uint32_t> known;
  const auto entry_of_newcomer = [&](pid_t pid) {
    ready_.receive();
    collector::Scraper scraper(path_);
    scraper.read();
    for (const auto& row : scraper.workers()) {
      if (row.state != collector::WorkerState::kLive || !known.insert(row.worker).second) continue;
      EXPECT_EQ(row.pid, static_cast<std::uint64_t>(pid));
      return row.worker;
    }
    throw std::runtime_error("no new worker");
  };
  const pid_t counting = forked([&] { return idle(false); });
  const std::uint32_t counter_entry = entry_of_newcomer(counting);
  const pid_t gauging = forked([&] { return idle(true); });
  const std::uint32_t gauge_entry = entry_of_newcomer(gauging);
  const pid_t keeper = container([&]() -> int {
    std::ofstream("/proc/sys/kernel/ns_last_pid") << counting - 1;
    return wait_for(forked([&] { return work(1, 1); }));
  });
  const std::uint32_t twin_entry = entry_of_newcomer(counting);  // which it is in its own namespace

  const RunningExporter exporter({.flags = {"--collector.worker-process"}, .segment = path_});
  const auto shown = [&](std::uint32_t worker) {
    return exporter.values().contains("shmetrics_worker_threads{worker=\"" + std::to_string(worker) + "\"}");
  };
  EXPECT_TRUE(shown(counter_entry));
  EXPECT_TRUE(shown(gauge_entry));
  EXPECT_FALSE(shown(twin_entry));
  kill_and_wait(counting);
  EXPECT_FALSE(shown(counter_entry));
  EXPECT_FALSE(shown(twin_entry));
  for (const pid_t worker : {gauging, keeper}) kill_and_wait(worker);
}

TEST_F(ContainersTest, AnotherProgramUnderTheSamePidKeepsNoDeadWorkerAlive) {
  const Baton killed;
  const pid_t keeper = container([&]() -> int {
    const auto start_as = [](pid_t pid, auto body) {
      std::ofstream("/proc/sys/kernel/ns_last_pid") << pid - 1;
      return forked(body);
    };
    const pid_t worker = start_as(100, [&] { return work(1, 10); });
    ready_.receive();
    kill_and_wait(worker);
    const pid_t other = start_as(100, []() -> int {
      for (;;) pause();
    });
    if (worker != 100 || other != 100) return 1;
    killed.pass();
    for (;;) pause();
  });
  killed.receive();
  const Scrape result = scrape(path_);
  EXPECT_EQ(result.status.workers_live, 0u);
  EXPECT_EQ(result["active"], 0);
  EXPECT_EQ(result["hits_total{l=\"v\"}"], 10);
  kill_and_wait(keeper);
}

TEST_F(ContainersTest, WithoutProcTheExporterServesTheSegmentAndLeavesOutWhatItCannotKnow) {
  const pid_t worker = container([&] { return work(2, 10); });
  ready_.receive();
  for (const char* hide : {"umount -l /proc", "mount -t tmpfs none /proc"}) {
    const std::string script = std::string(hide) + " && exec \"$0\" \"$@\"";
    const RunningExporter exporter({.segment = path_, .launcher = {"unshare", "--mount", "sh", "-c", script}});
    auto values = exporter.values();
    EXPECT_EQ(values["hits_total{l=\"v\"}"], 10) << hide;
    EXPECT_EQ(values["active"], 2);
    EXPECT_EQ(values["shmetrics_workers{state=\"live\"}"], 1);
    for (const char* name : {"cpu_seconds_total", "open_fds", "virtual_memory_bytes", "resident_memory_bytes",
                             "start_time_seconds", "threads"}) {
      EXPECT_FALSE(values.contains(std::string("process_") + name)) << name;
    }
    EXPECT_GT(values["process_max_fds"], 0) << "that is no matter of /proc";
  }
  kill_and_wait(worker);
}

TEST_F(ContainersTest, AWorkerWithoutProcOpensCountsAndRegisters) {
  const pid_t worker = container([&]() -> int { return umount2("/proc", MNT_DETACH) == 0 ? work(2, 10) : 92; });
  ready_.receive();
  EXPECT_EQ(scrape(path_)["hits_total{l=\"v\"}"], 10);
  EXPECT_EQ(scrape(path_)["active"], 2);
  kill_and_wait(worker);
}

TEST_F(ContainersTest, AnExporterOfTheGroupReadsWhatTheUmaskWouldHaveForbidden) {
  mode_ = 0640;
  group_ = kGroup;
  const pid_t worker = container([&] {
    umask(077);
    return work(2, 10);
  });
  ready_.receive();
  struct stat file {};
  stat(path_.c_str(), &file);
  EXPECT_EQ(file.st_mode & 0777, 0640u);
  const RunningExporter exporter(as_nobody({"--collector.worker-process"}));
  auto values = exporter.values();
  EXPECT_FALSE(values.contains("shmetrics_worker_threads{worker=\"0\"}")) << "it may not look into the process";
  EXPECT_EQ(values["hits_total{l=\"v\"}"], 10);
  EXPECT_EQ(values["active"], 2) << "reading is enough to see who lives";
  kill_and_wait(worker);
}

TEST_F(ContainersTest, AnExporterWithoutPermissionSaysWhoseFileItIsAndWhatToDo) {
  const pid_t worker = container([&] { return work(2, 10); });
  ready_.receive();
  RunningExporter exporter(as_nobody());
  const std::string text = exporter.text();
  EXPECT_THAT(text, HasSubstr("\nshmetrics_segment_up 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("hits_total")));
  EXPECT_TRUE(exporter.child().says("it belongs to uid 0, mode 0600, this process runs as uid 65534"));
  EXPECT_THAT(exporter.child().err(), HasSubstr("SHMETRICS_MODE and SHMETRICS_GROUP"));
  kill_and_wait(worker);
}

TEST_F(ContainersTest, AnExporterThatMayNoLongerEnterTheFolderServesOnAndSaysWhy) {
  mode_ = 0640;
  group_ = kGroup;
  const pid_t worker = container([&] { return work(2, 10); });
  ready_.receive();
  RunningExporter exporter(as_nobody());
  EXPECT_EQ(exporter.values()["active"], 2);
  chmod(folder_.file("").c_str(), 0700);
  EXPECT_EQ(exporter.values()["active"], 2);
  EXPECT_TRUE(exporter.child().says("no permission for " + path_));
  EXPECT_TRUE(exporter.child().says("let it enter the folder")) << "a group of the file would not help";
  EXPECT_THAT(exporter.child().err(), Not(HasSubstr("removed")));
  kill_and_wait(worker);
  for (int i = 0; i < 2000 && exporter.values()["shmetrics_segment_up"] != 0; ++i) usleep(5000);
  EXPECT_EQ(exporter.values()["shmetrics_segment_up"], 0) << "without a worker nobody knows what the path means";
}

TEST_F(ContainersTest, AWorkerInAUserNamespaceSharesTheSegmentOfItsUserOutside) {
  chmod(folder_.file("").c_str(), 0777);
  const auto as_nobody = [&](bool in_namespace) -> int {
    if (setgid(kNobody) != 0 || setuid(kNobody) != 0) return 1;
    if (in_namespace) {
      prctl(PR_SET_DUMPABLE, 1);  // or its /proc/self belongs to root since setuid
      if (unshare(CLONE_NEWUSER) != 0) return 77;
      std::ofstream("/proc/self/uid_map") << "0 65534 1";
      if (geteuid() != 0) return 78;
    }
    return work(2, 10);
  };
  const pid_t outside = forked([&] { return as_nobody(false); });
  ready_.receive();
  const pid_t inside = forked([&]() -> int {
    const int result = as_nobody(true);
    ready_.pass();
    return result;
  });
  ready_.receive();
  int status = 0;
  if (waitpid(inside, &status, WNOHANG) == inside || (usleep(50'000), waitpid(inside, &status, WNOHANG) == inside)) {
    kill_and_wait(outside);
    if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 78) GTEST_SKIP() << "no user namespace may be made here";
    FAIL() << "the worker ended with " << status;
  }
  EXPECT_EQ(scrape(path_)["active"], 4);
  EXPECT_EQ(scrape(path_)["hits_total{l=\"v\"}"], 20);
  for (const pid_t worker : {outside, inside}) kill_and_wait(worker);
}

}  // namespace
}  // namespace shmetrics::tests
