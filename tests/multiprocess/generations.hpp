// Generations of workers under scrapes by the real exporter: file, entries, answer and the exporter's memory stay what
// they were. Bounded: generations_test.cpp, long: generations_long_test.cpp.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <shmetrics/shmetrics.hpp>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <vector>

#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

class Generations : public ::testing::Test {
 protected:
  static constexpr int kAtOnce = 8;
  struct Footprint {
    long file_bytes = 0;
    double unused_entries = 0;
    std::size_t answered_lines = 0;
    bool operator==(const Footprint&) const = default;
  };

  Generations() {
    Options options;
    options.path = path_;
    const Registry registry = Registry::open(options);
    hits_ = registry.counter("hits_total", "Hits", {"n"});
    duration_ = registry.histogram("duration_seconds", "Durations");
    active_ = registry.gauge("active", "Active");
    for (int n = 0; n < 100; ++n) static_cast<void>(hits_.with(std::to_string(n)));
  }

  /// Eight workers at once: some end in order, some by _exit, some by kill -9.
  void run_generation() {
    const Baton done;
    const Baton stop;
    std::vector<pid_t> workers;
    for (int i = 0; i < kAtOnce; ++i) {
      workers.push_back(forked([&, i] {
        hits_.with(std::to_string(generations_ % 100)).inc();
        duration_.observe(1);
        active_.set(1);
        done.pass();
        stop.receive();
        if (i % 3 == 1) _exit(0);
        return 0;
      }));
    }
    done.receive(kAtOnce);
    for (int i = 2; i < kAtOnce; i += 3) kill_and_wait(workers[i]);
    for (int i = 0; i < kAtOnce; ++i) stop.pass();
    for (int i = 0; i < kAtOnce; ++i) {
      if (i % 3 == 2) continue;
      EXPECT_EQ(wait_for(workers[i]), 0);
    }
    ++generations_;
  }
  void run(int generations) {
    for (const int end = generations_ + generations; generations_ < end;) {
      run_generation();
      if (generations_ % 4 != 0) continue;
      EXPECT_EQ(exporter_.values()["duration_seconds_count"], generations_ * kAtOnce);
    }
  }

  Footprint footprint() {
    struct stat file {};
    stat(path_.c_str(), &file);
    auto values = exporter_.values();
    return {file.st_blocks * 512, values["shmetrics_workers{state=\"unused\"}"], values.size()};
  }
  long resident_kib() {
    std::ifstream statm("/proc/" + std::to_string(exporter_.child().pid()) + "/statm");
    long size = 0, resident = 0;
    statm >> size >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
  }
  /// Of a hundred scrapes, in milliseconds; for the eye, not for a verdict.
  double scrape_ms() {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) static_cast<void>(exporter_.text());
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / 100;
  }

  void endure(int generations) {
    run(20);
    const Footprint before = footprint();
    const double ms_before = scrape_ms();
    const long resident_before = resident_kib();
    run(generations - 20);
    const Footprint after = footprint();
    // A worker counts as dead later when somebody, such as ps, reads its /proc just then; an entry more is taken then.
    const double late = before.unused_entries - after.unused_entries;
    EXPECT_GE(after.unused_entries, 256 - 2 * kAtOnce);
    EXPECT_LE(static_cast<double>(after.file_bytes - before.file_bytes), late * 32 * 1024);
    EXPECT_EQ(after.answered_lines, before.answered_lines);
    const double ms_after = scrape_ms();
    EXPECT_LE(resident_kib(), resident_before + 1024);
    std::printf("%d workers: file %ld KiB then %ld, exporter %ld KiB then %ld, scrape %.2f ms then %.2f\n",
                generations * kAtOnce, before.file_bytes / 1024, after.file_bytes / 1024, resident_before,
                resident_kib(), ms_before, ms_after);
    EXPECT_EQ(exporter_.values()["active"], 0);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Family<Counter, 1> hits_;
  Family<Histogram, 0> duration_;
  Family<Gauge, 0> active_;
  RunningExporter exporter_{{.flags = {"--web.disable-exporter-metrics"}, .segment = path_}};
  int generations_ = 0;
};

}  // namespace shmetrics::tests
