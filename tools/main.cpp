// The program `shmetrics`: parses the command line, runs a subcommand, writes what it says. Exit codes: exit_code.hpp.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "collector/duration.hpp"
#include "collector/scraper.hpp"
#include "tools/check.hpp"
#include "tools/diff.hpp"
#include "tools/doctor.hpp"
#include "tools/dump.hpp"
#include "tools/exit_code.hpp"
#include "tools/terminal.hpp"
#include "tools/top.hpp"

namespace shmetrics::tools {
namespace {

// An unset variable of a script must not lead to the default segment.
const CLI::Validator kNotEmpty(
    [](const std::string& value) { return value.empty() ? std::string("the path is empty") : std::string(); }, "");

constexpr char kAbout[] =
    "Shows a shmetrics segment: live, dead or a copied file. It changes nothing and disturbs no worker.\n"
    "PATH is by default $SHMETRICS_SEGMENT, else /dev/shm/shmetrics-UID.seg (of root: shmetrics.seg).";
constexpr char kExamples[] =
    "Examples:\n"
    "  shmetrics dump                                    all families of the default segment, as a table\n"
    "  shmetrics dump --format text --family 'app_*'     as Prometheus would see them\n"
    "  shmetrics top /run/app/metrics.seg                how fast series grow\n"
    "  shmetrics check /tmp/copied.seg && echo sound     for scripts: 0 is sound\n"
    "  shmetrics diff before.seg after.seg               which series changed between two copies\n"
    "  shmetrics doctor                                  why is my metric missing?\n"
    "`shmetrics COMMAND --help` has more.\n"
    "\n"
    "Exit codes:\n"
    "  dump, top   0: it is shown; 1: it cannot be shown; 2: wrong command line\n"
    "  check       0: sound; 1: damaged; 2: no answer\n"
    "  diff        0: equal; 1: different; 2: no answer\n"
    "  doctor      0: no problem; 1: at least one problem; 2: no answer\n"
    "No answer: the command line is wrong, or the file is missing, unreadable, not a segment, or of another version.";
constexpr char kDumpExamples[] =
    "Examples:\n"
    "  shmetrics dump /run/app/metrics.seg --workers     families, and who writes them\n"
    "  shmetrics dump --format text --family 'app_*'     as the exporter writes them, without its own metrics\n"
    "  shmetrics dump --format openmetrics > metrics.om  for other programs; protobuf: each family behind its length\n"
    "  shmetrics dump --format json | jq -r '.families[] | .name'\n"
    "                                                    for scripts\n"
    "  shmetrics dump --format json | jq '.workers[] | select(.state == \"live\") | .pid'\n"
    "                                                    who is alive\n"
    "\n"
    "JSON: one object with segment, workers and families; a line a worker and a family. segment.state is `up`, or\n"
    "`damaged` when something was left out (see shmetrics check). NaN and infinities are the strings NaN, +Inf, -Inf.";
constexpr char kCheckExamples[] =
    "Examples:\n"
    "  shmetrics check                                   a line per finding; `is sound` when there is none\n"
    "  shmetrics check /tmp/copied.seg && echo sound     for scripts\n"
    "\n"
    "Exits with 0 if the segment is sound, 1 if it is damaged, 2 if there is no answer.";
constexpr char kDoctorExamples[] =
    "A line for each thing that it looks at: ok, note, or problem with what to do. Run it as the user of the "
    "exporter.\n"
    "\n"
    "Examples:\n"
    "  shmetrics doctor                                  the default segment\n"
    "  shmetrics doctor /run/app/metrics.seg | grep ^problem\n"
    "                                                    only what needs something done\n"
    "\n"
    "Exits with 0 if there is no problem, 1 if there is one, 2 if there is no answer.";
constexpr char kTopExamples[] =
    "On a terminal it redraws until q or Ctrl-C: arrows and pages scroll, / filters, s sorts. Elsewhere it prints one\n"
    "table. NO_COLOR is honoured.\n"
    "\n"
    "Examples:\n"
    "  shmetrics top                                     the default segment, every 2 s\n"
    "  shmetrics top /run/app/metrics.seg --interval 500ms\n"
    "                                                    another one, faster\n"
    "  shmetrics top --once --interval 1m | head -20     the rates of one minute";
constexpr char kDiffExamples[] =
    "Prints `name{labels} a b delta` for each series that differs; `-` if a segment does not have it.\n"
    "\n"
    "Examples:\n"
    "  cp --sparse=always /run/app/metrics.seg before.seg\n"
    "                                                    a copy to compare with\n"
    "  shmetrics diff before.seg after.seg               what changed between two copies\n"
    "  shmetrics diff before.seg /run/app/metrics.seg    what changed since, and live gauges: a copy has none\n"
    "\n"
    "Exits with 0 if they are equal, 1 if they differ, 2 if there is no answer.";

int fail(const std::string& problem, int code) {
  // Text from a segment or a path may hold any byte, but a message must be one line.
  std::string line = problem;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::cerr << "shmetrics: " << line << '\n';
  return code;
}

// A reader that has seen enough, as in `| head`, is no error.
int write_out(const std::string& out, int code, int failure) {
  if (write_all(out) || errno == EPIPE) return code;
  return fail(std::string("write to stdout: ") + std::strerror(errno), failure);
}

const std::vector<std::pair<std::string, DumpFormat>> kFormats{{"table", DumpFormat::kTable},
                                                               {"json", DumpFormat::kJson},
                                                               {"text", DumpFormat::kText},
                                                               {"openmetrics", DumpFormat::kOpenmetrics},
                                                               {"protobuf", DumpFormat::kProtobuf}};

/// A subcommand: appends to `out`, or says in `problem` why not. Returns the exit code.
using Command = std::function<int(std::string& out, std::string& problem)>;

struct CommandLine {
  CLI::App app{kAbout, "shmetrics"};
  Command command;        // the one that was given
  int failure = kFailed;  // its exit code when standard output takes no more, and for an exception

