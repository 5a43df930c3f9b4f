// The real exporter on one segment, started by another program: in namespaces, as another user, with another clock.
#pragma once

#include <cstdlib>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/exporter/child_process.hpp"
#include "tests/exporter/http_client.hpp"

namespace shmetrics::tests {

class LaunchedExporter {
 public:
  struct Setup {
    std::string segment;
    std::vector<std::string> launcher = {};  // a command that runs the rest of its line
    std::vector<std::string> environment = {};
    std::vector<std::string> flags = {};
    std::string program = SHMETRICS_EXPORTER_PROGRAM;
  };
  explicit LaunchedExporter(const Setup& setup) : child_(command_of(setup)) {
    if (!child_.says("\"listening\"")) throw std::runtime_error("the exporter does not start: " + child_.err());
    const std::string log = child_.err();
    const std::size_t colon = log.rfind(':', log.find('\n', log.find("\"listening\"")));
    port_ = static_cast<std::uint16_t>(std::stoul(log.substr(colon + 1)));
  }

  testing::ChildProcess& child() { return child_; }
  std::uint16_t port() const { return port_; }

  /// Throws when the exporter does not answer with 200.
  std::string text(const std::string& fields = "") const {
    const auto response =
        testing::HttpClient::tcp4(port_).exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
    if (response.status != 200) throw std::runtime_error("status " + std::to_string(response.status));
    return response.body;
  }
  std::map<std::string, double> values(const std::string& fields = "") const {
    std::map<std::string, double> values;
    std::istringstream lines(text(fields));
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == '#') continue;
      const auto space = line.find(' ', line.rfind('}') == std::string::npos ? 0 : line.rfind('}'));
      values[line.substr(0, space)] = std::strtod(line.c_str() + space + 1, nullptr);
    }
    return values;
  }

 private:
  static testing::ChildProcess::Command command_of(const Setup& setup) {
    testing::ChildProcess::Command command{.argv = setup.launcher, .environment = setup.environment};
    command.argv.insert(command.argv.end(),
                        {setup.program, "--segment", setup.segment, "--web.listen-address=127.0.0.1:0"});
    command.argv.insert(command.argv.end(), setup.flags.begin(), setup.flags.end());
    return command;
  }

  testing::ChildProcess child_;
  std::uint16_t port_ = 0;
};

}  // namespace shmetrics::tests
