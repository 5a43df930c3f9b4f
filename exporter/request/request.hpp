// What a request says, read once from its head: the values that admission and answer decide on. Pure.
//
// Threads: any. Failure: std::bad_alloc alone; a defect is no request. Lifetime: a Request views the bytes of its
// session: it is valid while that request is answered.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/request/credential.hpp"
#include "exporter/request/foreign_sign.hpp"
#include "exporter/request/head.hpp"
#include "exporter/request/negotiate.hpp"
#include "exporter/request/peer.hpp"

namespace shmetrics::exporter {

struct Request {
  bool is_head = false;
  bool is_read = false;  // GET or HEAD
  std::string_view path;
  Credential credential;
  std::optional<ForeignSign> foreign_sign;  // none: local, as far as the request itself can tell

  Representation representation;        // from Accept
  Coding coding = Coding::kIdentity;    // from Accept-Encoding
  bool accepts_html = false;            // from Accept, by name
  std::string known_tags;               // If-None-Match
  std::vector<std::string> names = {};  // `name[]=`, sorted, none twice; empty: no filter
  std::string segment;                  // `segment=`, the first one
  /// How long the scraper still waits, from X-Prometheus-Scrape-Timeout-Seconds; nothing when it is not there, not a
  /// number above 0 or not finite.
  std::optional<std::chrono::duration<double>> patience;
};

/// Nothing for a head with a defect. The only exception is std::bad_alloc.
std::optional<Request> parse_request(const Head& head, const Peer& peer);

}  // namespace shmetrics::exporter
