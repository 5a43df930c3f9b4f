#include "exporter/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>
#include <memory>

#include "collector/duration.hpp"
#include "exporter/build_info.hpp"
#include "exporter/byte_size.hpp"
#include "exporter/http/ui.hpp"

namespace shmetrics::exporter {
namespace {

const std::map<std::string, LogLevel> kLevels{
    {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo}, {"warn", LogLevel::kWarn}, {"error", LogLevel::kError}};
const std::map<std::string, LogFormat> kFormats{{"logfmt", LogFormat::kLogfmt}, {"json", LogFormat::kJson}};

constexpr std::size_t kMostConnections = 65'536;  // what --web.max-connections takes at most, and --web.max-requests

/// What CLI11 fills and is checked as a whole, afterwards.
struct Words {
  std::vector<std::string> segments, owners, groups, listen{"127.0.0.1:5000"};
};

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool) const override {
    if (option->get_lnames().size() < 2) return option->get_name(false, true);
    return "--[no-]" + option->get_lnames().front();
  }
  std::string make_usage(const CLI::App*, std::string name) const override { return "Usage: " + name + " [flags]\n"; }
};

constexpr char kFooter[] =
    "METRICS_TOKEN in the environment: the tokens that are accepted, separated by commas. Without any token only\n"
    "local requests of our own user and of root are answered.\n"
    "\n"
    "Exit codes: 0 after SIGTERM or SIGINT; 1 if it cannot start or go on, and the last line on stderr says why;\n"
    "2 if the command line is wrong.\n"
    "\n"
    "Examples:\n"
    "  shmetrics-exporter --segment /run/app/metrics.seg\n"
    "                                     one application, on 127.0.0.1:5000\n"
    "  shmetrics-exporter --segment '/run/*/metrics.seg' --web.token-file tokens --no-web.localhost-bypass\n"
    "                                     all segments below /run, token required\n"
    "  shmetrics-exporter --web.listen-address 0.0.0.0:5000 --web.config.file web-config.yml\n"
    "                                     for the network, over TLS";

std::string version_text() {
  std::string text = "shmetrics-exporter, version " + std::string(build_version());
  text += " (revision: " + std::string(build_revision()) + ")\n";
  return text + "  compiler: " + std::string(build_compiler());
}

/// CLI11's messages have several lines and lists; this keeps the line with the user's own words.
[[noreturn]] void refuse(const std::string& reason) {
  std::string line = reason.substr(0, reason.find('\n'));
  throw UsageError(line + "; see shmetrics-exporter --help");
}

/// CLI11's `--segment: 1 required TEXT missing` and its like, in words for people.
std::string plainer(const std::string& complaint) {
  const std::string flag = complaint.substr(0, complaint.find_first_of(": "));
  if (complaint.find("flag override") != std::string::npos) return "--" + flag + " takes no value";
  return flag + (complaint.find("At Most") == std::string::npos ? " needs a value" : " is given twice");
}

template <typename Value>
Value choice(const char* flag, const std::string& word, const std::map<std::string, Value>& choices) {
  const auto found = choices.find(word);
  if (found != choices.end()) return found->second;
  std::string known;
  for (const auto& [name, value] : choices) known += (known.empty() ? "" : ", ") + name;
  refuse(std::string(flag) + " " + word + ": give one of " + known);
}

std::size_t number(const char* flag, const std::string& word, std::size_t least, std::size_t most) {
  std::size_t value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error == std::errc{} && stop == end && value >= least && value <= most) return value;
  refuse(fmt::format("{} {}: give a whole number from {} to {}", flag, word, least, most));
}

std::chrono::milliseconds duration(const char* flag, const std::string& word) {
  if (const auto value = collector::parse_duration(word)) return *value;
  refuse(fmt::format("{} {}: give a duration from 1ms to 24h, such as 10s, 1m30s or 500ms", flag, word));
}

std::uint64_t byte_size(const char* flag, const std::string& word) {
  if (const auto value = parse_byte_size(word)) return *value;
  refuse(fmt::format("{} {}: give bytes, or 512k, 256MiB, 1G", flag, word));
}

/// Of an unset variable, in quotes: without TLS or tokens the exporter would start as if nobody had asked for them.
std::string complaint_of_empty(const std::string& value) {
  return value.empty() ? "needs a value" : "";
}

