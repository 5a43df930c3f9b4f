// The program `shmetrics`: parses the command line, runs a subcommand, writes what it says. Exit codes: exit_code.hpp.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string>

#include "collector/scraper.hpp"
#include "tools/check.hpp"
#include "tools/dump.hpp"
#include "tools/exit_code.hpp"

namespace shmetrics::tools {
namespace {

constexpr char kAbout[] =
    "Looks at a shmetrics segment: live, dead or a copied file. Changes nothing, disturbs no worker.\n"
    "PATH is by default $SHMETRICS_SEGMENT, else /dev/shm/shmetrics.seg.";
constexpr char kExamples[] =
    "Examples:\n"
    "  shmetrics dump                                    all families of the default segment, as a table\n"
    "  shmetrics dump /run/app/metrics.seg --workers     and who writes them\n"
    "  shmetrics dump --format text --family 'app_*'     as Prometheus would see them\n"
    "  shmetrics check /tmp/copied.seg && echo sound\n"
    "\n"
    "Exit codes: dump: 0 fine, 1 failed, 2 wrong command line.\n"
    "            check: 0 sound, 1 damaged, 2 no answer (usage, missing, unreadable, not a segment, other version).";

int fail(const std::string& problem, int code) {
  // What comes from a segment or a path may hold anything; the promise is one line.
  std::string line = problem;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::cerr << "shmetrics: " << line << '\n';
  return code;
}

// A reader that has seen enough, as in `| head`, is no error.
int write_out(const std::string& out, int code, int failure) {
  std::size_t written = 0;
  while (written < out.size()) {
    const ssize_t n = ::write(STDOUT_FILENO, out.data() + written, out.size() - written);
    if (n >= 0) {
      written += static_cast<std::size_t>(n);
    } else if (errno == EPIPE) {
      return code;
    } else if (errno != EINTR) {
      return fail(std::string("write to stdout: ") + std::strerror(errno), failure);
    }
  }
  return code;
}

struct CommandLine {
  CLI::App app{kAbout, "shmetrics"};
  DumpOptions dump;
  std::string format = "table";
  std::string check_path;
  CLI::App* dump_command = nullptr;
  CLI::App* check_command = nullptr;

  CommandLine() {
    app.footer(kExamples);
    app.set_version_flag("--version", "shmetrics " SHMETRICS_VERSION);
    app.require_subcommand(1);
    dump_command = app.add_subcommand("dump", "Show families, series and values");
    dump_command->add_option("PATH", dump.path, "The segment's file");
    dump_command->add_option("--format", format, "table (default), or text: the Prometheus text format 0.0.4")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "text"}).description(""));
    dump_command->add_option("--family", dump.family, "Only families whose name matches this shell pattern")
        ->type_name("GLOB");
    dump_command->add_flag("--workers", dump.with_workers, "Show the worker table too (with --format table)");
    check_command = app.add_subcommand("check", "Tell whether a segment is sound; a line per finding");
    check_command->add_option("PATH", check_path, "The segment's file");
  }
};

int run_dump(DumpOptions options) {
  if (options.with_workers && options.format == DumpFormat::kText) {
    return fail("--workers needs --format table: the text format has no place for workers", kUsage);
  }
  if (options.path.empty()) options.path = collector::default_path();
  std::string out, problem;
  const int code = dump(options, out, problem);
  return problem.empty() ? write_out(out, code, kFailed) : fail(problem, code);
}

int run_check(const std::string& path) {
  std::string out, problem;
  const int code = check(path.empty() ? collector::default_path() : path, out, problem);
  return problem.empty() ? write_out(out, code, kNoAnswer) : fail(problem, code);
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
    return fail(std::string(error.what()) + "; see shmetrics --help", kUsage);
  }
  line.dump.format = line.format == "text" ? DumpFormat::kText : DumpFormat::kTable;
  const bool is_check = line.check_command->parsed();
  try {
    return is_check ? run_check(line.check_path) : run_dump(line.dump);
  } catch (const std::exception& error) {
    return fail(error.what(), is_check ? kNoAnswer : kFailed);
  }
}

}  // namespace
}  // namespace shmetrics::tools

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return shmetrics::tools::run(argc, argv);
}
