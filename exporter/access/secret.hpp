// Digests of secrets, and their end.
//
// Threads: any. Failure: std::runtime_error when OpenSSL has none. Lifetime: values; a Wiper's string must outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace shmetrics::exporter {

using Digest = std::array<std::uint8_t, 32>;

/// Throws std::runtime_error when OpenSSL has none.
Digest sha256(std::string_view text);

/// Keyed by 32 random bytes (HMAC), so that what is found of it in a core tells nothing. The same throws.
Digest random_key();
Digest keyed_digest(const Digest& key, std::string_view text);

/// Overwrites and empties.
void wipe(std::string& secret);
/// At the end of its scope, however that is left.
struct Wiper {
  std::string& secret;
  ~Wiper() { wipe(secret); }
};

}  // namespace shmetrics::exporter
