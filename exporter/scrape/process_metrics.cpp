#include "exporter/scrape/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace shmetrics::exporter {
namespace {

std::string read_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();  // an error of read() ends it; an iterator would throw, and the scrape be lost
  return text.str();
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

std::optional<std::uint64_t> count_entries(const std::string& directory) {
  std::error_code error;
  std::uint64_t count = 0;
  auto entry = std::filesystem::directory_iterator(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  return error ? std::nullopt : std::optional(count);
}

std::optional<std::uint64_t> limit_of(__rlimit_resource resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return std::nullopt;
  return std::uint64_t{limit.rlim_cur};
}

}  // namespace

void parse_stat(std::string_view text, ProcessStatus& status) {
  const std::size_t name_end = text.rfind(") ");
  if (name_end == std::string_view::npos) return;
  std::vector<std::string_view> fields;  // from the third of proc(5) on
  for (text.remove_prefix(name_end + 2); !text.empty();) {
    const std::string_view field = text.substr(0, text.find(' '));
    fields.push_back(field);
    text.remove_prefix(std::min(text.size(), field.size() + 1));
  }
  if (fields.size() < 22) return;
  const auto number = [&](std::size_t proc5_number) { return parse_number(fields[proc5_number - 3]); };
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  if (const auto user = number(14), system = number(15); user && system) {
    status.cpu_seconds = static_cast<double>(*user + *system) / ticks_per_second;
  }
  status.threads = number(20);
  if (const auto start = number(22)) status.start_time_unix_seconds = static_cast<double>(*start) / ticks_per_second;
  status.virtual_memory_bytes = number(23);
  if (const auto pages = number(24)) {
    status.resident_memory_bytes = *pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
}

std::optional<double> boot_time(const std::string& root) {
  constexpr std::string_view kKey = "\nbtime ";
  const std::string text = read_text(root + "/stat");
  const std::size_t at = text.find(kKey);
  if (at == std::string::npos) return std::nullopt;
  const auto seconds = parse_number(std::string_view(text).substr(at + kKey.size()));
  return seconds ? std::optional(static_cast<double>(*seconds)) : std::nullopt;
}

ProcessStatus read_process(const std::string& directory, std::optional<double> boot_unix_seconds) {
  ProcessStatus status;
  parse_stat(read_text(directory + "/stat"), status);
  // Without the boot time the start would be in seconds since boot, which is of no use.
  if (!boot_unix_seconds) status.start_time_unix_seconds.reset();
  if (status.start_time_unix_seconds) *status.start_time_unix_seconds += *boot_unix_seconds;
  status.open_fds = count_entries(directory + "/fd");
  return status;
}

ProcessStatus read_process_status(const std::string& root) {
  ProcessStatus status = read_process(root + "/self", boot_time(root));
  if (status.open_fds) --*status.open_fds;  // the descriptor that reads the directory
  status.max_fds = limit_of(RLIMIT_NOFILE);
  status.virtual_memory_max_bytes = limit_of(RLIMIT_AS);
  return status;
}

}  // namespace shmetrics::exporter
