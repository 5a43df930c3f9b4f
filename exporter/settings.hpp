// What can be changed while the exporter runs: an immutable object, replaced as a whole. Each request reads it once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "exporter/auth.hpp"
#include "exporter/config_file.hpp"

namespace shmetrics::exporter {

struct Settings {
  AuthPolicy auth;
};

/// Where settings come from, by the command line and the environment.
struct SettingsSource {
  TokenSet environment_tokens;
  std::string token_file;  // empty: none
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
