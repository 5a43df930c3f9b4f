// The head of a request as it came over the wire, without the library that read it, and what is wrong with it. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: a Head views the bytes of its session: it is valid while that
// request is answered.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/request/secret_text.hpp"

namespace shmetrics::exporter {

struct Field {
  std::string_view name, value;
};

struct Head {
  int version = 11;  // 10 or 11
  std::string_view method, target;
  std::span<const Field> fields;
};

/// Field names are case-insensitive (RFC 9110, 5.1).
bool same_name(std::string_view a, std::string_view b);
std::size_t count_fields(const Head& head, std::string_view name);
/// The first one's value, empty when there is none.
std::string_view field(const Head& head, std::string_view name);

/// All of them in one list: several lines mean the same as one with commas (RFC 9110, 5.3).
std::string joined_fields(const Head& head, std::string_view name);

/// What is before the first question mark.
std::string_view path_of(std::string_view target);

/// One `name=value` of the query. Both are decoded once, so that %2561 is %61. The value is nothing for a broken
/// escape; a parameter whose name has a broken escape is left out.
struct Parameter {
  std::string name;
  std::optional<SecretText> value;  // a token, perhaps
};
std::vector<Parameter> parameters_of(std::string_view target);

inline constexpr std::size_t kMaxFields = 100;

/// Why this request gets 400 and its connection is closed; empty when nothing is wrong. More than the parser refuses
/// (Beast 1.81 lets all of it pass): a body or any transfer coding, HTTP/1.1 without exactly one Host (RFC 9112, 3.2),
/// a target that is not in origin form or has bytes outside visible ASCII, more than kMaxFields fields.
std::string_view defect_of(const Head& head);

}  // namespace shmetrics::exporter
