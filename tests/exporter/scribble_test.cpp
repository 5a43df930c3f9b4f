// The exporter itself, over HTTP, while its segment is scribbled over: 200 and well-formed, whatever is there.
#include "tests/scribbler.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <shmetrics/shmetrics.hpp>

#include "tests/collector/protobuf_checker.hpp"
#include "tests/collector/text_checker.hpp"
#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using Clock = std::chrono::steady_clock;

int count_until(const std::string& path, const std::atomic<bool>& end) {
  alarm(60);
  shmetrics::Options options;
  options.path = path;
  std::error_code error;
  const auto registry = shmetrics::Registry::open(options, error);
  for (int round = 0; !end; ++round) {
    registry.counter("crm_things_total", "Things", {"kind"}).with(std::to_string(round % 100)).inc();
    registry.histogram("crm_seconds", "Time", {}, {0.1, 1}, {.exemplars = true}).observe(0.5, {"trace", "span"});
    registry.native_histogram("crm_bytes", "Size", {"kind"}, {1, 4096, 1.5}, {.exemplars = true})
        .with(std::to_string(round % 10))
        .observe(100, {"trace", "span"});
    registry.gauge("crm_active", "Active", {}, shmetrics::GaugeMode::max).set(round);
  }
  return 0;
}

TEST(ScribbledExporter, EveryScrapeIs200AndWellFormedAndTheExporterAndTheWorkersLive) {
  const TemporaryFolder directory;
  const std::string path = directory.file("a.seg");
  std::atomic<bool>& end = shared<std::atomic<bool>>();
  {
    shmetrics::Options options;
    options.path = path;
    ASSERT_TRUE(shmetrics::Registry::open(options));
  }
  RunningExporter exporter({.segment = path});
  const pid_t worker = forked([&] { return count_until(path, end); });
  const pid_t scribbler = forked([&] { return scribble(path, 0, end, 3); });
  int up = 0;
  for (const auto until = Clock::now() + std::chrono::seconds(3); Clock::now() < until && !HasFailure();) {
    const HttpResponse response = exporter.get("/metrics");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(TextChecker::problem(response.body), "");
    const std::string protobuf = exporter.text(kAcceptProtobuf);
    EXPECT_EQ(TextChecker::problem(ProtobufChecker::text_of(protobuf, std::time(nullptr))), "");
    up += response.body.find("\nshmetrics_segment_up 1\n") != std::string::npos;
  }
  end = true;
  EXPECT_EQ(wait_for(worker), 0);
  EXPECT_EQ(wait_for(scribbler), 0);
  EXPECT_TRUE(exporter.is_healthy());
  EXPECT_GT(up, 0);
}

}  // namespace
}  // namespace shmetrics::tests
