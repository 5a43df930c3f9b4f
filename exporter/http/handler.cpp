#include "exporter/http/handler.hpp"

#include <boost/algorithm/string/replace.hpp>

#include "exporter/http/ui.hpp"

namespace shmetrics::exporter {
namespace {

constexpr const char* kPlainText = "text/plain; charset=utf-8";
constexpr std::chrono::seconds kRetryAfter{1};

Answer make_answer(unsigned status, std::string type, std::string body, Route route) {
  return {.status = status,
          .headers = {{"Content-Type", std::move(type)},
                      {"Cache-Control", "no-store"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Resource-Policy", "same-origin"}},
          .body = std::make_shared<const std::string>(std::move(body)),
          .route = route};
}

std::string escaped_html(std::string text) {
  boost::replace_all(text, "&", "&amp;");  // first: the others bring new ones
  boost::replace_all(text, "<", "&lt;");
  boost::replace_all(text, ">", "&gt;");
  boost::replace_all(text, "\"", "&quot;");
  boost::replace_all(text, "'", "&#39;");
  return text;
}

// Links are relative: behind a proxy the page does not know its prefix. The dot keeps a colon from being a scheme.
Answer landing_page(const Site& site) {
  const std::string path = "." + escaped_html(site.telemetry_path);
  std::string body =
      "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>shmetrics-exporter</title></head>\n"
      "<body>\n<h1>shmetrics-exporter</h1>\n<p>Metrics of many processes from one shared segment. Version ";
  body += escaped_html(site.version) + ".</p>\n<ul>\n<li><a href=\"" + path + "\">Metrics</a></li>\n";
  if (!site.ui.empty()) body += "<li><a href=\"./ui/\">Live page</a></li>\n";
  body +=
      "<li><a href=\"./-/healthy\">Healthy</a></li>\n<li><a href=\"./-/ready\">Ready</a></li>\n</ul>\n"
      "</body>\n</html>\n";
  Answer answer = make_answer(200, "text/html; charset=utf-8", std::move(body), Route::kIndex);
  answer.headers.emplace_back("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  return answer;
}

Answer lead_to_page() {
  Answer answer = make_answer(301, kPlainText, "moved\n", Route::kUi);
  answer.headers.emplace_back("Location", "ui/");  // relative, as the links
  return answer;
}

Coding coding_of(const Site& site, const Request& request) {
  return site.compression ? request.coding : Coding::kIdentity;
}

ScrapeOrder order_of(ScrapeQuery query, std::string type, const char* varies_by, Route route) {
  Answer answer = make_answer(200, std::move(type), {}, route);
  answer.headers.emplace_back("Vary", varies_by);
  if (query.coding == Coding::kGzip) answer.headers.emplace_back("Content-Encoding", "gzip");
  return {.query = std::move(query), .answer = std::move(answer)};
}

ScrapeOrder metrics(const Site& site, const Request& request) {
  ScrapeOrder order =
      order_of({.representation = request.representation, .coding = coding_of(site, request), .names = request.names},
               content_type(request.representation), "Accept, Accept-Encoding", Route::kMetrics);
  order.patience = request.patience;
  return order;
}

ScrapeOrder snapshot(const Site& site, const Request& request) {
  return order_of({.representation = {}, .coding = coding_of(site, request), .snapshot_of = request.segment},
                  "application/json", "Accept-Encoding", Route::kUi);
}

Answer page_file(const Site& site, const Request& request, const UiFile& file) {
  Answer answer = make_answer(200, kPlainText, {}, Route::kUi);
  put_ui_file(file, coding_of(site, request), request.known_tags, answer);
  return answer;
}

Answer refuse_for_now(unsigned status, Route route, const char* text, std::chrono::seconds wait = kRetryAfter) {
  Answer answer = make_answer(status, kPlainText, text, route);
  answer.headers.emplace_back("Retry-After", std::to_string(wait.count()));
  return answer;
}

Answer refuse_unknown(const Site& site, const Request& request, const Target& target, const AuthPolicy& policy) {
  Answer answer = make_answer(401, kPlainText, "unauthorized\n", target.route);
  answer.closes = true;  // a stranger holds no place
  answer.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"shmetrics\"");
  if (!policy.users.empty()) answer.headers.emplace_back("WWW-Authenticate", "Basic realm=\"shmetrics\"");
  // A person with a browser can give the token only if the page asks for it.
  if (target.file != nullptr && target.file->name.empty() && request.is_read && request.accepts_html) {
    put_ui_file(*target.file, coding_of(site, request), request.known_tags, answer);
  }
  return answer;
}

Answer refuse_unlet(const Site& site, const Request& request, const Target& target, const Admission& admission) {
  if (admission.judgement.verdict == Verdict::kPasswordsWaiting) return refuse_for_now(503, target.route, "busy\n");
  if (admission.judgement.verdict == Verdict::kRateLimited) {
    return refuse_for_now(429, target.route, "too many requests\n",
                          std::chrono::ceil<std::chrono::seconds>(admission.wait));
  }
  return refuse_unknown(site, request, target, admission.settings->auth);
}

Answer refuse(const Site& site, const Request& request, const Target& target, const Admission& admission) {
  Answer answer = refuse_unlet(site, request, target, admission);
  answer.cause = name_of(admission.judgement.verdict);
  // From elsewhere it has no credential; from here, something else is what an operator has to know.
  const auto& sign = admission.judgement.foreign_sign;
  if (!sign || sign->kind == ForeignSign::Kind::kPeer) return answer;
  answer.cause = name_of(sign->kind);
  answer.header = sign->header;
  return answer;
}

Answer refuse_method(Route route) {
  Answer answer = make_answer(405, kPlainText, "method not allowed\n", route);
  answer.headers.emplace_back("Allow", "GET, HEAD");
  return answer;
}

Response respond_to_admitted(const Site& site, const Request& request, const Target& target) {
  if (target.route == Route::kOther) return make_answer(404, kPlainText, "not found\n", target.route);
  if (!request.is_read) return refuse_method(target.route);
  if (target.route == Route::kHealth) return make_answer(200, kPlainText, "ok\n", target.route);
  if (target.route == Route::kMetrics) return metrics(site, request);
  if (target.route == Route::kIndex) return landing_page(site);
  if (target.is_moved) return lead_to_page();
  if (target.file != nullptr) return page_file(site, request, *target.file);
  return snapshot(site, request);
}

}  // namespace

Target target_of(const Site& site, const Request& request) {
  const std::string_view path = request.path;
  if (path == "/-/healthy" || path == "/-/ready") return {.route = Route::kHealth, .is_open = request.is_read};
  if (path == site.telemetry_path || path == "/metrics") return {.route = Route::kMetrics};
  if (path == "/") return {.route = Route::kIndex};
  if (const UiFile* file = ui_file_at(site.ui, path)) {
    return {.route = Route::kUi, .file = file, .is_open = request.is_read && !file->name.empty()};
  }
  if (!site.ui.empty() && path == kUiWithoutSlash) {
    return {.route = Route::kUi, .is_moved = true, .is_open = request.is_read && request.accepts_html};
  }
  return {.route = !site.ui.empty() && path == kSnapshotPath ? Route::kUi : Route::kOther};
}

void Answer::set_header(std::string_view name, std::string_view value) {
  std::erase_if(headers, [name](const auto& field) { return same_name(field.first, name); });
  headers.emplace_back(name, value);
}

Response respond(const Site& site, const Request& request, const Target& target, const Admission& admission) {
  Response response = is_admitted(admission.judgement.verdict) ? respond_to_admitted(site, request, target)
                                                               : refuse(site, request, target, admission);
  auto* order = std::get_if<ScrapeOrder>(&response);
  Answer& answer = order != nullptr ? order->answer : std::get<Answer>(response);
  answer.omits_body |= request.is_head;
  return response;
}

Answer fulfilled(ScrapeOrder order, std::shared_ptr<const std::string> text) {
  order.answer.body = std::move(text);
  return std::move(order.answer);
}

Answer failed(const ScrapeOrder& order, ScrapeFailure failure) {
  const Route route = order.answer.route;
  Answer answer;
  switch (failure) {
    case ScrapeFailure::kUnknown:
      answer = make_answer(404, kPlainText, "no segment has this name\n", route);
      break;
    case ScrapeFailure::kBroken:
      answer = make_answer(500, kPlainText, "cannot collect\n", route);
      break;
    case ScrapeFailure::kBusy:
      answer = refuse_for_now(503, route, "too many scrapes at once\n");
      answer.cause = "max_requests";
      break;
    case ScrapeFailure::kFull:
      answer = refuse_for_now(503, route, "too many responses are not yet taken\n");
      answer.cause = "max_inflight_bytes";
      break;
    case ScrapeFailure::kLate:
      answer = refuse_for_now(503, route, "the time that the scraper gave is over\n");
      answer.cause = "scrape_timeout";
  }
  answer.omits_body = order.answer.omits_body;
  return answer;
}

Answer refuse_malformed() {
  Answer answer = make_answer(400, kPlainText, "bad request\n", Route::kOther);
  answer.closes = true;
  answer.cause = "malformed";
  return answer;
}

}  // namespace shmetrics::exporter
