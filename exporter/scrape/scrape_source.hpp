// Where the text of a scrape comes from, and why there may be none.
//
// Threads: as each function says. Failure: what they throw makes a scrape fail. Lifetime: what they refer to must
// outlive the server.
#pragma once

#include <functional>
#include <string>

#include "exporter/request/request_counts.hpp"
#include "exporter/request/scrape_query.hpp"

namespace shmetrics::exporter {

/// Where metrics come from. Called by one thread at a time, which is not the io thread.
struct ScrapeSource {
  std::function<void()> read;                                                   // looks at the segments
  std::function<std::string(const ScrapeQuery&, const RequestCounts&)> render;  // in the coding it asks for; or ""
  std::function<void()> stop = [] {};  // ends a read() that is under way; from the io thread
};

/// Why there is nothing to become `scraped`.
enum class ScrapeFailure { kBusy, kFull, kLate, kBroken, kUnknown };
}  // namespace shmetrics::exporter
