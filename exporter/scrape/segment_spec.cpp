#include "exporter/scrape/segment_spec.hpp"

#include <filesystem>
#include <map>
#include <stdexcept>

#include "collector/scraper.hpp"

namespace shmetrics::exporter {
namespace {

[[noreturn]] void refuse(std::string_view text, const std::string& reason) {
  throw std::invalid_argument("--segment" + std::string(text.empty() ? "" : " ") + std::string(text) + ": " + reason);
}

bool has_wildcard(std::string_view path) {
  return path.find_first_of("*?[") != path.npos;
}

}  // namespace

SegmentSpec parse_segment(std::string_view text) {
  SegmentSpec spec;
  const std::size_t equals = text.find('=');
  const bool has_name = equals != text.npos && text.substr(0, equals).find('/') == text.npos;
  if (has_name) spec.name = text.substr(0, equals);
  spec.path = has_name ? text.substr(equals + 1) : text;
  spec.is_glob = has_wildcard(spec.path);
  if (has_name && spec.name.empty()) refuse(text, "the name before = is empty");
  if (has_name && !collector::is_segment_name(spec.name)) refuse(text, "a name is UTF-8 of at most 1,024 bytes");
  if (spec.path.empty()) refuse(text, "the path is empty");
  if (spec.path.find('\0') != spec.path.npos) refuse("", "a path holds no NUL");
  if (has_name && spec.is_glob) {
    refuse(text, "one name cannot stand for many files; leave the name out, or name each file");
  }
  return spec;
}

std::vector<SegmentSpec> parse_segments(const std::vector<std::string>& texts) {
  std::vector<SegmentSpec> specs;
  specs.reserve(texts.size());
  for (const std::string& text : texts) specs.push_back(parse_segment(text));
  if (specs.size() > kMaxSegments) {
    refuse("", std::to_string(specs.size()) + " segments: at most " + std::to_string(kMaxSegments));
  }
  if (specs.size() == 1 && !specs[0].is_glob) return specs;

  std::map<std::string, std::string> paths;  // by name
  for (std::size_t i = 0; i < specs.size(); ++i) {
    SegmentSpec& spec = specs[i];
    if (spec.is_glob) continue;
    if (spec.name.empty()) spec.name = name_of_file(spec.path);
    if (spec.name.empty()) refuse(texts[i], "no name can be made of it, give one: NAME=PATH");
    const auto [taken, is_new] = paths.emplace(spec.name, spec.path);
    if (!is_new) {
      refuse(texts[i], "segment " + taken->second + " has the name " + spec.name + " too, give it another: NAME=PATH");
    }
  }
  return specs;
}

std::string name_of_file(const std::string& path) {
  std::string stem = std::filesystem::path(path).stem().string();
  return stem != "." && stem != ".." && collector::is_segment_name(stem) ? stem : std::string();
}

}  // namespace shmetrics::exporter
