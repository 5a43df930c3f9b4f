// The exporter's log: lines on stderr, logfmt or JSON. Values are escaped: nothing that a peer or a segment sends can
// begin a new line or a new key. No token and no request target is ever given to it.
//
// Threads: any; a LogThrottle has one. Failure: std::bad_alloc alone; a line that stderr does not take is lost.
// Lifetime: that of the program.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shmetrics::exporter {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kLogfmt, kJson };

using LogFields = std::vector<std::pair<std::string_view, std::string_view>>;

/// Until it is called, logfmt from info on.
void start_log(LogLevel level, LogFormat format);
void log(LogLevel level, std::string_view message, const LogFields& fields = {});

/// What follows the time in a line, without line feed: pure, the heart of log().
std::string render_logfmt(LogLevel level, std::string_view message, const LogFields& fields);
std::string render_json(LogLevel level, std::string_view message, const LogFields& fields);

/// Lets one line a minute through for each class, so that a peer cannot fill the disk.
class LogThrottle {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// How many were held back since the last one that passed; nothing when this one is held back.
  std::optional<std::uint64_t> pass(std::string_view line_class, Time now);
  /// Logs the line if it passes now. Its field `not_logged_before` is the number of lines held back since the last one,
  /// and `not_logged_of` names their peers, at most kMostNamed.
  void log(std::string_view line_class, LogLevel level, std::string_view message, LogFields fields,
           const std::string& of = {});
  static constexpr std::size_t kMostNamed = 16;

 private:
  struct State {
    Time last;
    std::uint64_t held_back = 0;
    std::set<std::string> held_back_of = {};
  };
  std::map<std::string, State, std::less<>> states_;
};

}  // namespace shmetrics::exporter
