// What exporters write in tests is kept for foreign judges: judge_outputs.py, which ctest runs behind them. Each text
// once, whatever its numbers are. Threads: any.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace shmetrics::tests {

inline void keep_output(std::string_view content_type, const std::string& text) {
  constexpr int kMostOfAProcess = 100;
  static int kept = 0;
  static std::mutex one_at_a_time;  // clients of several threads may get the same text
  const char* const folder = std::getenv("SHMETRICS_OUTPUTS");
  const char* const suffix = content_type.starts_with("application/openmetrics-text")      ? ".om"
                             : content_type.starts_with("application/vnd.google.protobuf") ? ".pb"
                             : content_type.starts_with("text/plain; version=")            ? ".txt"
                                                                                           : nullptr;
  if (folder == nullptr || suffix == nullptr) return;
  std::string shape = text;
  std::erase_if(shape, [](char c) { return c >= '0' && c <= '9'; });
  const std::string name = std::string(folder) + "/" + std::to_string(std::hash<std::string>()(shape)) + suffix;
  const std::lock_guard lock(one_at_a_time);
  if (kept >= kMostOfAProcess || std::filesystem::exists(name)) return;
  ++kept;
  std::filesystem::create_directories(folder);
  const std::string half = name + "." + std::to_string(getpid());
  std::ofstream(half, std::ios::binary) << text;
  std::filesystem::rename(half, name);
}

}  // namespace shmetrics::tests