void declare_segment_and_web(CLI::App& app, Options& options, Words& words, const std::string& default_segment) {
  app.add_option("--segment", words.segments,
                 "Shared-memory segment to read. It may appear later. Repeatable; quote a glob.\n"
                 "With several segments, a glob or a NAME, every series gets the label segment=\"NAME\".\n"
                 "The default NAME is the file's name without its extension.")
      ->group("Segment")
      ->allow_extra_args(false)
      ->option_text("PATH|NAME=PATH|GLOB (default " + default_segment + ", from $SHMETRICS_SEGMENT if set)");
  app.add_option("--segment.owner", words.owners,
                 "Read segments of this user too, beside those of the exporter's own user, of root, and of the\n"
                 "owner of their folder where nobody else may write in it. Repeatable.")
      ->group("Segment")
      ->allow_extra_args(false)
      ->option_text("USER");
  app.add_option("--segment.group", words.groups, "The same of segments of this group. Repeatable.")
      ->group("Segment")
      ->allow_extra_args(false)
      ->option_text("GROUP");
  app.add_option("--web.listen-address", words.listen,
                 "Where to listen; unix sockets get mode 0660. Repeatable. Port 5000 is the default of Flask too:\n"
                 "take another where one of its servers has it.")
      ->group("Web")
      ->allow_extra_args(false)
      ->option_text(":PORT|HOST:PORT|[::1]:PORT|unix:/PATH (default 127.0.0.1:5000)");
  app.add_option("--web.telemetry-path", options.telemetry_path, "Where the metrics are; /metrics is served too.")
      ->group("Web")
      ->option_text("PATH (default /api/metrics)");
  app.add_option("--web.config.file", options.web_config_file,
                 "TLS, users and headers, in the schema of exporter-toolkit (promtool check web-config);\n"
                 "read again, with the files it names, when one changes and on SIGHUP.")
      ->group("Web")
      ->check(complaint_of_empty)
      ->option_text("FILE");
  app.add_option("--web.token-file", options.token_file,
                 "Tokens, one a line, beside those of METRICS_TOKEN; read again when it changes and on SIGHUP.")
      ->group("Web")
      ->check(complaint_of_empty)
      ->option_text("FILE");
  const auto flag = [&app](const std::string& name, bool& value, const std::string& text) {
    const char* group = name.starts_with("web.") ? "Web" : "Segment";
    app.add_flag("--" + name + ",!--no-" + name, value, text)->group(group)->disable_flag_override()->option_text(" ");
  };
  flag("collector.worker-process", options.worker_process,
       "Show CPU time, memory, descriptors, threads and start of each live worker (default: off). Needs the\n"
       "workers' pid namespace, and their user or CAP_SYS_PTRACE; other processes are left out.");
  flag("web.localhost-bypass", options.localhost_bypass,
       "Accept programs of our own user and of root on this machine without a credential (default: on).\n"
       "Turn it off behind a proxy.");
  flag("web.query-token", options.query_token, "Accept ?token=TOKEN beside the Authorization header (default: on).");
  flag("web.systemd-socket", options.systemd_socket,
       "Listen on the sockets that systemd passes, instead of --web.listen-address (default: off).");
  flag("web.disable-exporter-metrics", options.disable_exporter_metrics,
       "Leave out shmetrics_exporter_* and process_* (default: off).");
  flag("web.compression", options.compression, "Compress with gzip if the client asks for it (default: on).");
  flag("web.ui", options.ui,
       "Serve the live page, /ui/, and its data, /api/v1/snapshot (default: on). Behind the same\n"
       "authentication as the metrics.");
  flag("web.created-series", options.created_series,
       "In OpenMetrics, show when each counter, histogram and summary was created (default: off).");
}

void declare_limits(CLI::App& app, Limits& limits) {
  const auto flag = [&app](const char* name, const char* form, const char* text, auto use) {
    const auto read = [name, use](const std::string& word) { use(name, word); };
    app.add_option_function<std::string>(name, read, text)->group("Limits")->option_text(form);
  };
  const auto count = [&flag](const char* name, std::size_t& limit, std::size_t least, const char* form,
                             const char* text) {
    flag(name, form, text, [&limit, least](const char* given, const std::string& word) {
      limit = number(given, word, least, kMostConnections);
    });
  };
  const auto time = [&flag](const char* name, std::chrono::milliseconds& limit, const char* form, const char* text) {
    flag(name, form, text, [&limit](const char* given, const std::string& word) { limit = duration(given, word); });
  };
  count("--web.max-connections", limits.max_connections, 1, "NUMBER (default 512)",
        "Connections in all. At the limit the oldest that was never let in makes room.");
  count("--web.max-connections-per-peer", limits.max_connections_per_peer, 1, "NUMBER (default 64)",
        "Connections from one IPv4 address or one IPv6 /64; unix peers count as one.");
  time("--web.header-timeout", limits.header_timeout, "DURATION (default 10s)",
       "From the connection, or the first byte of a later request, to the end of the header;\n"
       "for a TLS handshake too.");
  time("--web.idle-timeout", limits.idle_timeout, "DURATION (default 60s)", "Between two requests of a connection.");
  time("--web.write-timeout", limits.write_timeout, "DURATION (default 30s)",
       "For each 256 KiB of a response: slow clients are served, stuck ones are cut off.");
  count("--web.max-requests", limits.max_requests, 0, "NUMBER (default 40)",
        "Scrapes in flight, of one peer half as many; more get 503 and Retry-After. 0 is no limit.");
  flag("--web.max-inflight-bytes", "SIZE (default 128MiB)",
       "Of responses that clients have not yet taken, half for one peer; while there are more, scrapes get 503.",
       [&limits](const char* given, const std::string& word) { limits.max_inflight_bytes = byte_size(given, word); });
  flag("--web.max-response-bytes", "SIZE (default 64MiB)",
       "Most bytes of the segments' metrics in a response, before compression. Further series are\n"
       "left out and counted.",
       [&limits](const char* given, const std::string& word) { limits.max_response_bytes = byte_size(given, word); });
}

