// The real shmetrics-exporter, on a port that the kernel chose, with a segment path where nothing is unless a test says
// otherwise.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/exporter/child_process.hpp"
#include "tests/exporter/http_client.hpp"

namespace shmetrics::testing {

inline constexpr const char* kToken = "correct-horse-battery-staple";

/// A directory of its own, gone with the object.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& parent = "/tmp") : path_(parent + "/shmetrics-test-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct ExporterSetup {
  std::vector<std::string> flags = {};
  std::string token = kToken;  // of METRICS_TOKEN
  std::string listen_address = "127.0.0.1:0";
  rlim_t max_fds = 0;
  std::string segment = {};  // empty: a path where nothing is
  std::string program = SHMETRICS_EXPORTER_PROGRAM;
  std::vector<std::string> environment = {};  // beside METRICS_TOKEN
  std::optional<uid_t> user = {};             // whom it runs as
};

class RunningExporter {
 public:
  explicit RunningExporter(const ExporterSetup& setup = {}) : child_(command_of(setup, directory_)) {
    // The last line of a start, with the port; the word has its quotes in logfmt and in JSON.
    if (!child_.says("\"listening\"")) throw std::runtime_error("the exporter does not start: " + child_.err());
    if (!setup.listen_address.starts_with("unix:")) port_ = port_in(child_.err());
  }

  std::uint16_t port() const { return port_; }
  ChildProcess& child() { return child_; }
  HttpClient connect() const { return HttpClient::tcp4(port_); }
  /// `fields` are whole lines, each with CRLF, Host among them.
  HttpResponse get(const std::string& target, const std::string& fields = "Host: localhost\r\n") const {
    return connect().exchange("GET " + target + " HTTP/1.1\r\n" + fields + "\r\n");
  }
  bool is_healthy() const { return get("/-/healthy").status == 200; }

 private:
  static ChildProcess::Command command_of(const ExporterSetup& setup, const TemporaryDirectory& directory) {
    const std::string segment = setup.segment.empty() ? directory.file("none.seg") : setup.segment;
    ChildProcess::Command command{.argv = {setup.program, "--segment", segment}, .max_fds = setup.max_fds};
    command.argv.push_back("--web.listen-address=" + setup.listen_address);
    command.argv.insert(command.argv.end(), setup.flags.begin(), setup.flags.end());
    command.environment = setup.environment;
    command.user = setup.user;
    if (!setup.token.empty()) command.environment.push_back("METRICS_TOKEN=" + setup.token);
    return command;
  }
  static std::uint16_t port_in(const std::string& log) {
    const std::size_t line = log.find("\"listening\"");
    const std::size_t colon = log.rfind(':', log.find('\n', line));
    return static_cast<std::uint16_t>(std::stoul(log.substr(colon + 1)));
  }

  TemporaryDirectory directory_;
  ChildProcess child_;
  std::uint16_t port_ = 0;
};

}  // namespace shmetrics::testing
