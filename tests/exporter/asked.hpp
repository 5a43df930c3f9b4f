// Asks as a session does, but for the check of passwords: from the head of a request to its response.
#pragma once

#include <stdexcept>
#include <string_view>
#include <vector>

#include "exporter/http/handler.hpp"

namespace shmetrics::exporter {

constexpr Peer kUnixPeer{.kind = Peer::Kind::kUnix};

/// A request of this machine's; what its members view must outlive what is made of it.
struct Asked {
  Peer peer = kUnixPeer;
  int version = 11;
  std::string_view method = "GET", target = "/api/metrics";
  std::vector<Field> fields = {{"Host", "localhost:5000"}};
  bool is_trusted = true;  // the peer's user

  Head head() const { return {.version = version, .method = method, .target = target, .fields = fields}; }
  Request request() const {
    const auto parsed = parse_request(head(), peer);
    if (!parsed) throw std::invalid_argument("the test asks with a malformed request");
    return *parsed;
  }
};

inline Response respond_to(const Site& site, const Asked& asked) {
  const Request request = asked.request();
  const Target target = target_of(site, request);
  const Caller caller{.is_trusted = [&asked] { return asked.is_trusted; }};
  const Judgement judgement =
      target.is_open ? Judgement{Verdict::kOpen} : authenticate(site.settings->auth, request, caller);
  return respond(site, request, target, {site.settings, judgement});
}

/// Of an order, how its answer will be.
inline const Answer& answer_of(const Response& response) {
  const auto* order = std::get_if<ScrapeOrder>(&response);
  return order != nullptr ? order->answer : std::get<Answer>(response);
}

inline bool is_order(const Response& response) {
  return std::holds_alternative<ScrapeOrder>(response);
}

}  // namespace shmetrics::exporter
