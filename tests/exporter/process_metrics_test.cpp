#include "exporter/scrape/process_metrics.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "exporter/scrape/self_metrics.hpp"

namespace shmetrics::exporter {
namespace {

TEST(ProcessMetrics, StatIsReadBehindAProgramNameFullOfTraps) {
  ProcessStatus status;
  parse_stat("12 (a) b ) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 7 0 1000 4096 3 99 0 0\n", status);
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  EXPECT_DOUBLE_EQ(status.cpu_seconds.value(), 200 / ticks);
  EXPECT_EQ(status.threads, 7U);
  EXPECT_DOUBLE_EQ(status.start_time_unix_seconds.value(), 1000 / ticks);
  EXPECT_EQ(status.virtual_memory_bytes, 4096U);
  EXPECT_EQ(status.resident_memory_bytes, 3U * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
}

TEST(ProcessMetrics, WhatCannotBeReadIsLeftOut) {
  for (const char* text : {"", "1 (x", "1 (x) R 1 2 3"}) {
    ProcessStatus status;
    parse_stat(text, status);
    EXPECT_FALSE(status.cpu_seconds || status.threads || status.resident_memory_bytes);
  }
  std::string out;
  const ScrapeQuery all;
  SelfText own(out, all);
  const ProcessStatus status = read_process_status("/nowhere");
  append_self_metrics(own, {.segments = {}, .process = &status});
  EXPECT_EQ(out.find("process_open_fds"), std::string::npos);
  EXPECT_EQ(out.find("process_start_time_seconds"), std::string::npos);
  EXPECT_NE(out.find("process_max_fds"), std::string::npos);
}

TEST(ProcessMetrics, ThisProcessHasAllOfThem) {
  const ProcessStatus status = read_process_status();
  EXPECT_EQ(status.threads, 1U);
  EXPECT_GE(status.open_fds, 3U);
  EXPECT_NEAR(status.start_time_unix_seconds.value(), static_cast<double>(time(nullptr)), 600);
  std::string out;
  const ScrapeQuery all;
  SelfText text(out, all);
  append_self_metrics(text, {.segments = {}, .process = &status});
  for (const char* name : {"cpu_seconds_total", "open_fds", "max_fds", "virtual_memory_bytes",
                           "virtual_memory_max_bytes", "resident_memory_bytes", "start_time_seconds", "threads"}) {
    EXPECT_NE(out.find(std::string("\nprocess_") + name + " "), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace shmetrics::exporter
