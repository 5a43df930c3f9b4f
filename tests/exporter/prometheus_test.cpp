// Real judges: promtool reads a scrape, a real Prometheus scrapes with a bearer token.
#include <crypt.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include <shmetrics/shmetrics.hpp>

#include "tests/collector/sample_line.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/exporter/certificates.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;

// Those that PATH has first: of this system, or of another that tests/package/prometheus.sh brings along.
constexpr const char* kPrometheus = "prometheus";
constexpr const char* kPromtool = "promtool";

bool is_installed(const char* program) {
  return run_command({program, "--version"}).code == 0;
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
  /// `how`: lines of the scrape configuration; without them, the token as a bearer over HTTP.
  RunningPrometheus(std::uint16_t exporter_port, const std::string& token, const std::string& how = "",
                    const std::vector<std::string>& flags = {})
      : port_(free_port()), child_({.argv = command(exporter_port, token, how, flags), .inherits_environment = true}) {}

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
  std::vector<std::string> command(std::uint16_t exporter_port, const std::string& token, const std::string& how,
                                   const std::vector<std::string>& flags) const {
    std::ofstream(directory_.file("token")) << token;
    std::ofstream(directory_.file("prometheus.yml"))
        << "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        << "scrape_configs:\n- job_name: shmetrics\n  metrics_path: /api/metrics\n"
        << (how.empty() ? "  authorization: {type: Bearer, credentials_file: " + directory_.file("token") + "}\n" : how)
        << "  static_configs: [{targets: ['127.0.0.1:" << exporter_port << "']}]\n";
    std::vector<std::string> command{kPrometheus, "--config.file=" + directory_.file("prometheus.yml"),
                                     "--storage.tsdb.path=" + directory_.file("data"),
                                     "--web.listen-address=127.0.0.1:" + std::to_string(port_)};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }

  TemporaryFolder directory_;
  std::uint16_t port_;
  ChildProcess child_;
};

/// A worker's segment, with every kind in it and label values that need escapes.
class WorkerSegment {
 public:
  WorkerSegment() {
    Options options;
    options.path = path_;
    const Registry registry = Registry::open(options);
    registry.counter("crm_requests_total", "Requests", {"route"}).with("/\"quoted\"\\\n\xc3\xbc").inc(7);
    registry.float_counter("crm_cost_dollars_total", "Money").inc(0.1);
    registry.gauge("crm_active", "Active", {}, GaugeMode::liveall).set(3);
    registry.histogram("crm_wait_seconds", "Waits", {"queue"}).with("mail").observe(0.3);
    registry.summary("crm_response_bytes", "Sizes").observe(1e9);
    registry.info("crm_build_info", "Build", {{"version", "1.2.3"}});
  }
  const std::string& path() const { return path_; }

 private:
  TemporaryFolder directory_;
  std::string path_ = directory_.file("crm.seg");
};

TEST(Promtool, AcceptsAScrape) {
  if (!is_installed(kPromtool)) GTEST_SKIP() << kPromtool << " is not installed";
  const WorkerSegment segment;
  const RunningExporter exporter({.segment = segment.path()});
  EXPECT_THAT(exporter.get("/api/metrics").body, HasSubstr("crm_wait_seconds_bucket{queue=\"mail\",le=\"+Inf\"} 1\n"));
  const Outcome promtool = run_command({kPromtool, "check", "metrics"}, exporter.get("/api/metrics").body);
  EXPECT_EQ(promtool.code, 0) << promtool.out << promtool.error;
}

TEST(Promtool, AcceptsAScrapeOfTwoSegmentsAndAMissingOne) {
  if (!is_installed(kPromtool)) GTEST_SKIP() << kPromtool << " is not installed";
  SegmentBuilder a, b;
  const auto things = counter("crm_things_total", {"segment"});
  a.series(a.family(things), {"own"});
  b.series(b.family(things), {"own"});
  a.family(histogram("crm_wait_seconds", {0.1, 1}));
  b.family(histogram("crm_wait_seconds", {0.2}));
  b.family(gauge("crm_wait_seconds_created", shm::GaugeMode::kSum));
  const RunningExporter exporter(
      {.flags = {"--segment=b=" + b.path(), "--segment=c=/nowhere"}, .segment = "a=" + a.path()});
  const std::string text = exporter.get("/api/metrics").body;
  EXPECT_THAT(text, HasSubstr("crm_things_total{segment=\"b\",exported_segment=\"own\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("shmetrics_quarantined{segment=\"b\",what=\"family\"} 1\n"));
  const Outcome promtool = run_command({kPromtool, "check", "metrics"}, text);
  EXPECT_EQ(promtool.code, 0) << promtool.out << promtool.error;
}

TEST(Prometheus, ScrapesWithABearerToken) {
  if (!is_installed(kPrometheus)) GTEST_SKIP() << kPrometheus << " is not installed";
  const WorkerSegment segment;
  const RunningExporter exporter({.flags = {"--no-web.localhost-bypass"}, .segment = segment.path()});
  const RunningPrometheus prometheus(exporter.port(), kToken);
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/query?query=crm_requests_total", ",\"7\"]"));
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/targets", "\"health\":\"up\"")) << prometheus.ask("/api/v1/targets");
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/query?query=shmetrics_exporter_build_info", "\"compiler\":"));
  EXPECT_THAT(prometheus.ask("/api/v1/query?query=up"), HasSubstr(",\"1\"]"));
  EXPECT_THAT(prometheus.ask("/api/v1/metadata?metric=shmetrics_segment_up"), HasSubstr("\"gauge\""));
}

