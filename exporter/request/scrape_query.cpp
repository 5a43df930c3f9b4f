#include "exporter/request/scrape_query.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace shmetrics::exporter {
namespace {

std::vector<std::string> names_in(std::string_view target) {
  std::vector<std::string> names;
  // A broken escape is a name that nothing has; to drop it would turn a filter into none.
  for (const auto& name : query_values(target, "name[]")) names.push_back(name.value_or(""));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

bool ScrapeQuery::wants(const std::vector<std::string>& produced) const {
  return !has_filter() || std::any_of(produced.begin(), produced.end(), [this](const std::string& name) {
    return std::binary_search(names.begin(), names.end(), name);
  });
}

ScrapeQuery scrape_query_of(const Request& request, bool with_compression) {
  return {.representation = choose_representation(joined_fields(request, "Accept")),
          .coding = with_compression ? choose_coding(joined_fields(request, "Accept-Encoding")) : Coding::kIdentity,
          .names = names_in(request.target)};
}

ScrapeQuery snapshot_query_of(const Request& request, bool with_compression) {
  ScrapeQuery query;
  if (with_compression) query.coding = choose_coding(joined_fields(request, "Accept-Encoding"));
  const auto segments = query_values(request.target, "segment");
  query.snapshot_of = segments.empty() ? "" : segments.front().value_or("");
  return query;
}

std::optional<std::chrono::duration<double>> scrape_timeout_of(const Request& request) {
  const std::string_view text = field(request, "X-Prometheus-Scrape-Timeout-Seconds");
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(seconds) && seconds > 0 ? std::optional(std::chrono::duration<double>(seconds)) : std::nullopt;
}

}  // namespace shmetrics::exporter
