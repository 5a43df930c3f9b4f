// What servers start, become and give up: helpers, daemons, other programs, privileges, roots. Mostly this process
// never opens the segment: its children do.
#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "tests/multiprocess/forking.hpp"

namespace shmetrics::tests {
namespace {

using DaemonTest = Forking;

TEST_F(DaemonTest, ADaemonThatForksTwiceAndClosesEverythingCountsAndRegisters) {
  const pid_t first = worker([&] {
    hits_.inc();
    if (fork() != 0) _exit(0);
    setsid();
    if (fork() != 0) _exit(0);
    closefrom(0);  // 0 to 2 too, and no /dev/null in their place: the segment must not become anybody's stderr
    if (chdir("/") != 0) return 1;
    hits_.inc();
    ways_.with("daemon").inc();
    std::thread([&] { duration_.observe(1); }).join();
    active_.set(4);
    std::fputs("into the void\n", stderr);
    shared_.pid = getpid();
    shared_.phase = 1;
    for (;;) pause();
  });
  EXPECT_EQ(wait_for(first), 0);
  ASSERT_TRUE(reaches(1));
  const Scrape result = scrape();
  EXPECT_EQ(result["hits_total"], 2);
  EXPECT_EQ(result["ways_total{way=\"daemon\"}"], 1);
  EXPECT_EQ(result["duration_seconds_count"], 1);
  EXPECT_EQ(result["active"], 4);
  EXPECT_EQ(result.status.workers_live, 1u);
  kill(shared_.pid, SIGKILL);
  EXPECT_TRUE(nobody_lives());
}

// Not inlined: a variable of the caller that vfork goes through might be clobbered, says g++ 14.
__attribute__((noinline)) pid_t vforked(const char* program) {
  const pid_t helper = vfork();
  if (helper == 0) {
    execl(program, program, nullptr);
    _exit(1);
  }
  return helper;
}

TEST_F(DaemonTest, AVforkedHelperLeavesTheWorkerAlone) {
  open();
  hits_.inc();
  for (const char* program : {"/bin/true", "/does/not/exist"}) {
    wait_for(vforked(program));
    hits_.inc();
  }
  EXPECT_EQ(scrape()["hits_total"], 3);
  EXPECT_EQ(scrape().status.workers_live, 1u);
  EXPECT_EQ(scrape().status.workers_unused, 255u) << "nobody else claimed anything";
}

TEST_F(DaemonTest, AStormOfHelpersKeepsNoKilledWorkerAlive) {
  for (int round = 0; round < kForks / 20; ++round) {
    const pid_t victim = worker([&, round] {
      setpgid(0, 0);
      active_.set(1);
      for (int i = 0;; ++i) {
        if (i == 3) shared_.phase = round + 1;
        hits_.inc();
        pid_t spawned = 0;
        char name[] = "sleep";
        char seconds[] = "9";
        char* arguments[] = {name, seconds, nullptr};
        posix_spawn(&spawned, "/bin/sleep", nullptr, nullptr, arguments, environ);
        if (std::system("sleep 9 &") != 0) return 1;
        if (popen("sleep 9", "r") == nullptr) return 1;  // never pclose, which waits
      }
    });
    EXPECT_TRUE(reaches(round + 1));
    usleep(1000 * round);
    kill_and_wait(victim);
    EXPECT_TRUE(nobody_lives()) << "round " << round;
    kill(-victim, SIGKILL);
  }
  EXPECT_EQ(scrape()["active"], 0);
}

TEST_F(DaemonTest, ExecGivesTheEntryBackThoughTheProcessGoesOn) {
  const pid_t child = worker([&] {
    hits_.inc();
    active_.set(1);
    execl("/bin/sleep", "sleep", "30", nullptr);
    return 1;
  });
  const std::string program = "/proc/" + std::to_string(child) + "/comm";
  const auto is_sleep = [&] {
    std::string name;
    std::getline(std::ifstream(program), name);
    return name == "sleep";
  };
  for (int i = 0; i < 4000 && !is_sleep(); ++i) usleep(5000);
  EXPECT_TRUE(is_sleep());
  EXPECT_EQ(scrape().status.workers_live, 0u);
  EXPECT_EQ(scrape()["hits_total"], 1);
  EXPECT_EQ(scrape()["active"], 0);
  kill_and_wait(child);
}

TEST_F(DaemonTest, AWorkerThatClosesEveryDescriptorRegistersOn) {
  EXPECT_EQ(wait_for(worker([&] {
              hits_.inc();
              closefrom(3);
              ways_.with("after").inc();
              std::thread([&] { hits_.inc(); }).join();
              active_.set(1);
              return registry_.counter("later_total", "Later").error() ? 1 : 0;
            })),
            0);
  EXPECT_EQ(scrape()["hits_total"], 2);
  EXPECT_EQ(scrape()["ways_total{way=\"after\"}"], 1);
  EXPECT_TRUE(scrape().has("later_total"));
}

TEST_F(DaemonTest, ACoreDumpOfAWorkerFillsNoHoleAndLosesNothing) {
  std::string pattern;
  std::getline(std::ifstream("/proc/sys/kernel/core_pattern"), pattern);
  if (pattern.starts_with('|')) GTEST_SKIP() << "cores go to a program here: " << pattern;
  const auto allocated = [&] {
    struct stat file {};
    return stat(path_.c_str(), &file) == 0 ? file.st_blocks * 512 : -1;
  };
  const Baton counted;
  const pid_t child = worker([&] {
    hits_.inc(7);
    active_.set(1);
    counted.pass();
    const std::string folder = folder_.file("core");
    const rlimit most{std::uint64_t{2} << 30, std::uint64_t{2} << 30};
    if (mkdir(folder.c_str(), 0700) != 0 || chdir(folder.c_str()) != 0 || setrlimit(RLIMIT_CORE, &most) != 0) return 1;
    std::ofstream("/proc/self/coredump_filter") << "0x7f";  // shared memory too
    sleep(1);                                               // for the look at the file before
    signal(SIGABRT, SIG_DFL);
    std::abort();
    return 0;
  });
  counted.receive();
  const auto before = allocated();
  EXPECT_EQ(wait_for(child), -SIGABRT);
  EXPECT_EQ(allocated(), before);
  const Scrape result = scrape();
  EXPECT_EQ(result["hits_total"], 7);
  EXPECT_EQ(result["active"], 0) << "dead when the dump is done";
}

/// With the privileges that are needed to give them away.
class PrivilegesTest : public Forking {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to drop privileges and change roots";
  }
  static bool drop() {
    const bool done = setgroups(0, nullptr) == 0 && setgid(65534) == 0 && setuid(65534) == 0;
    return done && geteuid() == 65534;
  }
  bool change_root() const {
    const std::string root = folder_.file("root");
    return mkdir(root.c_str(), 0755) == 0 && chroot(root.c_str()) == 0 && chdir("/") == 0;
  }
  /// Counts in every kind and two threads, then stays.
  int count_and_stay() {
    for (int i = 0; i < 10; ++i) hits_.inc();
    std::thread([&] { hits_.inc(); }).join();
    duration_.observe(1);
    active_.set(2);
    ways_.with("known").inc();
    ways_.with("unknown").inc();
    shared_.phase = 1;
    for (;;) pause();
  }
  void expect_all_counted(pid_t child) {
    ASSERT_TRUE(reaches(1));
    const Scrape result = scrape();
    kill_and_wait(child);
    EXPECT_EQ(result["hits_total"], 11);
    EXPECT_EQ(result["duration_seconds_count"], 1);
    EXPECT_EQ(result["active"], 2);
    EXPECT_EQ(result["ways_total{way=\"known\"}"], 1);
    EXPECT_EQ(result["ways_total{way=\"unknown\"}"], 1) << "registering needs no file";
    EXPECT_EQ(count_of(result.status.updates_dropped, "no_entry"), 0u);
    EXPECT_EQ(scrape()["active"], 0);
  }
};

TEST_F(PrivilegesTest, AWorkerThatDropsThemBeforeItsFirstUpdateCountsEverything) {
  expect_all_counted(worker([&] {
    static_cast<void>(ways_.with("known"));
    return drop() ? count_and_stay() : 1;
  }));
}

TEST_F(PrivilegesTest, AWorkerThatChangesItsRootCountsEverything) {
  expect_all_counted(worker([&] {
    static_cast<void>(ways_.with("known"));
    return change_root() && drop() ? count_and_stay() : 1;
  }));
}

TEST_F(PrivilegesTest, AChildThatChangesItsRootCountsEverything) {
  open();
  static_cast<void>(ways_.with("known"));
  expect_all_counted(forked([&] { return change_root() && drop() ? count_and_stay() : 1; }));
}

TEST_F(PrivilegesTest, AChildThatClosesEverythingAndDropsThemCountsEverything) {
  open();
  static_cast<void>(ways_.with("known"));
  expect_all_counted(forked([&] {
    closefrom(3);
    return drop() ? count_and_stay() : 1;
  }));
}

}  // namespace
}  // namespace shmetrics::tests