TEST(Prometheus, GetsOpenmetricsSinceItPrefersThat) {
  if (!is_installed(kPrometheus)) GTEST_SKIP() << kPrometheus << " is not installed";
  const WorkerSegment segment;
  const RunningExporter exporter({.flags = {"--web.created-series"}, .segment = segment.path()});
  const RunningPrometheus prometheus(exporter.port(), kToken);
  // In OpenMetrics alone are there these series, and a unit.
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/query?query=crm_response_bytes_created", ",\"1"));
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/metadata?metric=process_cpu_seconds", "\"unit\":\"seconds\""));
  EXPECT_THAT(prometheus.ask("/api/v1/query?query=crm_wait_seconds_count"), HasSubstr(",\"1\"]"));
  EXPECT_THAT(prometheus.ask("/api/v1/targets"), HasSubstr("\"health\":\"up\""));
}

using Samples = std::map<std::pair<std::string, std::map<std::string, std::string>>, double>;

/// By protobuf Prometheus writes each bound with a point, as OpenMetrics has it; the text has none in whole ones.
std::map<std::string, std::string> with_plain_bound(std::map<std::string, std::string> labels) {
  if (labels.contains("le")) labels["le"] = std::to_string(*exposed_number(labels["le"]));
  return labels;
}

/// A native histogram as classic samples with these bounds, each of which has to be a border of it.
void add_classic(Samples& samples, const std::string& name, const nlohmann::json& histogram,
                 const std::vector<double>& bounds) {
  const auto number = [](const nlohmann::json& text) { return *exposed_number(text.get<std::string>()); };
  samples[{name + "_count", {}}] = number(histogram["count"]);
  samples[{name + "_sum", {}}] = number(histogram["sum"]);
  for (const double bound : bounds) {
    double below = 0;
    for (const auto& bucket : histogram["buckets"]) {
      if (number(bucket[2]) <= bound) below += number(bucket[3]);
    }
    samples[{name + "_bucket", {{"le", std::to_string(bound)}}}] = below;
  }
}

/// What Prometheus has of the exporter, without what it adds itself; native histograms at these bounds.
Samples stored(const RunningPrometheus& prometheus, const std::vector<double>& bounds) {
  Samples samples;
  const auto answer = nlohmann::json::parse(prometheus.ask("/api/v1/query?query=%7Bjob%3D%22shmetrics%22%7D"));
  for (const auto& sample : answer["data"]["result"]) {
    auto labels = sample["metric"].get<std::map<std::string, std::string>>();
    const std::string name = labels["__name__"];
    if (name == "up" || name.starts_with("scrape_")) continue;
    for (const char* added : {"__name__", "instance", "job"}) labels.erase(added);
    if (sample.contains("histogram")) {
      add_classic(samples, name, sample["histogram"][1], bounds);
      continue;
    }
    samples[{name, with_plain_bound(labels)}] = *exposed_number(sample["value"][1].get<std::string>());
  }
  return samples;
}

/// The same of a text, whose label values hold no escapes.
Samples written(const std::string& text) {
  Samples samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    SampleLine sample;
    if (line.starts_with("#")) continue;
    EXPECT_EQ(parse_sample(line, sample), "") << line;
    samples[{sample.name, with_plain_bound(sample.labels)}] = *exposed_number(sample.value);
  }
  return samples;
}

