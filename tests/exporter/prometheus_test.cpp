// Real judges: promtool reads a scrape, a real Prometheus scrapes with a bearer token.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/exporter/running_exporter.hpp"

namespace shmetrics::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPrometheus = "/usr/bin/prometheus";
constexpr const char* kPromtool = "/usr/bin/promtool";

bool is_installed(const char* program) {
  return access(program, X_OK) == 0;
}

/// Free a moment ago; Prometheus does not tell which port it got for 0.
std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

/// A Prometheus that scrapes one exporter every second.
class RunningPrometheus {
 public:
  RunningPrometheus(std::uint16_t exporter_port, const std::string& token)
      : port_(free_port()), child_({.argv = command(exporter_port, token)}) {}

  /// The answer of its API, empty while it does not listen. HTTP/1.0, so that it comes without chunks.
  std::string ask(const std::string& path) const {
    try {
      return HttpClient::tcp4(port_).exchange("GET " + path + " HTTP/1.0\r\nHost: localhost\r\n\r\n").body;
    } catch (const std::runtime_error&) {
      return {};
    }
  }
  bool comes_to_say(const std::string& path, const std::string& text) const {
    return eventually([&] { return ask(path).find(text) != std::string::npos; }, std::chrono::seconds(60));
  }

 private:
  std::vector<std::string> command(std::uint16_t exporter_port, const std::string& token) const {
    std::ofstream(directory_.file("token")) << token;
    std::ofstream(directory_.file("prometheus.yml"))
        << "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        << "scrape_configs:\n- job_name: shmetrics\n  metrics_path: /api/metrics\n"
        << "  authorization: {type: Bearer, credentials_file: " << directory_.file("token") << "}\n"
        << "  static_configs: [{targets: ['127.0.0.1:" << exporter_port << "']}]\n";
    return {kPrometheus, "--config.file=" + directory_.file("prometheus.yml"),
            "--storage.tsdb.path=" + directory_.file("data"),
            "--web.listen-address=127.0.0.1:" + std::to_string(port_)};
  }

  TemporaryDirectory directory_;
  std::uint16_t port_;
  ChildProcess child_;
};

TEST(Promtool, AcceptsAScrape) {
  if (!is_installed(kPromtool)) GTEST_SKIP() << kPromtool << " is not installed";
  const TemporaryDirectory directory;
  const RunningExporter exporter;
  std::ofstream(directory.file("scrape")) << exporter.get("/api/metrics").body;
  ChildProcess promtool({.argv = {kPromtool, "check", "metrics"}, .input_path = directory.file("scrape")});
  EXPECT_EQ(promtool.exit_code(), 0) << promtool.out() << promtool.err();
}

TEST(Prometheus, ScrapesWithABearerToken) {
  if (!is_installed(kPrometheus)) GTEST_SKIP() << kPrometheus << " is not installed";
  const RunningExporter exporter({.flags = {"--no-web.localhost-bypass"}});
  const RunningPrometheus prometheus(exporter.port(), kToken);
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/targets", "\"health\":\"up\"")) << prometheus.ask("/api/v1/targets");
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/query?query=shmetrics_exporter_build_info", "\"compiler\":"));
  EXPECT_THAT(prometheus.ask("/api/v1/query?query=up"), HasSubstr(",\"1\"]"));
  EXPECT_THAT(prometheus.ask("/api/v1/metadata?metric=shmetrics_segment_up"), HasSubstr("\"gauge\""));
}

TEST(Prometheus, WithAWrongTokenTheTargetIsDownAndSaysWhy) {
  if (!is_installed(kPrometheus)) GTEST_SKIP() << kPrometheus << " is not installed";
  const RunningExporter exporter;  // on this machine, where no token at all would do
  const RunningPrometheus prometheus(exporter.port(), "wrong");
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/targets", "401 Unauthorized")) << prometheus.ask("/api/v1/targets");
}

}  // namespace
}  // namespace shmetrics::testing
