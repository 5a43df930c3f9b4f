// What a request asks of the metrics: two requests with equal queries get the same bytes. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/request/negotiate.hpp"
#include "exporter/request/request.hpp"

namespace shmetrics::exporter {

struct ScrapeQuery {
  Representation representation;
  Coding coding = Coding::kIdentity;
  std::vector<std::string> names = {};          // sorted, none twice; empty: no filter
  std::optional<std::string> snapshot_of = {};  // a segment's name, "" for the first: it as JSON, and nothing else

  bool operator==(const ScrapeQuery&) const = default;

  bool is_openmetrics() const { return representation.format != Format::kText; }
  bool has_filter() const { return !names.empty(); }
  /// Whether a family is wanted that produces these names: one of them, family or sample, is enough.
  bool wants(const std::vector<std::string>& produced) const;
};

/// Accept, Accept-Encoding where `with_compression`, and `name[]=` in the query string, as often as it is there.
ScrapeQuery scrape_query_of(const Request& request, bool with_compression);

/// The segment of `segment=` in the query string as JSON.
ScrapeQuery snapshot_query_of(const Request& request, bool with_compression);

/// How long the scraper still waits, from X-Prometheus-Scrape-Timeout-Seconds; nothing when it is not there, not a
/// number above 0 or not finite.
std::optional<std::chrono::duration<double>> scrape_timeout_of(const Request& request);

}  // namespace shmetrics::exporter
