// The textbook prefork server: a master that runs as root declares and forks; its children give up their user, their
// root folder and every descriptor before they first touch a metric. They register, declare, count and set as any
// other.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "collector/check.hpp"
#include "tests/multiprocess/forking.hpp"

namespace shmetrics::tests {
namespace {

constexpr int kLabelSets = 3000;  // past a step of the index, of the spill, and many of the heap

class WithoutPrivileges : public Forking {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "NOT TESTED: needs root, to give privileges away";
    if (mkdir(root_.c_str(), 0755) != 0) GTEST_SKIP() << "NOT TESTED: no folder for a root";
    Options options;
    options.path = path_;
    options.series_per_family = 10'000;
    registry_ = Registry::open(options);
    hits_ = registry_.counter("hits_total", "Hits");
    ways_ = registry_.counter("ways_total", "Hits by way", {"way"});
    duration_ = registry_.histogram("duration_seconds", "Durations", {}, {0.5, 2});
    active_ = registry_.gauge("active", "Active");
    depth_ = registry_.gauge("depth", "Depth", {"queue"});
  }

  /// What a child gives up; false when it could not.
  static bool drop_user() {
    return setgroups(0, nullptr) == 0 && setgid(65534) == 0 && setuid(65534) == 0 && geteuid() == 65534;
  }
  bool change_root() const { return chroot(root_.c_str()) == 0 && chdir("/") == 0; }
  static bool close_all() {
    closefrom(3);
    const rlimit none{0, 0};
    return setrlimit(RLIMIT_NOFILE, &none) == 0;
  }

  /// Everything for the first time in this process.
  int work(int child) {
    const auto later = registry_.counter("later_total", "Declared by who has nothing left", {"n"});
    const auto own = registry_.histogram("child_" + std::to_string(child) + "_seconds", "Of one child", {"n"}, {1, 2});
    if (later.error() || own.error()) return 2;
    for (int n = 0; n < kLabelSets; ++n) {
      ways_.with(std::to_string(n)).inc();
      later.with(std::to_string(n)).inc();
    }
    std::thread([&] { hits_.inc(2); }).join();
    own.with("a").observe(1.5);
    duration_.observe(1);
    active_.set(3);
    depth_.with("mail").set(5);
    depth_.with("of " + std::to_string(child)).set(7);
    shared_.phase += 1;
    while (shared_.phase < 100) usleep(1000);
    return 0;
  }

  template <typename GiveUp>
  void expect_nothing_missing(GiveUp give_up) {
    constexpr int kChildren = 4;
    std::vector<pid_t> children;
    for (int child = 0; child < kChildren; ++child) {
      children.push_back(forked([&, child] { return give_up() ? work(child) : 1; }));
    }
    const bool all_are_through = reaches(kChildren);
    const Scrape result = scrape();
    shared_.phase = 100;
    for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
    ASSERT_TRUE(all_are_through);
    for (int n = 0; n < kLabelSets; ++n) {
      ASSERT_EQ(result["ways_total{way=\"" + std::to_string(n) + "\"}"], kChildren);
      ASSERT_EQ(result["later_total{n=\"" + std::to_string(n) + "\"}"], kChildren);
    }
    EXPECT_EQ(result["hits_total"], 2 * kChildren);
    EXPECT_EQ(result["duration_seconds_count"], kChildren);
    EXPECT_EQ(result["active"], 3 * kChildren);
    EXPECT_EQ(result["depth{queue=\"mail\"}"], 5 * kChildren);
    for (int child = 0; child < kChildren; ++child) {
      EXPECT_EQ(result["child_" + std::to_string(child) + "_seconds_bucket{n=\"a\",le=\"2\"}"], 1);
      EXPECT_EQ(result["depth{queue=\"of " + std::to_string(child) + "\"}"], 7);
    }
    EXPECT_EQ(result.text.find("__overflow__"), std::string::npos);
    EXPECT_TRUE(result.status.series_overflow.empty());
    for (const auto& dropped : result.status.updates_dropped) EXPECT_EQ(dropped.count, 0u) << dropped.reason;
    for (const auto& refused : result.status.declarations_refused) EXPECT_EQ(refused.count, 0u) << refused.reason;
    EXPECT_EQ(result.status.workers_live, static_cast<std::uint64_t>(kChildren));
    const auto report = collector::check_segment(path_);
    EXPECT_EQ(report.verdict, collector::CheckReport::Verdict::kSound) << report.findings.at(0);
  }

