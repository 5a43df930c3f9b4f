#include "exporter/request/head.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace shmetrics::exporter {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::optional<SecretText> percent_decoded(std::string_view text) {
  SecretText out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc() || end - digits.data() != 2) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

bool has_body(const Head& head) {
  return std::any_of(head.fields.begin(), head.fields.end(), [](const Field& f) {
    if (same_name(f.name, "Transfer-Encoding")) return true;
    return same_name(f.name, "Content-Length") && f.value.find_first_not_of('0') != std::string_view::npos;
  });
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::size_t count_fields(const Head& head, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(head.fields.begin(), head.fields.end(), [&](const Field& f) { return same_name(f.name, name); }));
}

std::string_view field(const Head& head, std::string_view name) {
  for (const Field& f : head.fields) {
    if (same_name(f.name, name)) return f.value;
  }
  return {};
}

std::string_view path_of(std::string_view target) {
  return target.substr(0, target.find('?'));
}

std::vector<Parameter> parameters_of(std::string_view target) {
  std::vector<Parameter> parameters;
  for (std::string_view query = target.substr(std::min(path_of(target).size() + 1, target.size())); !query.empty();) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = percent_decoded(pair.substr(0, equals));
    if (!name) continue;
    parameters.push_back({std::move(*name), percent_decoded(pair.substr(std::min(equals + 1, pair.size())))});
  }
  return parameters;
}

std::string joined_fields(const Head& head, std::string_view name) {
  std::string joined;
  for (const Field& f : head.fields) {
    if (same_name(f.name, name)) joined.append(joined.empty() ? "" : ",").append(f.value);
  }
  return joined;
}

std::string_view defect_of(const Head& head) {
  if (head.fields.size() > kMaxFields) return "too many header fields";
  if (has_body(head)) return "a request with a body";
  const std::size_t hosts = count_fields(head, "Host");
  if (hosts > 1 || (hosts == 0 && head.version >= 11)) return "not exactly one Host";
  if (!head.target.starts_with('/')) return "a target that is not a path";
  const bool is_visible =
      std::all_of(head.target.begin(), head.target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return is_visible ? std::string_view{} : "a target with bytes that are not visible ASCII";
}

}  // namespace shmetrics::exporter
