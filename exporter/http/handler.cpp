#include "exporter/http/handler.hpp"

#include "exporter/http/ui.hpp"

namespace shmetrics::exporter {
namespace {

constexpr const char* kPlainText = "text/plain; charset=utf-8";
constexpr const char* kRetrySeconds = "1";

Response make_response(unsigned status, std::string type, std::string body, Route route) {
  Response response{.status = status, .body = std::move(body), .route = route};
  response.headers = {{"Content-Type", std::move(type)},
                      {"Cache-Control", "no-store"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"}};
  return response;
}

std::string escaped_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Response landing_page(const Site& site) {
  const std::string path = escaped_html(site.telemetry_path);
  std::string body =
      "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>shmetrics-exporter</title></head>\n"
      "<body>\n<h1>shmetrics-exporter</h1>\n<p>Metrics of many processes from one shared segment. Version ";
  body += escaped_html(site.version) + ".</p>\n<ul>\n<li><a href=\"" + path + "\">Metrics</a></li>\n";
  if (!site.ui.empty()) body += "<li><a href=\"/ui/\">Live page</a></li>\n";
  body +=
      "<li><a href=\"/-/healthy\">Healthy</a></li>\n<li><a href=\"/-/ready\">Ready</a></li>\n</ul>\n</body>\n</html>\n";
  Response response = make_response(200, "text/html; charset=utf-8", std::move(body), Route::kIndex);
  response.headers.emplace_back("Content-Security-Policy", "default-src 'none'");
  return response;
}

Response metrics(const Site& site, const Request& request) {
  ScrapeQuery query = scrape_query_of(request, site.compression);
  Response response = make_response(200, content_type(query.representation), {}, Route::kMetrics);
  response.headers.emplace_back("Vary", "Accept, Accept-Encoding");
  if (query.coding == Coding::kGzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.wanted = std::move(query);
  response.patience = scrape_timeout_of(request);
  return response;
}

bool is_read(const Request& request) {
  return request.method == "GET" || request.method == "HEAD";
}

Response snapshot(const Site& site, const Request& request) {
  ScrapeQuery query = snapshot_query_of(request, site.compression);
  Response response = make_response(200, "application/json", {}, Route::kUi);
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (query.coding == Coding::kGzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.wanted = std::move(query);
  return response;
}

Response live_page(const Site& site, const Request& request) {
  Response response = make_response(200, kPlainText, {}, Route::kUi);
  put_ui_file(*ui_file_at(site.ui, path_of(request.target)), request, site.compression, response);
  return response;
}

Response refuse_unknown(const Site& site, const Request& request, Route route, const AuthPolicy& policy) {
  Response response = make_response(401, kPlainText, "unauthorized\n", route);
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"shmetrics\"");
  if (!policy.users.empty()) response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"shmetrics\"");
  // A person at a browser has no other way to say the token than to be asked by the page.
  const bool is_page = route == Route::kUi && path_of(request.target) == kUiPrefix && is_read(request);
  if (is_page && joined_fields(request, "Accept").find("text/html") != std::string::npos) {
    put_ui_file(*ui_file_at(site.ui, kUiPrefix), request, site.compression, response);
  }
  return response;
}

Response refuse_method(Route route) {
  Response response = make_response(405, kPlainText, "method not allowed\n", route);
  response.headers.emplace_back("Allow", "GET, HEAD");
  return response;
}

/// By plain text; for whom it is stays.
void replace(Response& response, unsigned status, const char* text) {
  Response other = make_response(status, kPlainText, text, response.route);
  other.omits_body = response.omits_body;
  other.verdict = response.verdict;
  response = std::move(other);
}

Route route_of(const Site& site, std::string_view path) {
  if (path == "/-/healthy" || path == "/-/ready") return Route::kHealth;
  if (path == site.telemetry_path || path == "/metrics") return Route::kMetrics;
  if (!site.ui.empty() && (path == kSnapshotPath || ui_file_at(site.ui, path) != nullptr)) return Route::kUi;
  return path == "/" ? Route::kIndex : Route::kOther;
}

Response route_admitted(const Site& site, const Request& request, Route route) {
  if (route == Route::kOther) return make_response(404, kPlainText, "not found\n", route);
  if (!is_read(request)) return refuse_method(route);
  if (route == Route::kMetrics) return metrics(site, request);
  if (route == Route::kIndex) return landing_page(site);
  return path_of(request.target) == kSnapshotPath ? snapshot(site, request) : live_page(site, request);
}

/// Health, and what the page is built of: the same bytes in every copy of this program, which tell nothing. Without
/// them the page could not ask for a token.
bool is_open(const Request& request, Route route) {
  const std::string_view path = path_of(request.target);
  return is_read(request) &&
         (route == Route::kHealth || (route == Route::kUi && path != kUiPrefix && path != kSnapshotPath));
}

}  // namespace

void Response::set_header(std::string_view name, std::string_view value) {
  std::erase_if(headers, [name](const auto& header) { return same_name(header.first, name); });
  headers.emplace_back(name, value);
}

Response respond(const Site& site, const Request& request) {
  const Route route = route_of(site, path_of(request.target));
  const std::shared_ptr<const Settings> settings = site.settings;
  Response response;
  if (is_open(request, route)) {
    response = route == Route::kHealth ? make_response(200, kPlainText, "ok\n", route) : live_page(site, request);
  } else {
    const Verdict verdict = authenticate(settings->auth, request);
    response = is_admitted(verdict) ? route_admitted(site, request, route)
                                    : refuse_unknown(site, request, route, settings->auth);
    response.verdict = verdict;
  }
  // The operator's word is the last.
  for (const auto& [name, value] : settings->headers) response.set_header(name, value);
  response.omits_body |= request.method == "HEAD";
  return response;
}

std::optional<Login> login_to_check(const Site& site, const Request& request) {
  if (is_open(request, route_of(site, path_of(request.target)))) return std::nullopt;
  return basic_login(site.settings->auth, request);
}

Response refuse_for_now(const Site& site, const Request& request) {
  Response response = make_response(503, kPlainText, "busy\n", route_of(site, path_of(request.target)));
  response.headers.emplace_back("Retry-After", kRetrySeconds);
  response.omits_body = request.method == "HEAD";
  response.cause = "passwords_waiting";
  return response;
}

void fail(Response& response, ScrapeFailure failure) {
  if (failure == ScrapeFailure::kUnknown) return replace(response, 404, "no segment has this name\n");
  const bool is_broken = failure == ScrapeFailure::kBroken;
  const char* reason = is_broken                         ? "cannot collect\n"
                       : failure == ScrapeFailure::kBusy ? "too many scrapes at once\n"
                                                         : "the time that the scraper gave is over\n";
  replace(response, is_broken ? 500 : 503, reason);
  if (is_broken) return;
  response.headers.emplace_back("Retry-After", kRetrySeconds);
  response.cause = failure == ScrapeFailure::kBusy ? "max_requests" : "scrape_timeout";
}

Response refuse_malformed() {
  Response response = make_response(400, kPlainText, "bad request\n", Route::kOther);
  response.closes = true;
  response.cause = "malformed";
  return response;
}

}  // namespace shmetrics::exporter