TEST(Prometheus, ByProtobufHasWhatTheTextSaysOfEveryKind) {
  if (!is_installed(kPrometheus)) GTEST_SKIP() << kPrometheus << " is not installed";
  const TemporaryFolder directory;
  Options options;
  options.path = directory.file("crm.seg");
  const Registry registry = Registry::open(options);
  registry.counter("crm_requests_total", "Requests", {"route"}).with("/x").inc((std::uint64_t{1} << 53) + 2);
  registry.float_counter("crm_cost_dollars_total", "Money").inc(0.1);
  registry.gauge("crm_each", "Each", {}, GaugeMode::liveall).set(-INFINITY);
  registry.gauge("crm_active", "Active").set(-3.5);
  registry.histogram("crm_wait_seconds", "Waits", {"queue"}, {0.1, 1, 2.5, 1e7}).with("mail").observe(1.5);
  registry.histogram("crm_unused_seconds", "Waits").observe(1e9);
  registry.summary("crm_response_bytes", "Sizes").observe(1e9);
  const auto lag = registry.native_histogram("crm_lag_seconds", "Lag", {}, {.low = 0.25, .high = 4, .factor = 1.1});
  for (const double value : {0.0, 0.3, 0.5, 0.6, 1.7, 3.9, 100.0}) lag.observe(value);
  registry.info("crm_build_info", "Build", {{"version", "1.2.3"}});
  const RunningExporter exporter({.flags = {"--collector.worker-process"}, .segment = options.path});
  const RunningPrometheus prometheus(exporter.port(), kToken, "",
                                     {"--enable-feature=native-histograms,exemplar-storage"});
  ASSERT_TRUE(prometheus.comes_to_say("/api/v1/query?query=crm_requests_total", "9007199254740994"))
      << prometheus.ask("/api/v1/targets");
  Samples by_text = written(exporter.text()), by_protobuf = stored(prometheus, {0.25, 0.5, 1, 2, 4, INFINITY});
  const auto is_quiet = [](const auto& sample) {
    const std::string& name = sample.first.first;
    return name.starts_with("crm_") || name == "shmetrics_segment_up" || name.starts_with("shmetrics_workers");
  };
  // What the exporter and the kernel count goes on between two scrapes: its names and labels have to be the same.
  for (auto* samples : {&by_text, &by_protobuf}) {
    for (auto& sample : *samples) {
      if (!is_quiet(sample)) sample.second = 0;
    }
  }
  EXPECT_EQ(by_protobuf, by_text);
  EXPECT_GT(std::count_if(by_text.begin(), by_text.end(), is_quiet), 38);
  EXPECT_EQ((by_protobuf[{"crm_response_bytes_count", {}}]), 1) << "of a summary that has no quantiles";
  // It was protobuf: of text 0.0.4 this bound would be "1", of OpenMetrics the metadata would be of crm_requests.
  EXPECT_THAT(prometheus.ask("/api/v1/query?query=crm_wait_seconds_bucket"), HasSubstr("\"le\":\"1.0\""));
  EXPECT_THAT(prometheus.ask("/api/v1/metadata?metric=crm_requests_total"), HasSubstr("\"counter\""));
}

/// An exporter behind TLS that a Prometheus scrapes as `how` says, from a file with this user and these client rules.
void expect_scraped_over_tls(const Authority& ca, const std::string& web, const std::string& token,
                             const std::string& how, bool is_up) {
  std::ofstream(ca.file("web.yml")) << web;
  const RunningExporter exporter(
      {.flags = {"--no-web.localhost-bypass", "--web.config.file=" + ca.file("web.yml")}, .token = token});
  const RunningPrometheus prometheus(exporter.port(), "",
                                     "  scheme: https\n  tls_config: {ca_file: " + ca.certificate("ca") + how);
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/targets", is_up ? "\"health\":\"up\"" : "\"health\":\"down\""))
      << prometheus.ask("/api/v1/targets");
}

TEST(Prometheus, ScrapesOverTlsWithATokenAPasswordOrACertificate) {
  if (!is_installed(kPrometheus)) GTEST_SKIP() << kPrometheus << " is not installed";
  Authority ca;
  ca.sign("own", "DNS:localhost,IP:127.0.0.1");
  ca.sign("prometheus", "DNS:prometheus.example.org", "clientAuth");
  const std::string tls = "tls_server_config:\n  cert_file: own.pem\n  key_file: own.key\n";
  const std::string client = ", cert_file: " + ca.certificate("prometheus") + ", key_file: " + ca.key("prometheus");
  const std::string users =
      std::string("basic_auth_users:\n  prom: ") + crypt("secret", "$2b$06$abcdefghijklmnopqrstuu");
  const std::string mutual =
      "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
      "  client_allowed_sans: [prometheus.example.org]\n";
  expect_scraped_over_tls(ca, tls, kToken, std::string("}\n  authorization: {credentials: ") + kToken + "}\n", true);
  expect_scraped_over_tls(ca, tls + users, "", "}\n  basic_auth: {username: prom, password: secret}\n", true);
  expect_scraped_over_tls(ca, tls + users, "", "}\n  basic_auth: {username: prom, password: wrong}\n", false);
  expect_scraped_over_tls(ca, tls + mutual, "", client + "}\n", true);
  expect_scraped_over_tls(ca, tls + mutual, "", "}\n", false);
}

TEST(Prometheus, WithAWrongTokenTheTargetIsDownAndSaysWhy) {
  if (!is_installed(kPrometheus)) GTEST_SKIP() << kPrometheus << " is not installed";
  const RunningExporter exporter;  // on this machine, where no token at all would do
  const RunningPrometheus prometheus(exporter.port(), "wrong");
  EXPECT_TRUE(prometheus.comes_to_say("/api/v1/targets", "401 Unauthorized")) << prometheus.ask("/api/v1/targets");
}

}  // namespace
}  // namespace shmetrics::tests