  CommandLine() {
    app.footer(kExamples);
    app.set_version_flag("--version", "shmetrics " SHMETRICS_VERSION);
    app.require_subcommand(1);
    add_dump();
    add_path(add("check", "Tell whether a segment is sound; a line per finding", kCheckExamples, kNoAnswer,
                 [this](std::string& out, std::string& problem) { return check(path_, out, problem); }));
    add_path(add("doctor", "Tell why a metric is missing, and what to do", kDoctorExamples, kNoAnswer,
                 [this](std::string& out, std::string&) { return doctor(path_, out); }));
    add_top();
    CLI::App& two = add("diff", "Tell which series of two segments differ", kDiffExamples, kNoAnswer,
                        [this](std::string& out, std::string& problem) { return diff(path_, other_, out, problem); });
    two.add_option("A", path_, "A segment's file")->required();
    two.add_option("B", other_, "Another's")->required();
  }

 private:
  CLI::App& add(const char* name, const char* text, const char* footer, int failed, Command given) {
    CLI::App* const added = app.add_subcommand(name, text)->footer(footer);
    added->callback([this, failed, given] {
      failure = failed;
      command = given;
    });
    return *added;
  }
  void add_path(CLI::App& to) { to.add_option("PATH", path_, "The segment's file")->check(kNotEmpty); }

  void add_dump() {
    CLI::App& added = add("dump", "Show families, series and values", kDumpExamples, kFailed,
                          [this](std::string& out, std::string& problem) { return run_dump(out, problem); });
    add_path(added);
    added
        .add_option("--format", format_,
                    "table (default), json, text (Prometheus 0.0.4), openmetrics (1.0.0) or protobuf")
        ->type_name("FORMAT")
        ->check(CLI::IsMember(kFormats).description(""));
    added.add_option("--family", dump_.family, "Only families whose name matches this shell pattern")
        ->type_name("GLOB");
    added.add_flag("--workers", dump_.with_workers, "Show the worker table too (JSON always has it)");
  }

  int run_dump(std::string& out, std::string& problem) {
    dump_.path = path_;
    dump_.format = std::ranges::find(kFormats, format_, &std::pair<std::string, DumpFormat>::first)->second;
    if (dump_.with_workers && dump_.format != DumpFormat::kTable && dump_.format != DumpFormat::kJson) {
      problem = "--workers needs --format table or json: the other formats have no place for workers";
    } else if (dump_.format == DumpFormat::kProtobuf && isatty(STDOUT_FILENO) != 0) {
      problem = "--format protobuf writes no text: send it to a file or to another program";
    }
    return problem.empty() ? dump(dump_, out, problem) : kUsage;
  }

  void add_top() {
    CLI::App& added = add("top", "Show how fast counters and histograms move", kTopExamples, kFailed,
                          [this](std::string& out, std::string& problem) { return run_top(out, problem); });
    add_path(added);
    added.add_option("--interval", interval_, "Between two readings (default 2s): 500ms, 2s, 1m30s")
        ->type_name("TIME")
        ->check(CLI::Validator(
            [](const std::string& text) {
              const bool is_fine = collector::parse_duration(text) >= kLeastInterval;
              return is_fine ? "" : "wants a time from 10ms to 24h, such as 500ms, 2s, 1m30s; not '" + text + "'";
            },
            ""));
    added.add_flag("--once", once_, "Print one table and end, also on a terminal");
  }

  int run_top(std::string& out, std::string& problem) const {
    const TopOptions options{path_, *collector::parse_duration(interval_)};
    return once_ || !is_screen() ? top_once(options, out, problem) : top_on_screen(options, problem);
  }

  std::string path_ = collector::default_path(), other_;
  DumpOptions dump_;
  std::string format_ = "table", interval_ = "2s";
  bool once_ = false;
};

/// CLI11's message, or a plainer one if it names the wrong cause; and which --help to read.
std::string complaint(const CLI::App& app, const CLI::ParseError& error) {
  const auto commands = app.get_subcommands();
  if (!commands.empty()) return error.what() + ("; see shmetrics " + commands.front()->get_name()) + " --help";
  const auto unknown = app.remaining();
  return (unknown.empty() ? error.what() : "no command " + unknown.front()) + "; see shmetrics --help";
}

int run(int argc, char** argv) {
  CommandLine line;
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return write_out(line.app.help(), kFine, kFailed);
  } catch (const CLI::CallForVersion& version) {
    return write_out(std::string(version.what()) + '\n', kFine, kFailed);
  } catch (const CLI::ParseError& error) {
    return fail(complaint(line.app, error), kUsage);
  }
  try {
    std::string out, problem;
    const int code = line.command(out, problem);
    return problem.empty() ? write_out(out, code, line.failure) : fail(problem, code);
  } catch (const std::exception& error) {
    return fail(error.what(), line.failure);
  }
}

}  // namespace
}  // namespace shmetrics::tools

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return shmetrics::tools::run(argc, argv);
}
