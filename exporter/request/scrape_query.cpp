#include "exporter/request/scrape_query.hpp"

#include <algorithm>

namespace shmetrics::exporter {

bool ScrapeQuery::wants(const std::vector<std::string>& produced) const {
  return !has_filter() || std::any_of(produced.begin(), produced.end(), [this](const std::string& name) {
    return std::binary_search(names.begin(), names.end(), name);
  });
}

}  // namespace shmetrics::exporter
