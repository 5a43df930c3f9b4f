#include "exporter/request/request_counts.hpp"

namespace shmetrics::exporter {

const char* name_of(Route route) {
  constexpr std::array kNames{"metrics", "health", "index", "ui", "other"};
  return kNames[static_cast<std::size_t>(route)];
}

RequestCounts::RequestCounts() {
  for (const unsigned code : {200U, 401U, 429U, 503U}) answered[{code, Route::kMetrics}] = 0;
}

}  // namespace shmetrics::exporter
