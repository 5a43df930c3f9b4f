#include "exporter/scrape_query.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace shmetrics::exporter {
namespace {

std::vector<std::string> values_in(std::string_view query, std::string_view key) {
  std::vector<std::string> values;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (percent_decoded(pair.substr(0, equals)) != key) continue;
    // A broken escape is a name that nothing has; to drop it would turn a filter into none.
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    values.push_back(percent_decoded(value).value_or(""));
  }
  return values;
}

std::vector<std::string> names_in(std::string_view query) {
  std::vector<std::string> names = values_in(query, "name[]");
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
          .names = names_in(query_of(request.target))};
}

ScrapeQuery snapshot_query_of(const Request& request, bool with_compression) {
  ScrapeQuery query;
  if (with_compression) query.coding = choose_coding(joined_fields(request, "Accept-Encoding"));
  std::vector<std::string> segments = values_in(query_of(request.target), "segment");
  query.snapshot_of = segments.empty() ? "" : std::move(segments.front());
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