  std::string root_ = folder_.file("root");
  Family<Gauge, 1> depth_;
};

TEST_F(WithoutPrivileges, AsAnotherUserChildrenRegisterDeclareCountAndSetGauges) {
  expect_nothing_missing([] { return drop_user(); });
}

TEST_F(WithoutPrivileges, InAnEmptyRootAsAnotherUserChildrenRegisterDeclareCountAndSetGauges) {
  expect_nothing_missing([&] { return change_root() && drop_user(); });
}

TEST_F(WithoutPrivileges, WithoutADescriptorAndNoneToBeHadChildrenRegisterDeclareCountAndSetGauges) {
  expect_nothing_missing([] { return close_all() && drop_user(); });
}

TEST_F(WithoutPrivileges, WithNothingLeftAtAllChildrenRegisterDeclareCountAndSetGauges) {
  expect_nothing_missing([&] { return change_root() && close_all() && drop_user(); });
}

// Forked by a child that has nothing left: it cannot claim an entry any more, so its gauges are dropped, and that is
// said.
TEST_F(WithoutPrivileges, AGrandchildOfWhoHasNothingLeftCountsAndItsGaugesAreCountedAsDropped) {
  EXPECT_EQ(wait_for(forked([&] {
              if (!change_root() || !close_all() || !drop_user()) return 1;
              const pid_t grandchild = fork();
              if (grandchild != 0) return wait_for(grandchild);
              if (registry_.counter("later_total", "Later", {"n"}).error()) return 2;
              registry_.counter("later_total", "Later", {"n"}).with("a").inc();
              ways_.with("of a grandchild").inc();
              hits_.inc();
              active_.set(1);
              std::exit(0);
            })),
            0);
  const Scrape result = scrape();
  EXPECT_EQ(result["later_total{n=\"a\"}"], 1);
  EXPECT_EQ(result["ways_total{way=\"of a grandchild\"}"], 1);
  EXPECT_EQ(result["hits_total"], 1);
  EXPECT_EQ(count_of(result.status.updates_dropped, "no_entry"), 1u);
  EXPECT_EQ(result.text.find("__overflow__"), std::string::npos);
}

// Whoever runs it makes its environment, and would choose where a file of its owner appears.
TEST_F(WithoutPrivileges, ASetUidProgramIgnoresTheEnvironmentAndSaysSo) {
  constexpr uid_t kOwner = 65533;
  const std::string program = folder_.file("program"), said = folder_.file("said"), chosen = folder_.file("chosen.seg");
  const std::string own = "/dev/shm/shmetrics-" + std::to_string(kOwner) + ".seg";
  std::filesystem::copy_file(SHMETRICS_SMALLEST, program);
  ASSERT_EQ(chown(program.c_str(), kOwner, kOwner), 0);
  ASSERT_EQ(chmod(program.c_str(), 04755), 0);
  ASSERT_EQ(chmod(folder_.file(".").c_str(), 0777), 0);
  unlink(own.c_str());
  EXPECT_EQ(wait_for(forked([&] {
              const int file = ::open(said.c_str(), O_CREAT | O_WRONLY, 0600);
              if (dup2(file, STDERR_FILENO) < 0 || !drop_user()) return 1;
              setenv("SHMETRICS_SEGMENT", chosen.c_str(), 1);
              execl(program.c_str(), program.c_str(), nullptr);
              return 2;
            })),
            0);
  struct stat chosen_file;
  if (stat(chosen.c_str(), &chosen_file) == 0 && chosen_file.st_uid == 65534) {
    GTEST_SKIP() << "NOT TESTED: set-uid has no effect on this file system";
  }
  EXPECT_FALSE(std::filesystem::exists(chosen));
  EXPECT_EQ(unlink(own.c_str()), 0) << "at the owner's default path instead";
  std::ifstream lines(said);
  std::string line;
  EXPECT_TRUE(std::getline(lines, line) && line.find("environment is ignored") != std::string::npos) << line;
  EXPECT_FALSE(std::getline(lines, line)) << line;
}

}  // namespace
}  // namespace shmetrics::tests
