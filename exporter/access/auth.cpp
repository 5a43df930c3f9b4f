#include "exporter/access/auth.hpp"

#include <arpa/inet.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <optional>

namespace shmetrics::exporter {
namespace {

/// What follows the scheme; nothing when it is another one.
std::optional<std::string_view> credential_of(std::string_view authorization, std::string_view scheme) {
  const std::size_t blank = std::min(authorization.find(' '), authorization.size());
  if (!same_name(authorization.substr(0, blank), scheme)) return std::nullopt;
  return authorization.substr(std::min(authorization.find_first_not_of(' ', blank), authorization.size()));
}

std::optional<std::string> base64_decoded(std::string_view text) {
  constexpr std::size_t kMostBytes = 1024;
  if (text.empty() || text.size() % 4 != 0 || text.size() > kMostBytes) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  out.resize(static_cast<std::size_t>(size) - (text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0));
  return out;
}

/// Of a cost that the users have, so that the time does not tell who is one.
std::string hash_of_nobody(const AuthPolicy& policy) {
  std::string hash = policy.users.begin()->second;
  // No password gives these last digits: the last one of a hash stands for four bits only.
  hash.replace(hash.size() - 31, 31, "...............................");
  hash.back() = '9';
  return hash;
}

bool is_header_valid(const AuthPolicy& policy, const Request& request) {
  const std::string_view authorization = field(request, "Authorization");
  const auto token = credential_of(authorization, "Bearer");
  return token && policy.tokens.matches(*token);
}

bool is_loopback4(std::string_view host) {
  in_addr address;
  // inet_pton and not inet_aton: that one takes 127.1 and octal, and browsers do not agree with it.
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool is_local_host(std::string_view host) {
  const std::size_t name_end = host.starts_with('[') ? std::min(host.find(']'), host.size()) : 0;
  const std::size_t colon = host.find(':', name_end);
  const std::string_view name = host.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view port = host.substr(colon + 1);
    if (port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  }
  return same_name(name, "localhost") || name == "[::1]" || is_loopback4(name);
}

bool betrays_foreign_origin(const Field& f) {
  constexpr std::string_view kForwarded = "X-Forwarded-";
  if (same_name(f.name.substr(0, kForwarded.size()), kForwarded)) return true;
  for (const std::string_view name : {"Forwarded", "X-Real-IP", "Via", "Origin"}) {
    if (same_name(f.name, name)) return true;
  }
  return same_name(f.name, "Sec-Fetch-Site") && f.value != "none" && f.value != "same-origin";
}

bool is_certificate_enough(const AuthPolicy& policy) {
  return policy.client_certificates == ClientAuth::kRequireAndVerify && policy.tokens.empty() && policy.users.empty();
}

}  // namespace

const char* name_of(Verdict verdict) {
  constexpr std::array kNames{"bearer",
                              "query_token",
                              "basic",
                              "local",
                              "certificate",
                              "no_credential",
                              "invalid_credential",
                              "ambiguous_credential"};
  return kNames[static_cast<std::size_t>(verdict)];
}

Verdict authenticate(const AuthPolicy& policy, const Request& request) {
  const std::size_t headers = count_fields(request, "Authorization");
  // Decoded names too: else %74oken would be a credential that is overlooked, and a wrong one would pass as none.
  const auto tokens = query_values(request.target, "token");
  if (headers + tokens.size() > 1) return Verdict::kAmbiguousCredential;
  if (headers == 1) {
    if (request.has_right_password) return Verdict::kBasic;
    const bool is_valid = is_header_valid(policy, request);
    return is_valid ? Verdict::kBearer : Verdict::kInvalidCredential;
  }
  if (tokens.size() == 1) {
    const bool is_valid = policy.query_token && tokens[0] && policy.tokens.matches(*tokens[0]);
    return is_valid ? Verdict::kQueryToken : Verdict::kInvalidCredential;
  }
  if (policy.has_local_rule() && is_local(request)) return Verdict::kLocal;
  return is_certificate_enough(policy) && request.has_verified_certificate ? Verdict::kCertificate
                                                                           : Verdict::kNoCredential;
}

std::optional<Login> basic_login(const AuthPolicy& policy, const Request& request) {
  const bool is_alone = count_fields(request, "Authorization") == 1 && query_values(request.target, "token").empty();
  if (policy.users.empty() || !is_alone) return std::nullopt;
  const auto encoded = credential_of(field(request, "Authorization"), "Basic");
  const auto decoded = encoded ? base64_decoded(*encoded) : std::nullopt;
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos || decoded->find('\0') != std::string::npos) return std::nullopt;
  Login login{.user = decoded->substr(0, colon), .password = decoded->substr(colon + 1), .hash = {}};
  if (login.password.size() > kMaxPasswordLength) return std::nullopt;
  const auto user = policy.users.find(login.user);
  login.hash = user == policy.users.end() ? hash_of_nobody(policy) : user->second;
  return login;
}

bool is_local(const Request& request) {
  if (request.peer.kind != Peer::Kind::kUnix && !request.peer.is_loopback()) return false;
  if (request.version != 11 || count_fields(request, "Host") != 1) return false;
  if (!is_local_host(field(request, "Host"))) return false;
  return std::none_of(request.fields.begin(), request.fields.end(), betrays_foreign_origin);
}

}  // namespace shmetrics::exporter
