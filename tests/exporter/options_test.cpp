#include "exporter/options.hpp"

#include <gtest/gtest.h>

#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace shmetrics::exporter {
namespace {

Options parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "shmetrics-exporter");
  return parse_options(static_cast<int>(arguments.size()), arguments.data(), "/dev/shm/default.seg");
}

TEST(Options, DefaultsAreThoseOfTheContract) {
  const Options options = parse({});
  EXPECT_EQ(options.segments, (std::vector<SegmentSpec>{{"", "/dev/shm/default.seg"}}));
  ASSERT_EQ(options.listen_addresses.size(), 1U);
  EXPECT_EQ(options.listen_addresses[0].text, "127.0.0.1:5000");
  EXPECT_EQ(options.telemetry_path, "/api/metrics");
  EXPECT_TRUE(options.localhost_bypass);
  EXPECT_TRUE(options.query_token);
  EXPECT_FALSE(options.disable_exporter_metrics);
  EXPECT_TRUE(options.ui);
  EXPECT_EQ(options.log_level, LogLevel::kInfo);
  EXPECT_EQ(options.log_format, LogFormat::kLogfmt);
  EXPECT_EQ(options.answer, "");
}

TEST(Options, ValuesComeAfterAnEqualsSignOrABlank) {
  const Options options =
      parse({"--segment", "/a.seg", "--web.telemetry-path=/m", "--log.level=debug", "--log.format", "json"});
  EXPECT_EQ(options.segments, (std::vector<SegmentSpec>{{"", "/a.seg"}}));
  EXPECT_EQ(options.telemetry_path, "/m");
  EXPECT_EQ(options.log_level, LogLevel::kDebug);
  EXPECT_EQ(options.log_format, LogFormat::kJson);
}

