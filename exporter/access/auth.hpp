// Who is let in: section 8 of the design, rules 3 to 6, as one pure function.
//
// Threads: any. Failure: std::bad_alloc, and std::runtime_error when OpenSSL fails. Lifetime: a call keeps nothing.
#pragma once

#include <functional>
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
  bool localhost_bypass = true;  // the local rule may admit requests without a credential
  bool query_token = true;       // `?token=` is a credential; if this is off, it is an invalid one, never ignored

  /// Whether the local rule applies: if there are users, or certificates are required, local clients need them too.
  bool has_local_rule() const {
    return localhost_bypass && users.empty() && !requires_certificate(client_certificates);
  }
  /// Whether a verified client certificate lets in by itself: it is required, and nothing else is configured.
  bool is_certificate_enough() const {
    return client_certificates == ClientAuth::kRequireAndVerify && tokens.empty() && users.empty();
  }
};

/// What the connection knows of its client.
struct Caller {
  bool has_verified_certificate = false;  // the client showed one, and it was checked
  /// Whether the peer's process belongs to a user whom we trust (peer_owner.hpp). Asked only of a peer of this machine
  /// that everything else speaks for.
  std::function<bool()> is_trusted;
};

enum class Verdict {
  kBearer,               // let in: a valid `Authorization: Bearer`
  kQueryToken,           // let in: a valid `?token=`
  kBasic,                // let in: a user with the right password
  kLocal,                // let in: no credential, and the local rule holds
  kCertificate,          // let in: no credential, but a verified client certificate, and nothing else is configured
  kOpen,                 // let in: what is asked for is open to everybody; nobody was asked for a credential
  kNoCredential,         // refused: none, and not local
  kInvalidCredential,    // refused, also on this machine: a request with a credential is judged by it
  kAmbiguousCredential,  // refused likewise: two Authorization fields, two tokens, or one of each
  kPasswordsWaiting,     // refused for now: too many passwords wait to be checked
  kRateLimited,          // refused for now: everybody together asked more often than `rate_limit` allows
  kUncheckedPassword,    // not decided: the password has to be checked first
};
constexpr bool is_admitted(Verdict verdict) {
  return verdict <= Verdict::kOpen;
}

/// The word for log lines: `bearer`, `no_credential` ...
const char* name_of(Verdict verdict);

struct Judgement {
  Verdict verdict;
  std::optional<ForeignSign> foreign_sign = {};  // of kNoCredential: why the local rule, which is on, does not hold
};

/// kUncheckedPassword only where there are users, never kOpen, kPasswordsWaiting nor kRateLimited.
Judgement authenticate(const AuthPolicy& policy, const Request& request, const Caller& caller);

/// What to check a password against: the user's hash, or one that nothing matches and that takes as long.
Login login_for(const AuthPolicy& policy, const BasicLogin& shown);

}  // namespace shmetrics::exporter