void declare_log(CLI::App& app, Options& options) {
  const auto flag = [&app](const char* name, auto& value, const auto& choices, const char* form, const char* text) {
    const auto read = [name, &value, &choices](const std::string& word) { value = choice(name, word, choices); };
    app.add_option_function<std::string>(name, read, text)->group("Log")->option_text(form);
  };
  flag("--log.level", options.log_level, kLevels, "debug|info|warn|error (default info)",
       "Lowest level of the lines on stderr.");
  flag("--log.format", options.log_format, kFormats, "logfmt|json (default logfmt)", "Form of the lines on stderr.");
}

void check_telemetry_path(const std::string& path, bool has_ui) {
  const auto complain = [&path](const char* reason) { refuse("--web.telemetry-path " + path + ": " + reason); };
  if (!path.starts_with('/')) complain("a path begins with a slash");
  if (path.ends_with('/')) complain("a path does not end with a slash");
  if (path.starts_with("/-/")) complain("paths below /-/ are taken by health checks");
  if (has_ui && (path == kUiWithoutSlash || path.starts_with(kUiPrefix) || path == kSnapshotPath)) {
    complain("the live page has it; take another, or --no-web.ui");
  }
  for (const char c : path) {
    if (c <= 0x20 || c >= 0x7f || c == '?' || c == '#' || c == '%') {
      complain("a path has visible ASCII characters without ?, # and %");
    }
  }
}

void check(const Words& words, Options& options, const std::string& default_segment) {
  try {
    // The default is where workers write: a path to the letter, never a glob or NAME=PATH.
    options.segments = words.segments.empty() ? std::vector{SegmentSpec{.name = {}, .path = default_segment}}
                                              : parse_segments(words.segments);
    for (const std::string& text : words.owners) options.owners.users.push_back(parse_user(text));
    for (const std::string& text : words.groups) options.owners.groups.push_back(parse_group(text));
    for (const std::string& text : words.listen) options.listen_addresses.push_back(parse_listen_address(text));
  } catch (const std::invalid_argument& error) {
    refuse(error.what());
  }
  check_telemetry_path(options.telemetry_path, options.ui);
}

}  // namespace

Options parse_options(int argc, const char* const* argv, const std::string& default_segment) {
  Options options;
  Words words;
  CLI::App app("Serves the metrics of shmetrics segments to Prometheus.", "shmetrics-exporter");
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(20);  // less, and help2man takes texts for paragraphs; more, and lines are long
  app.set_help_flag();  // CLI11 would handle its own after flags that may refuse a value; --help must always work
  app.add_flag_callback(
      "-h,--help", [] { throw CLI::CallForHelp(); }, "Print this help.");
  app.set_version_flag("--version", version_text(), "Print name, version, revision and compiler.");
  app.footer(kFooter);
  declare_segment_and_web(app, options, words, default_segment);
  declare_limits(app, options.limits);
  declare_log(app, options);
  try {
    app.parse(argc, argv);
    check(words, options, default_segment);
  } catch (const CLI::CallForHelp&) {
    options.answer = app.help();
  } catch (const CLI::CallForVersion&) {
    options.answer = version_text() + "\n";
  } catch (const CLI::ExtrasError&) {
    refuse("unknown argument " + app.remaining().front());
  } catch (const CLI::ArgumentMismatch& error) {
    refuse(plainer(error.what()));
  } catch (const CLI::ParseError& error) {
    refuse(error.what());
  }
  return options;
}

}  // namespace shmetrics::exporter
