// What a request says, without the library that read it: values that authentication and routing decide on.
// All of it pure and safe to call from any thread. A Request views the bytes of its session: valid while that request
// is answered.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/request/peer.hpp"

namespace shmetrics::exporter {

struct Field {
  std::string_view name, value;
};

struct Request {
  Peer peer;
  int version = 11;  // 10 or 11
  std::string_view method, target;
  std::span<const Field> fields;
  bool has_right_password = false;        // of basic_login(), when that asked for a check
  bool has_verified_certificate = false;  // the connection's client showed one, and it was checked
};

/// Field names are case-insensitive (RFC 9110, 5.1).
bool same_name(std::string_view a, std::string_view b);
std::size_t count_fields(const Request& request, std::string_view name);
/// The first one's value, empty when there is none.
std::string_view field(const Request& request, std::string_view name);

/// All of them in one list: several lines mean the same as one with commas (RFC 9110, 5.3).
std::string joined_fields(const Request& request, std::string_view name);

std::string_view path_of(std::string_view target);
/// What follows the first question mark, empty when there is none.
std::string_view query_of(std::string_view target);

/// Once, so that %2561 is %61. Nothing for a broken escape.
std::optional<std::string> percent_decoded(std::string_view text);

/// Of every parameter of the query that has this name, both percent_decoded(): nothing for a broken escape.
std::vector<std::optional<std::string>> query_values(std::string_view target, std::string_view name);

inline constexpr std::size_t kMaxFields = 100;

/// Why this request gets 400 and its connection is closed; empty when nothing is wrong. More than the parser refuses
/// (Beast 1.81 lets all of it pass): a body or any transfer coding, HTTP/1.1 without exactly one Host (RFC 9112, 3.2),
/// a target that is not in origin form or has bytes outside visible ASCII, more than kMaxFields fields.
std::string_view defect_of(const Request& request);

}  // namespace shmetrics::exporter
