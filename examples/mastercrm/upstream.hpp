// The servers that MasterCRM calls: the language model, and those that subscribed to webhooks.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace mastercrm {

struct Reply {
  unsigned status;
  std::string body;
};

/// No answer at all. `reason` is a label value: timeout or connection.
struct UpstreamError : std::runtime_error {
  UpstreamError(const std::string& message, const char* reason_) : std::runtime_error(message), reason(reason_) {}
  const char* reason;
};

/// POSTs JSON to 127.0.0.1:port and waits for the answer. Throws UpstreamError.
Reply post_json(std::uint16_t port, const std::string& path, const std::string& body,
                std::chrono::milliseconds timeout);

}  // namespace mastercrm
