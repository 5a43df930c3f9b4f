// The units of deploy/systemd, judged by systemd itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

const std::string kUnits = SHMETRICS_SOURCE_DIR "/deploy/systemd/";

std::string text_of(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Units : public ::testing::Test {
 protected:
  /// Copies in which ExecStart names the program that was built.
  Units() {
    for (const std::string unit : {"shmetrics-exporter.service", "shmetrics-exporter.socket"}) {
      std::string text = text_of(kUnits + unit);
      const std::string installed = "ExecStart=/usr/bin/shmetrics-exporter";
      const std::size_t found = text.find(installed);
      if (found != std::string::npos && unit.ends_with(".service")) {
        text.replace(found, installed.size(), std::string("ExecStart=") + SHMETRICS_EXPORTER_PROGRAM);
      }
      std::ofstream(directory_.file(unit)) << text;
    }
  }
  void SetUp() override {
    if (access("/usr/bin/systemd-analyze", X_OK) != 0) GTEST_SKIP() << "no systemd-analyze here";
  }
  TemporaryFolder directory_;
};

TEST_F(Units, AreValid) {
  ChildProcess verify({.argv = {"systemd-analyze", "verify", "--man=no", directory_.file("shmetrics-exporter.service"),
                                directory_.file("shmetrics-exporter.socket")}});
  EXPECT_EQ(verify.exit_code(), 0);
  EXPECT_EQ(verify.err().find("shmetrics"), std::string::npos) << verify.err();
}

TEST_F(Units, ExposeLittle) {
  ChildProcess security({.argv = {"systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20",
                                  directory_.file("shmetrics-exporter.service")}});
  EXPECT_EQ(security.exit_code(), 0) << security.out();
  const std::string report = security.out();
  const std::size_t line = report.find("Overall exposure level");
  ASSERT_NE(line, std::string::npos) << report << security.err();
  std::printf("%s\n", report.substr(line, report.find('\n', line) - line).c_str());
}

// Whoever switches the localhost rule on in a drop-in gets 401 without it, even as root.
TEST(Deploy, TheUnitLeavesTheFamilyByWhichTheKernelTellsWhoALocalClientIs) {
  const std::string text = text_of(kUnits + "shmetrics-exporter.service");
  const std::size_t line = text.find("\nRestrictAddressFamilies=");
  ASSERT_NE(line, std::string::npos);
  EXPECT_THAT(text.substr(line, text.find('\n', line + 1) - line), ::testing::HasSubstr(" AF_NETLINK"));
}

TEST(Deploy, EveryProductionFileSwitchesTheBypassOff) {
  int starts = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SHMETRICS_SOURCE_DIR "/deploy")) {
    if (!entry.is_regular_file()) continue;
    std::string text = text_of(entry.path());
    for (std::size_t end = 0; (end = text.find("\\\n", end)) != std::string::npos;) text.erase(end, 2);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("shmetrics-exporter --") == std::string::npos) continue;
      ++starts;
      EXPECT_NE(line.find("--no-web.localhost-bypass"), std::string::npos) << entry.path() << ": " << line;
    }
  }
  EXPECT_GE(starts, 3);
}

}  // namespace
}  // namespace shmetrics::tests
