// Who is let in: section 8 of the design, rules 3, 4 and 6, as one pure function. Thread-safe.
#pragma once

#include "exporter/request.hpp"
#include "exporter/tokens.hpp"

namespace shmetrics::exporter {

struct AuthPolicy {
  TokenSet tokens;
  bool localhost_bypass = true;  // the local rule may let in who shows no credential
  bool query_token = true;       // `?token=` is a way to show one; when off it is an invalid one, never ignored
};

enum class Verdict {
  kBearer,               // let in: a valid `Authorization: Bearer`
  kQueryToken,           // let in: a valid `?token=`
  kLocal,                // let in: no credential, and the local rule holds
  kNoCredential,         // refused: none, and not local
  kInvalidCredential,    // refused, also on this machine: whoever shows a credential is judged by it
  kAmbiguousCredential,  // refused likewise: two Authorization fields, two tokens, or one of each
};
constexpr bool is_admitted(Verdict verdict) {
  return verdict <= Verdict::kLocal;
}

/// The word for log lines: `bearer`, `no_credential` ...
const char* name_of(Verdict verdict);

/// Names and values of the query are percent-decoded once. A plus stays a plus: a token has no blank that it could
/// stand for, and base64 tokens have pluses that people paste as they are. `token` without `=` is an empty token, hence
/// invalid. Scheme names are case-insensitive (RFC 9110, 11.1); schemes other than Bearer are invalid credentials.
Verdict authenticate(const AuthPolicy& policy, const Request& request);

/// From this machine, and neither forwarded by a proxy nor sent by a foreign web page: a loopback or unix peer;
/// HTTP/1.1; exactly one Host, and it is localhost, 127.0.0.0/8 or [::1] with any port (DNS rebinding has another); no
/// field that a proxy adds, no Origin; Sec-Fetch-Site absent, none or same-origin.
bool is_local(const Request& request);

}  // namespace shmetrics::exporter
