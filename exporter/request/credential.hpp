// What a request shows to be let in by. Pure.
//
// Threads: any. Failure: std::bad_alloc alone; a broken one is a kind of its own. Lifetime: a BearerToken views the
// head.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "exporter/request/head.hpp"

namespace shmetrics::exporter {

struct NoCredential {};
/// Of another scheme, or no well-formed one of a known scheme.
struct UnknownCredential {};
/// Two Authorization fields, two tokens, or one of each.
struct AmbiguousCredential {};
/// `Authorization: Bearer`.
struct BearerToken {
  std::string_view text;
};
/// `?token=`. A plus stays a plus: a token has no blank that it could stand for, and base64 tokens have pluses that
/// people paste as they are. Nothing for a broken escape; `token` without `=` is an empty token.
struct QueryToken {
  std::optional<SecretText> text;
};
/// `Authorization: Basic`. Neither has a NUL, at which bcrypt would end.
struct BasicLogin {
  std::string user;
  SecretText password;
};
using Credential =
    std::variant<NoCredential, UnknownCredential, AmbiguousCredential, BearerToken, QueryToken, BasicLogin>;

/// bcrypt heeds no more, so two longer passwords could be one: a longer one is an UnknownCredential.
inline constexpr std::size_t kMaxPasswordLength = 72;

/// Scheme names are case-insensitive (RFC 9110, 11.1). `parameters` are those of the head's target.
Credential credential_of(const Head& head, std::span<const Parameter> parameters);

}  // namespace shmetrics::exporter
