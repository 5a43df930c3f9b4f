#include "exporter/access/auth.hpp"

#include <algorithm>
#include <array>

namespace shmetrics::exporter {
namespace {

/// Its cost is the highest of the users' hashes: the refusal of an unknown user is never the quick one.
std::string hash_of_nobody(const AuthPolicy& policy) {
  std::string hash =
      std::ranges::max_element(policy.users, {}, [](const auto& user) { return user.second.substr(4, 2); })->second;
  // No password gives these last digits: the last one of a hash stands for four bits only.
  hash.replace(hash.size() - 31, 31, "...............................");
  hash.back() = '9';
  return hash;
}

/// What is judged by a credential that was shown.
struct Judge {
  const AuthPolicy& policy;
  const Request& request;
  const Caller& caller;

  Judgement operator()(const UnknownCredential&) const { return {Verdict::kInvalidCredential}; }
  Judgement operator()(const AmbiguousCredential&) const { return {Verdict::kAmbiguousCredential}; }
  Judgement operator()(const BearerToken& token) const {
    return {policy.tokens.matches(token.text) ? Verdict::kBearer : Verdict::kInvalidCredential};
  }
  Judgement operator()(const QueryToken& token) const {
    const bool is_valid = policy.query_token && token.text && policy.tokens.matches(*token.text);
    return {is_valid ? Verdict::kQueryToken : Verdict::kInvalidCredential};
  }
  Judgement operator()(const BasicLogin&) const {
    return {policy.users.empty() ? Verdict::kInvalidCredential : Verdict::kUncheckedPassword};
  }
  Judgement operator()(const NoCredential&) const {
    std::optional<ForeignSign> sign;
    if (policy.has_local_rule()) {
      sign = request.foreign_sign;
      if (!sign && !caller.is_trusted()) sign = ForeignSign{ForeignSign::Kind::kPeerUid};
      if (!sign) return {Verdict::kLocal};
    }
    if (policy.is_certificate_enough() && caller.has_verified_certificate) return {Verdict::kCertificate};
    return {Verdict::kNoCredential, sign};
  }
};

}  // namespace

const char* name_of(Verdict verdict) {
  constexpr std::array kNames{"bearer",
                              "query_token",
                              "basic",
                              "local",
                              "certificate",
                              "open",
                              "no_credential",
                              "invalid_credential",
                              "ambiguous_credential",
                              "passwords_waiting",
                              "rate_limit",
                              "unchecked_password"};
  return kNames[static_cast<std::size_t>(verdict)];
}

Judgement authenticate(const AuthPolicy& policy, const Request& request, const Caller& caller) {
  return std::visit(Judge{policy, request, caller}, request.credential);
}

Login login_for(const AuthPolicy& policy, const BasicLogin& shown) {
  const auto user = policy.users.find(shown.user);
  return {.user = shown.user,
          .password = shown.password,
          .hash = user == policy.users.end() ? hash_of_nobody(policy) : user->second};
}

}  // namespace shmetrics::exporter
