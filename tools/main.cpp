// The program `shmetrics`: parses the command line, runs a subcommand, writes what it says. Exit codes: exit_code.hpp.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string>

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
    "Exit codes: dump, top:   0 fine, 1 failed, 2 wrong command line.\n"
    "            check, diff, doctor: 0 sound, equal or well, 1 damaged, different or a problem,\n"
    "                         2 no answer (usage, missing, unreadable, not a segment, other version).";
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
    "  shmetrics check /tmp/copied.seg && echo sound     for scripts: 0 is sound";
constexpr char kDoctorExamples[] =
    "A line for each thing that it looks at: ok, note, or problem with what to do. Run it as the user of the "
    "exporter.\n"
    "Examples:\n"
    "  shmetrics doctor                                  the default segment\n"
    "  shmetrics doctor /run/app/metrics.seg | grep ^problem";
constexpr char kTopExamples[] =
    "On a terminal it redraws until q or Ctrl-C: arrows and pages scroll, / filters, s sorts. Elsewhere it prints one\n"
    "table. NO_COLOR is honoured.\n"
    "Examples:\n"
    "  shmetrics top                                     the default segment, every 2 s\n"
    "  shmetrics top /run/app/metrics.seg --interval 500ms\n"
    "                                                    another one, faster\n"
    "  shmetrics top --once --interval 1m | head -20     the rates of one minute";
constexpr char kDiffExamples[] =
    "Prints `name{labels} a b delta` for each series that differs; `-` if a segment does not have it.\n"
    "Examples:\n"
    "  cp --sparse=always /run/app/metrics.seg before.seg; sleep 60; cp --sparse=always /run/app/metrics.seg "
    "after.seg\n"
    "  shmetrics diff before.seg after.seg\n"
    "  shmetrics diff before.seg /run/app/metrics.seg    live gauges differ: a copy has no live workers";

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

struct CommandLine {
  CLI::App app{kAbout, "shmetrics"};
  DumpOptions dump;
  TopOptions top;
  bool once = false;
  std::string format = "table", interval = "2s";
  std::string check_path, doctor_path, diff_a, diff_b;
  CLI::App* dump_command = nullptr;
  CLI::App* check_command = nullptr;
  CLI::App* doctor_command = nullptr;
  CLI::App* top_command = nullptr;
  CLI::App* diff_command = nullptr;

  CommandLine() {
    app.footer(kExamples);
    app.set_version_flag("--version", "shmetrics " SHMETRICS_VERSION);
    app.require_subcommand(1);
    dump_command = app.add_subcommand("dump", "Show families, series and values")->footer(kDumpExamples);
    dump_command->add_option("PATH", dump.path, "The segment's file")->check(kNotEmpty);
    dump_command
        ->add_option("--format", format,
                     "table (default), json, text (Prometheus 0.0.4), openmetrics (1.0.0) or protobuf")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "json", "text", "openmetrics", "protobuf"}).description(""));
    dump_command->add_option("--family", dump.family, "Only families whose name matches this shell pattern")
        ->type_name("GLOB");
    dump_command->add_flag("--workers", dump.with_workers, "Show the worker table too (JSON always has it)");
    check_command = app.add_subcommand("check", "Tell whether a segment is sound; a line per finding");
    check_command->add_option("PATH", check_path, "The segment's file")->check(kNotEmpty);
    check_command->footer(kCheckExamples);
    doctor_command = app.add_subcommand("doctor", "Tell why a metric is missing, and what to do");
    doctor_command->add_option("PATH", doctor_path, "The segment's file")->check(kNotEmpty);
    doctor_command->footer(kDoctorExamples);
    add_top();
    diff_command = app.add_subcommand("diff", "Tell which series of two segments differ")->footer(kDiffExamples);
    diff_command->add_option("A", diff_a, "A segment's file")->required();
    diff_command->add_option("B", diff_b, "Another's")->required();
  }

 private:
  void add_top() {
    top_command = app.add_subcommand("top", "Show how fast counters and histograms move")->footer(kTopExamples);
    top_command->add_option("PATH", top.path, "The segment's file")->check(kNotEmpty);
    top_command->add_option("--interval", interval, "Between two readings (default 2s): 500ms, 2s, 1m30s")
        ->type_name("TIME")
        ->check(CLI::Validator(
            [](const std::string& text) {
              const bool is_fine = collector::parse_duration(text) >= kLeastInterval;
              return is_fine ? "" : "wants a time from 10ms to 24h, such as 500ms, 2s, 1m30s; not '" + text + "'";
            },
            ""));
    top_command->add_flag("--once", once, "Print one table and end, also on a terminal");
  }
};

int finish(const std::string& out, const std::string& problem, int code, int failure) {
  return problem.empty() ? write_out(out, code, failure) : fail(problem, code);
}

std::string path_or_default(const std::string& path) {
  return path.empty() ? collector::default_path() : path;
}

int run_dump(DumpOptions options, const std::string& format) {
  options.format = format == "json"          ? DumpFormat::kJson
                   : format == "text"        ? DumpFormat::kText
                   : format == "openmetrics" ? DumpFormat::kOpenmetrics
                   : format == "protobuf"    ? DumpFormat::kProtobuf
                                             : DumpFormat::kTable;
  if (options.with_workers && options.format != DumpFormat::kTable && options.format != DumpFormat::kJson) {
    return fail("--workers needs --format table or json: the other formats have no place for workers", kUsage);
  }
  if (options.format == DumpFormat::kProtobuf && isatty(STDOUT_FILENO) != 0) {
    return fail("--format protobuf writes no text: send it to a file or to another program", kUsage);
  }
  options.path = path_or_default(options.path);
  std::string out, problem;
  const int code = dump(options, out, problem);
  return finish(out, problem, code, kFailed);
}

int run_check(const std::string& path) {
  std::string out, problem;
  const int code = check(path_or_default(path), out, problem);
  return finish(out, problem, code, kNoAnswer);
}

int run_doctor(const std::string& path) {
  std::string out;
  const int code = doctor(path_or_default(path), out);
  return write_out(out, code, kNoAnswer);
}

int run_top(TopOptions options, bool once) {
  options.path = path_or_default(options.path);
  std::string out, problem;
  const int code = once || !is_screen() ? top_once(options, out, problem) : top_on_screen(options, problem);
  return finish(out, problem, code, kFailed);
}

int run_diff(const std::string& a, const std::string& b) {
  std::string out, problem;
  const int code = diff(a, b, out, problem);
  return finish(out, problem, code, kNoAnswer);
}

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
  const bool is_question = !line.dump_command->parsed() && !line.top_command->parsed();
  try {
    if (line.check_command->parsed()) return run_check(line.check_path);
    if (line.doctor_command->parsed()) return run_doctor(line.doctor_path);
    if (line.diff_command->parsed()) return run_diff(line.diff_a, line.diff_b);
    if (line.dump_command->parsed()) return run_dump(line.dump, line.format);
    line.top.interval = *collector::parse_duration(line.interval);
    return run_top(line.top, line.once);
  } catch (const std::exception& error) {
    return fail(error.what(), is_question ? kNoAnswer : kFailed);
  }
}

}  // namespace
}  // namespace shmetrics::tools

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return shmetrics::tools::run(argc, argv);
}
