// Request -> response: authentication, then routing; health and the files that the live page is built of need none.
// Pure: what has to be collected, it names, and only for those let in. Not a byte of the request comes back in a
// response.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/access/settings.hpp"
#include "exporter/request/request.hpp"
#include "exporter/request/request_counts.hpp"
#include "exporter/request/scrape_query.hpp"
#include "exporter/scrape/scrape_source.hpp"

namespace shmetrics::exporter {

struct UiFile;

/// What this exporter serves, and to whom.
struct Site {
  std::shared_ptr<const Settings> settings = std::make_shared<const Settings>();  // replaced by a reload
  std::string telemetry_path = "/api/metrics";                                    // /metrics is served too
  std::string version;                                                            // shown on the landing page
  bool compression = true;                                                        // gzip for those who ask for it
  std::span<const UiFile> ui = {};       // of the live page; none: it is off, and its snapshot too
  PasswordChecker* passwords = nullptr;  // there when users are
};

struct Response {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};  // all but Content-Length, Connection and Date
  std::string body = {};                                          // Content-Length is its size, for HEAD too
  std::shared_ptr<const std::string> scraped = {};                // the body instead, shared with other responses
  bool omits_body = false;                                        // HEAD
  bool closes = false;                                            // the connection ends after it
  Route route = Route::kOther;
  const char* cause = nullptr;                                 // of a 400 or 503, for the log; a 401 has its verdict
  Verdict verdict = Verdict::kLocal;                           // means nothing for health checks and malformed requests
  std::optional<ScrapeQuery> wanted = {};                      // to become `scraped` before this is sent
  std::optional<std::chrono::duration<double>> patience = {};  // how long it may take, if the scraper has said it

  const std::string& text() const { return scraped ? *scraped : body; }
  /// Instead of those of the same name.
  void set_header(std::string_view name, std::string_view value);
};

/// Throws only when memory or OpenSSL fails. The request must have no defect (request.hpp).
Response respond(const Site& site, const Request& request);

/// Makes it a 503 with Retry-After; a 500 without detail when collecting is broken; a 404 when no segment has the name
/// that is asked for.
void fail(Response& response, ScrapeFailure failure);

/// The password to check before respond(), if there is one; its outcome goes into the request.
std::optional<Login> login_to_check(const Site& site, const Request& request);

/// 503: too many passwords wait to be checked.
Response refuse_for_now(const Site& site, const Request& request);

/// 400 and close, the same for every defect.
Response refuse_malformed();

}  // namespace shmetrics::exporter
