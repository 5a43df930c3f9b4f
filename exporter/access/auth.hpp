// Who is let in: section 8 of the design, rules 3 to 6, as one pure function. Thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "exporter/access/password.hpp"
#include "exporter/access/tokens.hpp"
#include "exporter/access/web_config.hpp"
#include "exporter/request/request.hpp"

namespace shmetrics::exporter {

struct AuthPolicy {
  TokenSet tokens;
  std::map<std::string, std::string> users = {};  // name -> bcrypt hash
  ClientAuth client_certificates = ClientAuth::kNone;
  bool localhost_bypass = true;  // the local rule may let in who shows no credential
  bool query_token = true;       // `?token=` is a way to show one; when off it is an invalid one, never ignored

  /// Whether the local rule applies: who has users or requires certificates means it for local clients too.
  bool has_local_rule() const {
    return localhost_bypass && users.empty() && client_certificates != ClientAuth::kRequireAny &&
           client_certificates != ClientAuth::kRequireAndVerify;
  }
};

enum class Verdict {
  kBearer,               // let in: a valid `Authorization: Bearer`
  kQueryToken,           // let in: a valid `?token=`
  kBasic,                // let in: a user with the right password
  kLocal,                // let in: no credential, and the local rule holds
  kCertificate,          // let in: no credential, but a verified client certificate, and nothing else is configured
  kNoCredential,         // refused: none, and not local
  kInvalidCredential,    // refused, also on this machine: whoever shows a credential is judged by it
  kAmbiguousCredential,  // refused likewise: two Authorization fields, two tokens, or one of each
};
constexpr bool is_admitted(Verdict verdict) {
  return verdict <= Verdict::kCertificate;
}

/// The word for log lines: `bearer`, `no_credential` ...
const char* name_of(Verdict verdict);

/// Names and values of the query are percent-decoded once. A plus stays a plus: a token has no blank that it could
/// stand for, and base64 tokens have pluses that people paste as they are. `token` without `=` is an empty token, hence
/// invalid. Scheme names are case-insensitive (RFC 9110, 11.1); schemes other than Bearer are invalid credentials,
/// and so is Basic unless the request says that its password was found right.
Verdict authenticate(const AuthPolicy& policy, const Request& request);

/// The password that has to be checked before authenticate() can judge: Basic is the one credential shown, and there
/// are users. Nothing when it is invalid in any case (malformed, too long, with a NUL that bcrypt would end at).
std::optional<Login> basic_login(const AuthPolicy& policy, const Request& request);

/// From this machine, and neither forwarded by a proxy nor sent by a foreign web page: a loopback or unix peer;
/// HTTP/1.1; exactly one Host, and it is localhost, 127.0.0.0/8 or [::1] with any port (DNS rebinding has another); no
/// field that a proxy adds, no Origin; Sec-Fetch-Site absent, none or same-origin.
bool is_local(const Request& request);

}  // namespace shmetrics::exporter
