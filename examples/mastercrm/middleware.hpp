// Counts and times what goes through it: all of HTTP instrumentation. bench/middleware_bench.cpp measures its cost.
#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <string_view>

#include "examples/mastercrm/catalogue.hpp"
#include "examples/mastercrm/request.hpp"

namespace mastercrm {

class Middleware {
 public:
  explicit Middleware(const Catalogue& metrics) : metrics_(metrics) {}

  /// The response of what `find` gives for method and route: 404 for nothing, 500 for what throws. It is counted before
  /// it is returned, so who has an answer has been counted.
  template <typename Find>
  Response serve(const Request& request, const Find& find) const {
    const auto start = std::chrono::steady_clock::now();
    const shmetrics::Route route = shmetrics::normalize_route(request.target);
    const Handler* const handler = find(request.method, route.view());
    Response response{404, R"({"error":"no such page"})"};
    if (handler != nullptr) response = run(*handler, request);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    // What a client makes up must not become a series: unknown paths share a route, unknown methods a name.
    count(request.method, handler == nullptr ? "other" : route.view(), response.status, seconds.count());
    return response;
  }

  void count(std::string_view method, std::string_view route, unsigned status, double seconds) const {
    static constexpr std::string_view kMethods[] = {"GET", "POST", "PUT", "DELETE", "HEAD"};
    const bool is_known = std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
    const std::string_view name = is_known ? method : "other";
    const std::string code = std::to_string(status);
    metrics_.http_requests.with(name, route, code).inc();
    metrics_.http_request_duration.with(name, route, code).observe(seconds);
  }

 private:
  static Response run(const Handler& handler, const Request& request) try {
    return handler(request);
  } catch (const std::exception&) {
    return {500, R"({"error":"internal error"})"};
  }

  const Catalogue& metrics_;
};

}  // namespace mastercrm
