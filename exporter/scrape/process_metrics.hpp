// The standard process_* metrics, of this process. What /proc does not tell is left out.
// Source: prometheus.io/docs/instrumenting/writing_clientlibs, "Process metrics".
//
// Threads: any. Failure: std::bad_alloc alone; what cannot be read is left out. Lifetime: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shmetrics::exporter {

struct ProcessStatus {
  std::optional<double> cpu_seconds, start_time_unix_seconds;
  std::optional<std::uint64_t> open_fds, max_fds, threads;
  std::optional<std::uint64_t> virtual_memory_bytes, virtual_memory_max_bytes, resident_memory_bytes;
};

/// What `root`/self, `root`/stat and getrlimit(2) say now; `root` is "/proc" but in tests. Never throws for what it
/// cannot read.
ProcessStatus read_process_status(const std::string& root = "/proc");

/// The same of any process, without its limits: `directory` is its own below /proc.
ProcessStatus read_process(const std::string& directory, std::optional<double> boot_unix_seconds);
/// Unix time of the machine's start, from `root`/stat.
std::optional<double> boot_time(const std::string& root = "/proc");

/// From the text of /proc/PID/stat (proc(5)); the program name may hold blanks and parentheses.
void parse_stat(std::string_view text, ProcessStatus& status);

}  // namespace shmetrics::exporter
