// Request -> response: an answer, or the order for a scrape that becomes one. Pure. Not a byte of the request comes
// back in a response.
//
// Threads: the io thread. Failure: std::bad_alloc alone. Lifetime: a response keeps nothing of the request.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/access/admission.hpp"
#include "exporter/request/request.hpp"
#include "exporter/request/request_counts.hpp"
#include "exporter/request/scrape_query.hpp"
#include "exporter/scrape/scrape_source.hpp"

namespace shmetrics::exporter {

struct UiFile;

/// What this exporter serves, and to whom. Only a reload changes it, and only the settings.
struct Site {
  std::shared_ptr<const Settings> settings = std::make_shared<const Settings>();
  std::string telemetry_path = "/api/metrics";  // /metrics is served too
  std::string version;                          // shown on the landing page
  bool compression = true;                      // gzip for those who ask for it
  std::span<const UiFile> ui = {};              // of the live page; none: it is off, and its snapshot too
  PasswordChecker* passwords = nullptr;         // there when users are
};

/// What a request is for.
struct Target {
  Route route = Route::kOther;
  const UiFile* file = nullptr;  // of the live page
  bool is_moved = false;         // /ui, which is /ui/
  /// Health, the files of the page, and /ui, which leads to it. They are the same in every copy of this program and
  /// tell nothing about the segment. Without them the page could not ask for a token.
  bool is_open = false;
};
Target target_of(const Site& site, const Request& request);

struct Answer {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};  // all but Content-Length, Connection and Date
  std::shared_ptr<const std::string> body = nullptr;              // Content-Length is its size, for HEAD too
  bool omits_body = false;                                        // HEAD
  bool closes = false;                                            // the connection ends after it
  Route route = Route::kOther;
  const char* cause = nullptr;   // of a refusal, for the log
  std::string_view header = {};  // likewise: the field that betrays a proxy or a foreign page; one of our constants

  /// Instead of those of the same name.
  void set_header(std::string_view name, std::string_view value);
};

/// A scrape has to be made first. Only for those let in.
struct ScrapeOrder {
  ScrapeQuery query;
  std::optional<std::chrono::duration<double>> patience = {};  // how long it may take, if the scraper has said it
  Answer answer;                                               // complete, except its body
};

using Response = std::variant<Answer, ScrapeOrder>;

/// Throws only when memory fails.
Response respond(const Site& site, const Request& request, const Target& target, const Admission& admission);

/// The scrape was made.
Answer fulfilled(ScrapeOrder order, std::shared_ptr<const std::string> text);
/// It was not: 503 with Retry-After; 500 without detail when collecting is broken; 404 when no segment has the name
/// that was asked for.
Answer failed(const ScrapeOrder& order, ScrapeFailure failure);

/// 400 and close, the same for every defect.
Answer refuse_malformed();

}  // namespace shmetrics::exporter
