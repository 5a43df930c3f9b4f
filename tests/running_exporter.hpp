// The real shmetrics-exporter, on a port that the kernel chose. Unless a test says otherwise, it has no segment.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/child_process.hpp"
#include "tests/http_client.hpp"
#include "tests/samples.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

inline constexpr const char* kToken = "correct-horse-battery-staple";

/// A field of a request, for text().
inline constexpr const char* kAcceptProtobuf =
    "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";

struct ExporterSetup {
  std::vector<std::string> flags = {};
  std::string token = kToken;  // of METRICS_TOKEN
  std::string listen_address = "127.0.0.1:0";
  rlim_t max_fds = 0;
  std::string segment = {};                // empty: a path where nothing is
  std::vector<std::string> launcher = {};  // a command that runs the rest of its line
  std::string program = SHMETRICS_EXPORTER_PROGRAM;
  std::vector<std::string> environment = {};  // beside METRICS_TOKEN
  std::optional<uid_t> user = {};             // whom it runs as
};

/// The port in the last line of a start; the word has its quotes in logfmt and in JSON.
inline std::uint16_t listening_port(const std::string& log) {
  const std::size_t colon = log.rfind(':', log.find('\n', log.find("\"listening\"")));
  return static_cast<std::uint16_t>(std::stoul(log.substr(colon + 1)));
}

class RunningExporter {
 public:
  explicit RunningExporter(const ExporterSetup& setup = {}) : child_(command_of(setup, folder_)) {
    if (!child_.says("\"listening\"")) throw std::runtime_error("the exporter does not start: " + child_.err());
    if (!setup.listen_address.starts_with("unix:")) port_ = listening_port(child_.err());
  }

  std::uint16_t port() const { return port_; }
  ChildProcess& child() { return child_; }
  HttpClient connect() const { return HttpClient::tcp4(port_); }
  /// `fields` are whole lines, each with CRLF, Host among them.
  HttpResponse get(const std::string& target, const std::string& fields = "Host: localhost\r\n") const {
    return connect().exchange("GET " + target + " HTTP/1.1\r\n" + fields + "\r\n");
  }
  /// Of /metrics. Throws when the exporter does not answer with 200.
  std::string text(const std::string& fields = "") const {
    const HttpResponse response = get("/metrics", "Host: localhost\r\n" + fields);
    if (response.status != 200) throw std::runtime_error("status " + std::to_string(response.status));
    return response.body;
  }
  std::map<std::string, double> values(const std::string& fields = "") const { return samples_of(text(fields)); }
  bool is_healthy() const { return get("/-/healthy").status == 200; }

 private:
  static ChildProcess::Command command_of(const ExporterSetup& setup, const TemporaryFolder& folder) {
    const std::string segment = setup.segment.empty() ? folder.file("none.seg") : setup.segment;
    ChildProcess::Command command{.argv = setup.launcher, .environment = setup.environment, .max_fds = setup.max_fds};
    command.argv.insert(command.argv.end(),
                        {setup.program, "--segment", segment, "--web.listen-address=" + setup.listen_address});
    command.argv.insert(command.argv.end(), setup.flags.begin(), setup.flags.end());
    command.user = setup.user;
    if (!setup.token.empty()) command.environment.push_back("METRICS_TOKEN=" + setup.token);
    return command;
  }

  TemporaryFolder folder_;
  ChildProcess child_;
  std::uint16_t port_ = 0;
};

}  // namespace shmetrics::tests
