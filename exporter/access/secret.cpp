#include "exporter/access/secret.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace shmetrics::exporter {

Digest sha256(std::string_view text) {
  Digest digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL offers no SHA-256; repair its installation or its configuration");
  }
  return digest;
}

Digest random_key() {
  Digest key{};
  if (RAND_bytes(key.data(), static_cast<int>(key.size())) != 1) {
    throw std::runtime_error("OpenSSL offers no random bytes; repair its installation or its configuration");
  }
  return key;
}

Digest keyed_digest(const Digest& key, std::string_view text) {
  Digest digest{};
  unsigned size = digest.size();
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), digest.data(), &size) ==
      nullptr) {
    throw std::runtime_error("OpenSSL offers no HMAC; repair its installation or its configuration");
  }
  return digest;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace shmetrics::exporter
