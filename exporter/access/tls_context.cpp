#include "exporter/access/tls_context.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <map>
#include <new>
#include <stdexcept>

#include "exporter/access/secret.hpp"

namespace shmetrics::exporter {
namespace {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO_free_all>>;

std::string reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return text == nullptr ? "no reason given" : text;
}

[[noreturn]] void refuse(const std::string& what, const std::string& why) {
  throw std::runtime_error(fmt::format("--web.config.file: tls_server_config.{}: {}", what, why));
}

/// How messages call it, and its PEM text.
struct Pem {
  std::string what, text;
  Pem(const char* key, const PemSource& source, FileStamps& read) : what(key), text(source.text) {
    if (source.path.empty()) return;
    what = fmt::format("{}_file {}", key, source.path);
    read[source.path] = stamp_of(source.path);
    text = read_config_file(source.path, fmt::format("--web.config.file: tls_server_config.{}_file", key));
  }
  ~Pem() { wipe(text); }
  Memory bio() const { return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }
};

std::vector<Certificate> certificates_in(const Pem& pem) {
  std::vector<Certificate> found;
  const Memory bio = pem.bio();
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) found.emplace_back(next);
  const bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (found.empty() || !is_at_end) {
    refuse(pem.what,
           fmt::format("no certificate in PEM, or a damaged one ({}); give the whole chain, the own first", reason()));
  }
  ERR_clear_error();
  return found;
}

double expiry_of(const X509* certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return 0;
  return static_cast<double>(timegm(&parts));
}

/// Written as Go writes them, which is what client_allowed_sans is compared with.
std::string text_of(const GENERAL_NAME& name) {
  if (name.type == GEN_IPADD) {
    char text[64] = "";
    const int size = ASN1_STRING_length(name.d.iPAddress);
    const int family = size == 4 ? AF_INET : AF_INET6;
    if (size != 4 && size != 16) return {};
    return inet_ntop(family, ASN1_STRING_get0_data(name.d.iPAddress), text, sizeof text) == nullptr ? "" : text;
  }
  if (name.type != GEN_DNS && name.type != GEN_EMAIL && name.type != GEN_URI) return {};
  const ASN1_STRING* text = name.d.ia5;
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

bool has_allowed_san(const X509* certificate, const std::vector<std::string>& allowed) {
  const std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const std::string text = text_of(*sk_GENERAL_NAME_value(names.get(), i));
    if (!text.empty() && std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return true;
  }
  return false;
}

/// http/1.1, or a clear refusal (RFC 7301, 3.2): a client that speaks HTTP/2 alone must not send it to us.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, out_size, kOurs, sizeof kOurs - 1, offered, offered_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int no_passphrase(char*, int, int, void*) {
  return 0;
}

/// With the length of each, so that no two lists of texts are one.
Digest digest_of(const std::vector<std::string>& texts) {
  std::string all;
  const Wiper wiper{all};
  for (const std::string& text : texts) all.append(std::to_string(text.size())).append(":").append(text);
  return sha256(all);
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ":"));
}

}  // namespace

/// How a client's certificate is judged. Has an address of its own: OpenSSL keeps a pointer.
struct TlsContext::Rules {
  bool verifies = false;
  std::vector<std::string> allowed_sans;

  static int judge(X509_STORE_CTX* store, void* pointer) {
    const auto& rules = *static_cast<const Rules*>(pointer);
    if (!rules.verifies) return 1;
    if (X509_verify_cert(store) != 1) return 0;
    if (rules.allowed_sans.empty() || has_allowed_san(X509_STORE_CTX_get0_cert(store), rules.allowed_sans)) return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
};

TlsContext::TlsContext(const TlsConfig& config, FileStamps& read)
    : rules_(std::make_unique<Rules>()), context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
  if (!context_) throw std::runtime_error("OpenSSL offers no TLS; repair its installation or its configuration");
  SSL_CTX* const context = context_.get();
  const auto number = [](TlsVersion version) {
    return version == TlsVersion::kTls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  };
  SSL_CTX_set_min_proto_version(context, number(config.min_version));
  SSL_CTX_set_max_proto_version(context, number(config.max_version));
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_CLEANSE_PLAINTEXT);  // tokens come in it
  if (config.prefer_server_cipher_suites) SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  // No resumption: a resumed session would keep a client's certificate that a reload no longer accepts.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  use_ciphers(config);
  std::vector<std::string> contents{
      joined(config.cipher_suites), joined(config.curves),
      fmt::format("{} {} {}", static_cast<int>(config.min_version), static_cast<int>(config.max_version),
                  config.prefer_server_cipher_suites)};
  use_certificate(config, read, contents);
  use_client_authorities(config, read);
  contents.emplace_back(clients_.begin(), clients_.end());
  whole_ = digest_of(contents);
}

