// Settings follow their files, whole or not at all.
#include "exporter/reload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/exporter/certificates.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::exporter {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class ReloadTest : public ::testing::Test {
 protected:
  ReloadTest() { write("first-token-of-length\n"); }
  void write(const std::string& text) { std::ofstream(path_) << text; }
  void replace(const std::string& text) {
    std::ofstream(folder_.file("new")) << text;
    std::filesystem::rename(folder_.file("new"), path_);
  }
  Reload started() {
    return Reload({.environment_tokens = TokenSet::from_list("fixed-token-of-length"), .token_file = path_}, site_,
                  counts_);
  }
  bool takes(const char* token) const { return site_.settings->auth.tokens.matches(token); }
  /// What two looks, the second of which finds the files settled, log.
  static std::string look_twice(Reload& reload) {
    CaptureStderr();
    reload.reload_if_changed();
    reload.reload_if_changed();
    return GetCapturedStderr();
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("tokens");
  Site site_;
  RequestCounts counts_;
};

TEST_F(ReloadTest, TheFileAndTheEnvironmentAddUp) {
  const Reload reload = started();
  EXPECT_TRUE(takes("first-token-of-length") && takes("fixed-token-of-length"));
  EXPECT_GT(counts_.last_reload_success, 1.7e9);
}

