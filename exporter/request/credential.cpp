#include "exporter/request/credential.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace shmetrics::exporter {
namespace {

/// What follows the scheme; nothing when it is another one.
std::optional<std::string_view> with_scheme(std::string_view authorization, std::string_view scheme) {
  const std::size_t blank = std::min(authorization.find(' '), authorization.size());
  if (!same_name(authorization.substr(0, blank), scheme)) return std::nullopt;
  return authorization.substr(std::min(authorization.find_first_not_of(' ', blank), authorization.size()));
}

std::optional<SecretText> base64_decoded(std::string_view text) {
  constexpr std::size_t kMostBytes = 1024;
  if (text.empty() || text.size() % 4 != 0 || text.size() > kMostBytes) return std::nullopt;
  SecretText out;
  out.resize(text.size() / 4 * 3);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  out.resize(static_cast<std::size_t>(size) - (text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0));
  return out;
}

Credential login_of(std::string_view encoded) {
  const auto decoded = base64_decoded(encoded);
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos || decoded->find('\0') != std::string::npos) return UnknownCredential{};
  if (decoded->size() - colon - 1 > kMaxPasswordLength) return UnknownCredential{};
  return BasicLogin{.user = decoded->substr(0, colon), .password = std::string_view(*decoded).substr(colon + 1)};
}

}  // namespace

Credential credential_of(const Head& head, std::span<const Parameter> parameters) {
  const std::size_t headers = count_fields(head, "Authorization");
  // Decoded names: else %74oken would be a credential that is overlooked, and a wrong one would pass as none.
  const auto is_token = [](const Parameter& parameter) { return parameter.name == "token"; };
  const auto token = std::ranges::find_if(parameters, is_token);
  const auto tokens = static_cast<std::size_t>(std::ranges::count_if(parameters, is_token));
  if (headers + tokens > 1) return AmbiguousCredential{};
  if (tokens == 1) return QueryToken{token->value};
  if (headers == 0) return NoCredential{};
  const std::string_view authorization = field(head, "Authorization");
  if (const auto bearer = with_scheme(authorization, "Bearer")) return BearerToken{*bearer};
  const auto basic = with_scheme(authorization, "Basic");
  return basic ? login_of(*basic) : UnknownCredential{};
}

}  // namespace shmetrics::exporter
