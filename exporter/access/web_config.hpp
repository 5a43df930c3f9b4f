// The file of --web.config.file, in the schema of Prometheus' exporter-toolkit and with nothing of our own: whatever is
// accepted here `promtool check web-config` accepts too (of a Prometheus that knows the key: client_allowed_sans, cert,
// key, client_ca and rate_limit are younger than Debian 12's). Stricter where the toolkit would start something other
// than what was meant. Pure: text in, configuration out; the files it names are read by tls_context.
//
// Threads: any. Failure: std::invalid_argument with one line. Lifetime: values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/access/rate_limit.hpp"
#include "exporter/request/secret_text.hpp"

namespace shmetrics::exporter {

enum class ClientAuth { kNone, kRequest, kRequireAny, kVerifyIfGiven, kRequireAndVerify };
constexpr bool requires_certificate(ClientAuth client_auth) {
  return client_auth == ClientAuth::kRequireAny || client_auth == ClientAuth::kRequireAndVerify;
}
constexpr bool verifies_certificate(ClientAuth client_auth) {
  return client_auth == ClientAuth::kVerifyIfGiven || client_auth == ClientAuth::kRequireAndVerify;
}
enum class TlsVersion { kTls12, kTls13 };

/// PEM, in a file or written in the configuration itself; never both.
struct PemSource {
  std::string path;
  SecretText text;
  bool is_given() const { return !path.empty() || !text.empty(); }
};

struct TlsConfig {
  PemSource certificate, key, client_ca;
  ClientAuth client_auth = ClientAuth::kNone;
  std::vector<std::string> client_allowed_sans;  // only with kRequireAndVerify
  TlsVersion min_version = TlsVersion::kTls12, max_version = TlsVersion::kTls13;
  std::vector<std::string> cipher_suites;  // names as Go has them, which are those of the RFCs; empty: our choice
  std::vector<std::string> curves;         // names as Go has them; empty: OpenSSL's choice
  bool prefer_server_cipher_suites = true;
};

struct WebConfig {
  std::optional<TlsConfig> tls;
  std::vector<std::pair<std::string, std::string>> headers;  // of every response
  std::map<std::string, std::string> users;                  // name -> bcrypt hash
  RateLimit rate_limit;
};

/// A hash beyond this cost takes longer than a scrape may.
inline constexpr int kMaxBcryptCost = 15;

/// `path` is where the text was read: messages name it, and relative paths start from its directory. Throws
/// std::invalid_argument with one line that names file, line and key, and what is allowed; it repeats no secret.
WebConfig parse_web_config(const std::string& text, const std::string& path);

}  // namespace shmetrics::exporter