TEST_F(ReloadTest, AFileThatIsMissingUnreadableOrEmptyFailsTheStartAndNamesTheRemedy) {
  const auto complaint = [this](const std::string& path) -> std::string {
    try {
      Reload({.environment_tokens = {}, .token_file = path}, site_, counts_);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(complaint("/nowhere/tokens"),
              HasSubstr("--web.token-file /nowhere/tokens: cannot read it (No such file"));
  EXPECT_THAT(complaint(folder_.file("")), HasSubstr("not a regular file"));
  EXPECT_THAT(complaint("/dev/null"), HasSubstr("not a regular file"));
  mkfifo(folder_.file("fifo").c_str(), 0600);
  EXPECT_THAT(complaint(folder_.file("fifo")), HasSubstr("not a regular file"));
  write("# none\n");
  EXPECT_THAT(complaint(path_), HasSubstr("openssl rand"));
  write(std::string(kMaxConfigFileBytes + 1, '\n'));
  EXPECT_THAT(complaint(path_), HasSubstr("longer than"));
}

TEST_F(ReloadTest, AFileWrittenAgainIsReadOnceItIsSettled) {
  Reload reload = started();
  const auto before = site_.settings;
  EXPECT_EQ(look_twice(reload), "");
  EXPECT_EQ(site_.settings, before);
  write("second-token-of-length\n");
  CaptureStderr();
  reload.reload_if_changed();
  EXPECT_EQ(GetCapturedStderr(), "");
  EXPECT_EQ(site_.settings, before);
  EXPECT_THAT(look_twice(reload), HasSubstr("msg=\"configuration reloaded\" tokens=2"));
  EXPECT_TRUE(takes("second-token-of-length") && takes("fixed-token-of-length"));
  EXPECT_FALSE(takes("first-token-of-length"));
  EXPECT_TRUE(before->auth.tokens.matches("first-token-of-length"));  // who holds the old object sees the old set
  EXPECT_EQ(look_twice(reload), "");
}

TEST_F(ReloadTest, ARenameOverTheFileIsNoticed) {
  Reload reload = started();
  replace("second-token-of-length\n");
  look_twice(reload);
  EXPECT_TRUE(takes("second-token-of-length"));
}

TEST_F(ReloadTest, ASwapOfTheLinkedDirectoryIsNoticed) {
  // What Kubernetes does: ..data is a link to a directory, the file one to ..data/tokens.
  for (const char* version : {"1", "2"}) {
    std::filesystem::create_directory(folder_.file(version));
    std::ofstream(folder_.file(version) + "/tokens") << "token-of-version-" << version;
  }
  std::filesystem::create_directory_symlink("1", folder_.file("..data"));
  path_ = folder_.file("mounted");
  std::filesystem::create_symlink("..data/tokens", path_);
  Reload reload = started();
  EXPECT_TRUE(takes("token-of-version-1"));
  std::filesystem::create_directory_symlink("2", folder_.file("..data_tmp"));
  std::filesystem::rename(folder_.file("..data_tmp"), folder_.file("..data"));
  look_twice(reload);
  EXPECT_TRUE(takes("token-of-version-2"));
}

TEST_F(ReloadTest, ABadNewFileKeepsTheOldSettingsSaysSoOnceAndIsReadAgainWhenMended) {
  Reload reload = started();
  const double loaded_at = counts_.last_reload_success;
  for (const char* bad : {"", "two words\n"}) {
    replace(bad);
    EXPECT_THAT(look_twice(reload), HasSubstr("level=error msg=\"configuration not reloaded, the old one stays\""));
    EXPECT_EQ(look_twice(reload), "");
    EXPECT_TRUE(takes("first-token-of-length"));
    EXPECT_FALSE(counts_.is_last_reload_successful);
    EXPECT_EQ(counts_.last_reload_success, loaded_at);
  }
  std::filesystem::remove(path_);
  EXPECT_THAT(look_twice(reload), HasSubstr("cannot read it"));
  EXPECT_TRUE(takes("first-token-of-length"));
  write("second-token-of-length\n");
  look_twice(reload);
  EXPECT_TRUE(takes("second-token-of-length"));
  EXPECT_TRUE(counts_.is_last_reload_successful);
  EXPECT_GT(counts_.last_reload_success, loaded_at);
}

TEST_F(ReloadTest, ReloadReadsWhetherFilesHaveChangedOrNot) {
  Reload reload = started();
  const auto before = site_.settings;
  reload.reload();
  EXPECT_NE(site_.settings, before);
}

TEST_F(ReloadTest, ClientsAreDemandedNoLessOfUntilARestart) {
  tests::Authority ca;
  ca.sign("own", "DNS:localhost");
  const std::string path = ca.file("web.yml");
  const auto demand = [&](const std::string& client_auth) {
    std::ofstream(path) << "tls_server_config: {cert_file: own.pem, key_file: own.key, client_ca_file: ca.pem, "
                        << "client_auth_type: " << client_auth << "}\n";
  };
  const std::map<std::string, std::vector<std::string>> weaker{
      {"RequestClientCert", {}},
      {"RequireAnyClientCert", {"RequestClientCert", "VerifyClientCertIfGiven"}},
      {"VerifyClientCertIfGiven", {"RequestClientCert", "RequireAnyClientCert"}},
      {"RequireAndVerifyClientCert", {"RequestClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven"}}};
  for (const auto& [from, less] : weaker) {
    for (const auto& [to, ignored] : weaker) {
      SCOPED_TRACE(from + " -> " + to);
      demand(from);
      Site site;
      Reload reload({.environment_tokens = {}, .web_config_file = path}, site, counts_);
      const auto before = site.settings;
      demand(to);
      CaptureStderr();
      reload.reload();
      const bool is_less = std::ranges::count(less, to) != 0;
      EXPECT_THAT(GetCapturedStderr(), HasSubstr(is_less ? "gone from the configuration; to do without, restart"
                                                         : "msg=\"configuration reloaded\""));
      EXPECT_EQ(site.settings == before, is_less);
    }
  }
}

TEST_F(ReloadTest, AFileThatOthersCanReadOrWriteIsWarnedOf) {
  chmod(path_.c_str(), 0644);
  const Reload reload = started();
  CaptureStderr();
  reload.log_warnings();
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("run: chmod o-r " + path_));
  chmod(path_.c_str(), 0660);
  const Reload writable = started();
  CaptureStderr();
  writable.log_warnings();
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("other users of this machine can write " + path_));
  chmod(path_.c_str(), 0640);
  const Reload closed = started();
  CaptureStderr();
  closed.log_warnings();
  EXPECT_THAT(GetCapturedStderr(), Not(HasSubstr("chmod")));
}

}  // namespace
}  // namespace shmetrics::exporter
