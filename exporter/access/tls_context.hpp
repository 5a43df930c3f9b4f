// The TLS configuration of new connections: certificate, key, authorities and rules, read once and never changed. A
// reload makes another one; existing connections keep theirs. OpenSSL alone, no Boost.
//
// Threads: any. Failure: as each function says. Lifetime: must outlive its connections.
#pragma once

#include <openssl/types.h>
#include <memory>
#include <string>
#include <vector>

#include "exporter/access/config_file.hpp"
#include "exporter/access/secret.hpp"
#include "exporter/access/web_config.hpp"

namespace shmetrics::exporter {

class TlsContext {
 public:
  /// Reads the files that `config` names and puts them into `read` with their stamps from before. Throws
  /// std::runtime_error with one line that names the key and the file. Never asks for a passphrase.
  TlsContext(const TlsConfig& config, FileStamps& read);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;

  /// A new server side. The caller frees it, before this context ends. Throws std::bad_alloc.
  SSL* new_connection() const;

  /// Whether the client has shown a certificate and the rules include checking it. After the handshake.
  bool has_verified_client(const SSL* connection) const;

  /// Whether only clients of certain names are let in.
  bool has_allowed_sans() const;
  /// Whether a connection that was made under `other` may go on: it judges clients by the same rules.
  bool judges_clients_as(const TlsContext& other) const { return clients_ == other.clients_; }
  /// Whether nothing at all differs from `other`.
  bool is_same_as(const TlsContext& other) const { return whole_ == other.whole_; }

  /// Unix time at which the first certificate of the chain that is served expires.
  double certificate_expiry() const { return certificate_expiry_; }

 private:
  struct Rules;
  void use_certificate(const TlsConfig& config, FileStamps& read, std::vector<std::string>& contents);
  void use_client_authorities(const TlsConfig& config, FileStamps& read);
  void use_ciphers(const TlsConfig& config);

  std::unique_ptr<Rules> rules_;
  std::shared_ptr<SSL_CTX> context_;
  double certificate_expiry_ = 0;
  Digest clients_{}, whole_{};  // of what it was made of
};

/// After a failed handshake, for the log: `text` with what the check of the client's certificate said, if it said no.
std::string tls_failure_of(const SSL* connection, const std::string& text);

}  // namespace shmetrics::exporter
