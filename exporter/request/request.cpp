#include "exporter/request/request.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

namespace shmetrics::exporter {
namespace {

std::vector<std::string> names_in(std::span<const Parameter> parameters) {
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters) {
    // A broken escape is a name that nothing has; to drop it would turn a filter into none.
    if (parameter.name == "name[]") names.push_back(parameter.value.value_or(""));
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<std::chrono::duration<double>> patience_of(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(seconds) && seconds > 0 ? std::optional(std::chrono::duration<double>(seconds)) : std::nullopt;
}

}  // namespace

std::optional<Request> parse_request(const Head& head, const Peer& peer) {
  if (!defect_of(head).empty()) return std::nullopt;
  const std::vector<Parameter> parameters = parameters_of(head.target);
  const auto segment = std::ranges::find(parameters, "segment", &Parameter::name);
  const std::string accept = joined_fields(head, "Accept");
  return Request{.is_head = head.method == "HEAD",
                 .is_read = head.method == "GET" || head.method == "HEAD",
                 .path = path_of(head.target),
                 .credential = credential_of(head, parameters),
                 .foreign_sign = foreign_sign_of(head, peer),
                 .representation = choose_representation(accept),
                 .coding = choose_coding(joined_fields(head, "Accept-Encoding")),
                 .accepts_html = accept.find("text/html") != std::string::npos,
                 .known_tags = joined_fields(head, "If-None-Match"),
                 .names = names_in(parameters),
                 .segment = segment == parameters.end() ? "" : segment->value.value_or(""),
                 .patience = patience_of(field(head, "X-Prometheus-Scrape-Timeout-Seconds"))};
}

}  // namespace shmetrics::exporter
