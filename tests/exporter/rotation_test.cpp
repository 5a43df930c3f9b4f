// Credentials that change while the exporter runs: who holds a valid one is never refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;

std::string bearer(const std::string& token) {
  return "Host: localhost\r\nAuthorization: Bearer " + token + "\r\n";
}

class TokenFile {
 public:
  explicit TokenFile(const std::string& text) { replace(text); }
  /// As an editor does it.
  void replace(const std::string& text) const {
    std::ofstream(directory_.file("new")) << text;
    std::filesystem::rename(directory_.file("new"), path());
  }
  std::string path() const { return directory_.file("tokens"); }
  std::string flag() const { return "--web.token-file=" + path(); }

 private:
  TemporaryFolder directory_;
};

TEST(Rotation, ANewTokenFileIsUsedWithoutASignal) {
  const TokenFile file("first-token-of-length\n");
  RunningExporter exporter({.flags = {file.flag()}, .token = ""});
  EXPECT_EQ(exporter.get("/metrics", bearer("first-token-of-length")).status, 200);
  file.replace("second-token-of-length\n");
  EXPECT_TRUE(exporter.child().says("msg=\"configuration reloaded\""));
  EXPECT_EQ(exporter.get("/metrics", bearer("second-token-of-length")).status, 200);
  EXPECT_EQ(exporter.get("/metrics", bearer("first-token-of-length")).status, 401);
}

TEST(Rotation, SighupReloadsABadFileKeepsTheOldTokensAndMetricsSaySo) {
  const TokenFile file("first-token-of-length\n");
  RunningExporter exporter({.flags = {file.flag()}});
  const std::string good = exporter.get("/metrics").body;
  EXPECT_THAT(good, HasSubstr("\nshmetrics_exporter_config_last_reload_successful 1\n"));
  EXPECT_THAT(good, HasSubstr("\nshmetrics_exporter_config_last_reload_success_timestamp_seconds 1"));
  file.replace("");
  exporter.child().send_signal(SIGHUP);
  EXPECT_TRUE(exporter.child().says("msg=\"configuration not reloaded, the old one stays\""));
  EXPECT_EQ(exporter.get("/metrics", bearer("first-token-of-length")).status, 200);
  EXPECT_EQ(exporter.get("/metrics", bearer(kToken)).status, 200);
  EXPECT_THAT(exporter.get("/metrics").body, HasSubstr("\nshmetrics_exporter_config_last_reload_successful 0\n"));
  EXPECT_THAT(exporter.child().err(), HasSubstr("no token in it"));
}

TEST(Rotation, SighupWithoutAFileIsNoEnd) {
  RunningExporter exporter;
  exporter.child().send_signal(SIGHUP);
  EXPECT_TRUE(exporter.child().says("msg=\"configuration reloaded\""));
  EXPECT_TRUE(exporter.is_healthy());
}

TEST(Rotation, ATokenFileThatCannotBeUsedIsExitCode1AndOneLine) {
  const TokenFile empty("# nothing\n"), bad("fine-token-of-length\nhush hush\n");
  for (const std::string& flag : {empty.flag(), bad.flag(), std::string("--web.token-file=/nowhere/tokens")}) {
    ChildProcess child({.argv = {SHMETRICS_EXPORTER_PROGRAM, "--web.listen-address=127.0.0.1:0", flag}});
    EXPECT_EQ(child.exit_code(), 1);
    const std::string err = child.err();
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
    EXPECT_THAT(err, HasSubstr("--web.token-file"));
    EXPECT_EQ(err.find("hush"), std::string::npos);
  }
}

/// Scrapes with `token()` some 50 times a second until told to stop; what was not 200 is counted.
class Scraper {
 public:
  Scraper(const RunningExporter& exporter, std::function<std::string()> token)
      : thread_([this, &exporter, token = std::move(token)] {
          while (!stops_) {
            const bool is_good = exporter.get("/metrics", bearer(token())).status == 200;
            ++(is_good ? good_ : bad_);
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
          }
        }) {}
  ~Scraper() { stop(); }
  void stop() {
    stops_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int good() const { return good_; }
  int bad() const { return bad_; }

 private:
  std::atomic<bool> stops_ = false;
  std::atomic<int> good_ = 0, bad_ = 0;
  std::thread thread_;
};

TEST(Rotation, UnderFiftyScrapesASecondNoHolderOfAValidTokenIsRefused) {
  const auto token = [](int generation) { return "token-of-generation-" + std::to_string(generation); };
  const TokenFile file(token(0));
  RunningExporter exporter({.flags = {"--no-web.localhost-bypass", file.flag()}, .token = ""});
  std::atomic<int> generation = 0;
  Scraper scraper(exporter, [&] { return token(generation); });
  const auto reload = [&] {
    const auto reloads = [&] {
      const std::string log = exporter.child().err();
      int count = 0;
      for (auto at = log.find("\"configuration reloaded\""); at != log.npos; at = log.find("reloaded\"", at + 1))
        ++count;
      return count;
    };
    const int before = reloads();
    exporter.child().send_signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return reloads() > before; }));
  };
  for (int next = 1; next <= 10; ++next) {
    file.replace(token(next - 1) + "\n" + token(next) + "\n");  // both are good
    reload();
    generation = next;  // the scraper changes over; a request under way with the old one has the next 100 ms
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    file.replace(token(next));
    reload();
  }
  scraper.stop();
  EXPECT_EQ(scraper.bad(), 0);
  EXPECT_GE(scraper.good(), 20);
  EXPECT_EQ(exporter.get("/metrics", bearer(token(9))).status, 401);
}

}  // namespace
}  // namespace shmetrics::tests
