#include "tests/fuzz/oracle.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "collector/render.hpp"
#include "tests/collector/openmetrics_checker.hpp"
#include "tests/collector/protobuf_checker.hpp"
#include "tests/collector/text_checker.hpp"
#include "tests/samples.hpp"

namespace shmetrics::fuzz {
namespace {

// Only distinct texts, by their hash.
void keep(std::string_view text, const char* suffix) {
  static const char* directory = std::getenv("SHMETRICS_FUZZ_OUTPUT");
  if (directory == nullptr) return;
  const std::size_t hash = std::hash<std::string_view>{}(text);
  std::ofstream file(std::string(directory) + "/" + std::to_string(hash) + suffix, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace

void demand(bool holds, std::string_view what, std::string_view detail) {
  if (holds) return;
  std::fprintf(stderr, "\nDEMAND NOT MET: %.*s\n%.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

void demand_text(std::string_view text) {
  demand(text.size() <= collector::kMaxTextBytes, "text 0.0.4 keeps its limit");
  const std::string problem = tests::TextChecker::problem(text);
  demand(problem.empty(), "text 0.0.4 is well-formed: " + problem, text);
  keep(text, ".txt");
}

void demand_openmetrics(std::string_view text) {
  const std::string problem = tests::OpenmetricsChecker::problem(text);
  demand(problem.empty(), "OpenMetrics is well-formed: " + problem, text);
  keep(text, ".om");
}

void demand_protobuf(std::string_view scrape, const std::string& text, std::int64_t now_seconds) {
  std::string read;
  try {
    read = tests::ProtobufChecker::text_of(scrape, now_seconds);
  } catch (const std::exception& problem) {
    demand(false, std::string("protobuf is well-formed: ") + problem.what(), text);
  }
  demand(tests::with_plain_numbers(read) == tests::with_plain_numbers(text),
         "protobuf says what the text says: " + read, text);
  keep(scrape, ".pb");
}

void demand_json(std::string_view json) {
  demand(nlohmann::json::accept(json), "JSON is well-formed", json);
}

}  // namespace shmetrics::fuzz
