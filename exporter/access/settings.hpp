// The settings that can change while the exporter runs: an immutable object, replaced as a whole. Each request reads it
// once.
//
// Threads: any. Failure: std::exception with one line. Lifetime: shared; the old ones live until their last request
// ends.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exporter/access/auth.hpp"
#include "exporter/access/config_file.hpp"
#include "exporter/access/tls_context.hpp"

namespace shmetrics::exporter {

struct Settings {
  AuthPolicy auth;
  std::shared_ptr<const TlsContext> tls;                     // none: plain HTTP
  std::vector<std::pair<std::string, std::string>> headers;  // of every response
  RateLimit rate_limit;
};

/// Where settings come from, by the command line and the environment.
struct SettingsSource {
  TokenSet environment_tokens;
  std::string token_file = {};       // empty: none
  std::string web_config_file = {};  // likewise
  bool localhost_bypass = true;
  bool query_token = true;
};

struct LoadedSettings {
  std::shared_ptr<const Settings> settings;
  std::vector<std::string> warnings;  // lines for the log
};

/// Reads and checks all files. Throws std::exception with one line that names file, line or key, and the remedy. `read`
/// gets the files with their stamps from before they were read, also when it throws.
LoadedSettings load_settings(const SettingsSource& source, FileStamps& read);

}  // namespace shmetrics::exporter