TEST(Options, LimitsHaveTheDefaultsOfTheContractAndTakeNumbersAndDurations) {
  const Limits standard = parse({}).limits;
  EXPECT_EQ(standard.max_connections, 512U);
  EXPECT_EQ(standard.max_connections_per_peer, 64U);
  EXPECT_EQ(standard.header_timeout, std::chrono::seconds(10));
  EXPECT_EQ(standard.idle_timeout, std::chrono::seconds(60));
  EXPECT_EQ(standard.write_timeout, std::chrono::seconds(30));
  const Limits given = parse({"--web.max-connections=1000", "--web.max-connections-per-peer", "1",
                              "--web.header-timeout=1m30s", "--web.idle-timeout=500ms", "--web.write-timeout", "2s"})
                           .limits;
  EXPECT_EQ(given.max_connections, 1000U);
  EXPECT_EQ(given.max_connections_per_peer, 1U);
  EXPECT_EQ(given.header_timeout, std::chrono::seconds(90));
  EXPECT_EQ(given.idle_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(given.write_timeout, std::chrono::seconds(2));
}

TEST(Options, ListenAddressesAreRepeatable) {
  const Options options =
      parse({"--web.listen-address=:1", "--web.listen-address", "[::1]:2", "--web.listen-address=unix:/a"});
  ASSERT_EQ(options.listen_addresses.size(), 3U);
  EXPECT_EQ(options.listen_addresses[1].host, "::1");
}

TEST(Options, SegmentsAreRepeatable) {
  const Options options = parse({"--segment=/a.seg", "--segment", "crm=/b.seg", "--segment=[x]", "--log.level=warn"});
  EXPECT_EQ(options.segments, (std::vector<SegmentSpec>{{"a", "/a.seg"}, {"crm", "/b.seg"}, {"", "[x]", true}}));
  EXPECT_EQ(options.log_level, LogLevel::kWarn);
}

TEST(Options, TheDefaultSegmentIsAPathToTheLetter) {
  const char* name = "shmetrics-exporter";
  EXPECT_EQ(parse_options(1, &name, "a=/run/*.seg").segments, (std::vector<SegmentSpec>{{"", "a=/run/*.seg"}}));
}

TEST(Options, SwitchesHaveANegativeForm) {
  const Options off = parse({"--no-web.localhost-bypass", "--no-web.query-token", "--web.disable-exporter-metrics"});
  EXPECT_FALSE(off.localhost_bypass);
  EXPECT_FALSE(off.query_token);
  EXPECT_TRUE(off.disable_exporter_metrics);
  const Options on = parse({"--web.localhost-bypass", "--web.query-token", "--no-web.disable-exporter-metrics"});
  EXPECT_TRUE(on.localhost_bypass);
  EXPECT_TRUE(on.query_token);
  EXPECT_FALSE(on.disable_exporter_metrics);
}

TEST(Options, AWrongCommandLineIsOneLineThatNamesWhatIsWrong) {
  const std::vector<std::pair<std::vector<const char*>, const char*>> wrong{
      {{"--unknown"}, "--unknown"},
      {{"--seg", "/a"}, "--seg"},
      {{"--segmen=/a"}, "--segmen"},
      {{"-x"}, "-x"},
      {{"positional"}, "positional"},
      {{"--web.listen-address=:1", "stray"}, "stray"},
      {{"--no-segment"}, "--no-segment"},
      {{"--segment"}, "--segment needs a value"},
      {{"--segment="}, "--segment"},
      {{"--segment", ""}, "--segment"},
      {{"--segment=/a", "--segment="}, "--segment"},
      {{"--web.config.file", ""}, "--web.config.file: needs a value"},
      {{"--web.token-file", ""}, "--web.token-file: needs a value"},
      {{"--segment", "/a", "/b"}, "/b"},
      {{"--segment=/a", "--segment=/x/a"}, "has the name a too"},
      {{"--segment=a=/run/*"}, "--segment a=/run/*: one name cannot stand for many files"},
      {{"--segment=a="}, "--segment a=: the path is empty"},
      {{"--log.level=info", "--log.level=warn"}, "--log.level is given twice"},
      {{"--web.query-token=false"}, "--web.query-token takes no value"},
      {{"--web.listen-address=5000"}, "--web.listen-address 5000: the colon before the port is missing; give :PORT"},
      {{"--web.telemetry-path=metrics"}, "--web.telemetry-path metrics"},
      {{"--web.telemetry-path=/metrics/"}, "/metrics/"},
      {{"--web.telemetry-path=/"}, "--web.telemetry-path"},
      {{"--web.telemetry-path=/a?b"}, "/a?b"},
      {{"--web.telemetry-path=/-/ready"}, "/-/ready"},
      {{"--web.telemetry-path=/-/healthy"}, "paths below /-/ are taken by health checks"},
      {{"--web.telemetry-path=/ui"}, "--web.telemetry-path /ui: the live page has it; take another, or --no-web.ui"},
      {{"--web.telemetry-path=/ui/app.js"}, "/ui/app.js: the live page has it"},
      {{"--web.ui", "--web.telemetry-path=/api/v1/snapshot"}, "/api/v1/snapshot: the live page has it"},
      {{"--web.max-connections=0"}, "--web.max-connections 0: give a whole number from 1 to 65536"},
      {{"--web.max-connections=65537"}, "65537"},
      {{"--web.max-connections-per-peer=-1"}, "--web.max-connections-per-peer -1"},
      {{"--web.max-connections-per-peer=64k"}, "64k"},
      {{"--web.header-timeout="}, "--web.header-timeout"},
      {{"--web.header-timeout=10"}, "--web.header-timeout 10: give a duration from 1ms to 24h, such as 10s"},
      {{"--web.idle-timeout=0s"}, "--web.idle-timeout 0s"},
      {{"--web.write-timeout=forever"}, "forever"},
      {{"--web.write-timeout=1s", "--web.write-timeout=2s"}, "--web.write-timeout is given twice"},
      {{"--log.level=warning"}, "debug, error, info, warn"},
      {{"--log.level=INFO"}, "INFO"},
      {{"--log.format=xml"}, "json, logfmt"}};
  for (const auto& [arguments, expected] : wrong) {
    try {
      parse(arguments);
      ADD_FAILURE() << arguments[0];
    } catch (const UsageError& error) {
      const std::string line = error.what();
      EXPECT_NE(line.find(expected), std::string::npos) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    }
  }
}

TEST(Options, WithoutTheLivePageItsPathsMayHaveTheMetrics) {
  for (const char* path : {"/ui", "/ui/app.js", "/api/v1/snapshot"}) {
    EXPECT_EQ(parse({"--web.telemetry-path", path, "--no-web.ui"}).telemetry_path, path);
  }
  EXPECT_EQ(parse({"--web.telemetry-path=/uis"}).telemetry_path, "/uis");
}

TEST(Options, HelpNamesEveryFlagWithItsDefault) {
  const std::string help = parse({"--help"}).answer;
  for (const char* text : {"--segment",
                           "NAME=PATH",
                           "GLOB",
                           "/dev/shm/default.seg",
                           "--web.listen-address",
                           "127.0.0.1:5000",
                           "Flask",
                           "--web.telemetry-path",
                           "/api/metrics",
                           "--web.token-file",
                           "--web.config.file",
                           "--[no-]collector.worker-process",
                           "--[no-]web.localhost-bypass",
                           "--[no-]web.query-token",
                           "--[no-]web.disable-exporter-metrics",
                           "--[no-]web.systemd-socket",
                           "--web.max-connections",
                           "Limits:",
                           "--log.level",
                           "--log.format",
                           "--version",
                           "METRICS_TOKEN",
                           "Examples:"}) {
    EXPECT_NE(help.find(text), std::string::npos) << text << "\n" << help;
  }
}

TEST(Options, WhoAsksForHelpGetsItBesideAWrongValue) {
  EXPECT_FALSE(parse({"--web.max-connections=x", "--log.level=loud", "--help"}).answer.empty());
}

TEST(Options, TheExamplesOfTheHelpAreAccepted) {
  std::istringstream help(parse({"--help"}).answer);
  const std::string program = "  shmetrics-exporter ";
  int examples = 0;
  for (std::string line; std::getline(help, line);) {
    if (!line.starts_with(program)) continue;
    std::istringstream words(line.substr(program.size()));
    const std::vector<std::string> arguments(std::istream_iterator<std::string>(words), {});
    std::vector<const char*> pointers;
    for (const std::string& word : arguments) pointers.push_back(word.c_str());
    EXPECT_NO_THROW(parse(pointers)) << line;
    ++examples;
  }
  EXPECT_EQ(examples, 3);
}

TEST(Options, VersionNamesProgramRevisionAndCompiler) {
  const std::string version = parse({"--version"}).answer;
  EXPECT_TRUE(version.starts_with("shmetrics-exporter, version ")) << version;
  EXPECT_NE(version.find("revision: "), std::string::npos);
  EXPECT_NE(version.find("compiler: "), std::string::npos);
}

}  // namespace
}  // namespace shmetrics::exporter
