#include "exporter/log.hpp"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

namespace shmetrics::exporter {
namespace {

constexpr std::chrono::minutes kThrottlePeriod{1};

/// In the order of LogLevel.
constexpr std::array kLevelNames{"debug", "info", "warn", "error"};
constexpr std::array kSpdlogLevels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};

const char* name_of(LogLevel level) {
  return kLevelNames[static_cast<std::size_t>(level)];
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  return kSpdlogLevels[static_cast<std::size_t>(level)];
}

/// Only printable ASCII passes as it is: a byte that is no UTF-8 would make the line unreadable for every log shipper.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.append(1, '\\').append(1, c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c >= 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

bool is_plain(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=';
  });
}

struct Log {
  std::shared_ptr<spdlog::logger> logger =
      std::make_shared<spdlog::logger>("exporter", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  LogFormat format = LogFormat::kLogfmt;

  void set_pattern() {
    const char* pattern =
        format == LogFormat::kLogfmt ? "ts=%Y-%m-%dT%H:%M:%S.%eZ %v" : "{\"ts\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v}";
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  }
  Log() { set_pattern(); }
};

Log& the_log() {
  static Log instance;
  return instance;
}

}  // namespace

void start_log(LogLevel level, LogFormat format) {
  Log& current = the_log();
  current.format = format;
  current.logger->set_level(spdlog_level(level));
  current.set_pattern();
}

void log(LogLevel level, std::string_view message, const LogFields& fields) {
  Log& current = the_log();
  if (!current.logger->should_log(spdlog_level(level))) return;
  const std::string line = current.format == LogFormat::kLogfmt ? render_logfmt(level, message, fields)
                                                                : render_json(level, message, fields);
  // The string overload: a brace in a value is no format.
  current.logger->log(spdlog_level(level), spdlog::string_view_t(line));
  current.logger->flush();
}

std::string render_logfmt(LogLevel level, std::string_view message, const LogFields& fields) {
  std::string out = std::string("level=") + name_of(level) + " msg=";
  append_quoted(out, message);
  for (const auto& [key, value] : fields) {
    out.append(" ").append(key).append("=");
    if (is_plain(value)) {
      out += value;
    } else {
      append_quoted(out, value);
    }
  }
  return out;
}

std::string render_json(LogLevel level, std::string_view message, const LogFields& fields) {
  nlohmann::ordered_json line{{"level", name_of(level)}, {"msg", message}};
  for (const auto& [key, value] : fields) line[std::string(key)] = value;
  const std::string text = line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return text.substr(1, text.size() - 2);
}

std::optional<std::uint64_t> LogThrottle::pass(std::string_view line_class, Time now) {
  const auto found = states_.find(line_class);
  if (found == states_.end()) {
    states_.emplace(line_class, State{.last = now});
    return 0;
  }
  State& state = found->second;
  if (now - state.last < kThrottlePeriod) {
    ++state.held_back;
    return std::nullopt;
  }
  state.last = now;
  return std::exchange(state.held_back, 0);
}

void LogThrottle::log(std::string_view line_class, LogLevel level, std::string_view message, LogFields fields,
                      const std::string& of) {
  const auto held_back = pass(line_class, std::chrono::steady_clock::now());
  std::set<std::string>& named = states_.find(line_class)->second.held_back_of;
  if (!held_back) {
    if (!of.empty() && named.size() < kMostNamed) named.insert(of);
    return;
  }
  const std::string count = std::to_string(*held_back);
  fields.emplace_back("not_logged_before", count);
  std::string names;
  for (const std::string& name : named) names.append(names.empty() ? "" : " ").append(name);
  if (!names.empty()) fields.emplace_back("not_logged_of", names);
  named.clear();
  exporter::log(level, message, fields);
}

}  // namespace shmetrics::exporter
