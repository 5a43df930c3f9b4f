// How much memory does the exporter need at most for a scrape of SERIES series, in each format and coding? How long?
//
// Eight processes have counted SERIES counters of three labels. For each row a fresh exporter is scraped. Then: bytes
// of the answer; processor time of a scrape, of all threads, without the first; what the exporter had in memory at most
// (VmHWM); and what it has at the end: memory of its own (RssAnon), pages of the segment that it has mapped (RssShmem),
// programs and libraries (RssFile).
//
// Run: build/release/bin/memory_bench [SERIES [EXPORTER]]      another exporter, to compare with
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "bench/counted_segment.hpp"
#include "tests/running_exporter.hpp"

namespace {

using shmetrics::bench::cpu_seconds;
using shmetrics::bench::memory_mb;
using shmetrics::tests::RunningExporter;

void print_row(const std::string& name, const std::string& fields, const std::string& segment,
               const std::string& program, int scrapes, std::size_t whole_bytes) {
  RunningExporter exporter({.flags = {"--web.max-response-bytes=512MiB", "--web.max-inflight-bytes=1GiB"},
                            .segment = segment,
                            .program = program});
  std::size_t bytes = 0;
  while (bytes < whole_bytes) bytes = exporter.text(fields).size();  // a first look may take longer than a scrape may
  const pid_t pid = exporter.child().pid();
  const double before = cpu_seconds(pid);
  for (int i = 0; i < scrapes; ++i) exporter.text(fields);
  const double each = (cpu_seconds(pid) - before) / scrapes;
  std::printf("%-18s %9zu bytes, %6.2f ms, at most %5.1f MB; ", name.c_str(), bytes, each * 1e3, memory_mb(pid));
  std::printf("at the end %5.1f of its own, %5.1f of the segment, %4.1f of files\n", memory_mb(pid, "RssAnon:"),
              memory_mb(pid, "RssShmem:"), memory_mb(pid, "RssFile:"));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int series = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const std::string program = argc > 2 ? argv[2] : SHMETRICS_EXPORTER_PROGRAM;
  if (series < 1) return std::fprintf(stderr, "usage: memory_bench [SERIES [EXPORTER]]\n"), 2;
  const shmetrics::bench::CountedSegment segment(series);
  const auto whole_bytes = static_cast<std::size_t>(series);  // less is the exporter's own metrics alone
  const int scrapes = std::clamp(4'000'000 / series, 2, 1000);
  constexpr const char* kOpenmetrics = "Accept: application/openmetrics-text;version=1.0.0\r\n";
  const std::pair<std::string, std::string> formats[] = {
      {"text", ""}, {"OpenMetrics", kOpenmetrics}, {"protobuf", shmetrics::tests::kAcceptProtobuf}};
  std::printf("%d series of %d processes\n", series, shmetrics::bench::kProcesses);
  for (const auto& [name, fields] : formats) {
    print_row(name + ", gzip", fields + "Accept-Encoding: gzip\r\n", segment.path(), program, scrapes, whole_bytes);
    print_row(name, fields, segment.path(), program, scrapes, whole_bytes);
  }
  return 0;
}