TlsContext::~TlsContext() = default;

void TlsContext::use_ciphers(const TlsConfig& config) {
  static const std::map<std::string, std::string> kCurves{
      {"CurveP256", "P-256"}, {"CurveP384", "P-384"}, {"CurveP521", "P-521"}, {"X25519", "X25519"}};
  std::vector<std::string> tls12, tls13, curves;
  for (const std::string& name : config.cipher_suites) {
    const bool is_tls13 = name.find("_WITH_") == std::string::npos;
    (is_tls13 ? tls13 : tls12).push_back(is_tls13 ? name : OPENSSL_cipher_name(name.c_str()));
  }
  // A list with only ciphers of TLS 1.3 leaves none for TLS 1.2, which is then off.
  if (tls12.empty() && !tls13.empty()) SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION);
  const std::string list = tls12.empty() ? "ECDHE+AESGCM:ECDHE+CHACHA20" : joined(tls12);
  if (SSL_CTX_set_cipher_list(context_.get(), list.c_str()) != 1) refuse("cipher_suites", reason());
  if (!tls13.empty() && SSL_CTX_set_ciphersuites(context_.get(), joined(tls13).c_str()) != 1) {
    refuse("cipher_suites", reason());
  }
  for (const std::string& name : config.curves) curves.push_back(kCurves.at(name));
  if (!curves.empty() && SSL_CTX_set1_groups_list(context_.get(), joined(curves).c_str()) != 1) {
    refuse("curve_preferences", reason());
  }
}

void TlsContext::use_certificate(const TlsConfig& config, FileStamps& read, std::vector<std::string>& contents) {
  const Pem pem("cert", config.certificate, read), key_pem("key", config.key, read);
  for (const Pem* part : {&pem, &key_pem}) {
    const Digest digest = sha256(part->text);
    contents.emplace_back(digest.begin(), digest.end());
  }
  std::vector<Certificate> chain = certificates_in(pem);
  certificate_expiry_ = std::numeric_limits<double>::infinity();
  for (const Certificate& link : chain) certificate_expiry_ = std::min(certificate_expiry_, expiry_of(link.get()));
  if (SSL_CTX_use_certificate(context_.get(), chain.front().get()) != 1) refuse(pem.what, reason());
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context_.get(), chain[i].get()) != 1) refuse(pem.what, reason());
  }
  const Key key(PEM_read_bio_PrivateKey(key_pem.bio().get(), nullptr, no_passphrase, nullptr));
  if (!key) {
    refuse(key_pem.what,
           fmt::format("no private key in PEM without passphrase ({}); give the certificate's", reason()));
  }
  if (SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1 || SSL_CTX_check_private_key(context_.get()) != 1) {
    refuse(key_pem.what, fmt::format("not the key of {} ({}); give the certificate's", pem.what, reason()));
  }
}

void TlsContext::use_client_authorities(const TlsConfig& config, FileStamps& read) {
  rules_->allowed_sans = config.client_allowed_sans;
  std::vector<std::string> rules = config.client_allowed_sans;
  rules.push_back(std::to_string(static_cast<int>(config.client_auth)));
  rules_->verifies = verifies_certificate(config.client_auth);
  if (config.client_ca.is_given()) {
    const Pem pem("client_ca", config.client_ca, read);
    rules.push_back(pem.text);
    X509_STORE* const store = SSL_CTX_get_cert_store(context_.get());
    // As in Go: whatever is in the file is trusted, an intermediate too.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    for (const Certificate& authority : certificates_in(pem)) {
      if (X509_STORE_add_cert(store, authority.get()) != 1) refuse(pem.what, reason());
      SSL_CTX_add_client_CA(context_.get(), authority.get());
    }
  }
  clients_ = digest_of(rules);
  if (config.client_auth == ClientAuth::kNone) return;
  const int if_none = requires_certificate(config.client_auth) ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | if_none, nullptr);
  SSL_CTX_set_cert_verify_callback(context_.get(), Rules::judge, rules_.get());
}

SSL* TlsContext::new_connection() const {
  SSL* const connection = SSL_new(context_.get());
  if (connection == nullptr) throw std::bad_alloc();
  return connection;
}

bool TlsContext::has_verified_client(const SSL* connection) const {
  return rules_->verifies && SSL_get0_peer_certificate(connection) != nullptr &&
         SSL_get_verify_result(connection) == X509_V_OK;
}

bool TlsContext::has_allowed_sans() const {
  return !rules_->allowed_sans.empty();
}

std::string tls_failure_of(const SSL* connection, const std::string& text) {
  const long verdict = SSL_get_verify_result(connection);
  return verdict == X509_V_OK ? text : fmt::format("{} ({})", text, X509_verify_cert_error_string(verdict));
}

}  // namespace shmetrics::exporter
