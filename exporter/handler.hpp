// Request -> response: authentication, then routing. Pure but for the collecting that is injected, which runs only for
// those let in. Not a byte of the request comes back in a response.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/request.hpp"
#include "exporter/settings.hpp"

namespace shmetrics::exporter {

/// What a request was for; the label `handler` of shmetrics_exporter_requests_total.
enum class Route { kMetrics, kHealth, kIndex, kUi, kOther };
const char* name_of(Route route);

/// What this exporter serves, and to whom.
struct Site {
  std::shared_ptr<const Settings> settings = std::make_shared<const Settings>();  // replaced by a reload
  std::string telemetry_path = "/api/metrics";                                    // /metrics is served too
  std::string version;                                                            // shown on the landing page
  std::function<std::string()> collect;                                           // the metrics in text format 0.0.4
};

struct Response {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};  // all but Content-Length, Connection and Date
  std::string body = {};                                          // Content-Length is its size, for HEAD too
  bool omits_body = false;                                        // HEAD
  bool closes = false;                                            // the connection ends after it
  Route route = Route::kOther;
  Verdict verdict = Verdict::kLocal;  // means nothing for health checks and malformed requests
};

/// What `collect` throws becomes a 500 without detail; apart from it throws only when memory or OpenSSL fails. The
/// request must have no defect (request.hpp).
Response respond(const Site& site, const Request& request);

/// 400 and close, the same for every defect.
Response refuse_malformed();

}  // namespace shmetrics::exporter
