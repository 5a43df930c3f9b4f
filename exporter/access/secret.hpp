// Digests of secrets, and their end. Safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace shmetrics::exporter {

/// Throws std::runtime_error when OpenSSL has none.
std::array<std::uint8_t, 32> sha256(std::string_view text);

/// Overwrites and empties.
void wipe(std::string& secret);
/// At the end of its scope, however that is left.
struct Wiper {
  std::string& secret;
  ~Wiper() { wipe(secret); }
};

}  // namespace shmetrics::exporter
