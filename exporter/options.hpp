// The command line of shmetrics-exporter. Pure: argv in, options or one line of complaint out.
//
// Threads: any. Failure: UsageError with one line. Lifetime: values.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "exporter/http/listen_address.hpp"
#include "exporter/log.hpp"
#include "exporter/request/limits.hpp"
#include "exporter/scrape/segment_owner.hpp"
#include "exporter/scrape/segment_spec.hpp"

namespace shmetrics::exporter {

struct Options {
  std::vector<SegmentSpec> segments;
  SegmentOwners owners;
  std::vector<ListenAddress> listen_addresses;
  std::string telemetry_path = "/api/metrics";
  std::string web_config_file, token_file;  // empty: none
  bool localhost_bypass = true;
  bool query_token = true;
  bool disable_exporter_metrics = false;
  bool compression = true;
  bool created_series = false;
  bool worker_process = false;
  bool ui = true;               // the live page and its snapshot
  bool systemd_socket = false;  // instead of listen_addresses
  Limits limits;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kLogfmt;
  std::string answer;  // --help and --version: print it to stdout and exit 0
};

/// The command line is wrong (exit code 2); one line that says what to do.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Flags kingpin's way: `--x=v`, `--x v`, `--x` and `--no-x`; no abbreviations, a flag once unless it says repeatable.
/// Throws UsageError.
Options parse_options(int argc, const char* const* argv, const std::string& default_segment);

}  // namespace shmetrics::exporter
