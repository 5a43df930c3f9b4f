#include "exporter/access/settings.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <ctime>
#include <map>
#include <set>

namespace shmetrics::exporter {
namespace {

constexpr const char* kTokenFile = "--web.token-file";
constexpr const char* kWebConfigFile = "--web.config.file";

void warn_if_public(const std::string& path, const FileStamps& read, std::vector<std::string>& warnings) {
  if (path.empty()) return;
  const mode_t mode = read.at(path).mode;
  if ((mode & S_IROTH) != 0) {
    warnings.push_back(fmt::format("every user of this machine can read {}; run: chmod o-r {}", path, path));
  }
  if ((mode & (S_IWGRP | S_IWOTH)) != 0) {
    warnings.push_back(fmt::format("other users of this machine can write {}; run: chmod go-w {}", path, path));
  }
}

TokenSet read_tokens(const std::string& path) {
  std::string text = read_config_file(path, kTokenFile);
  const Wiper wiper{text};
  return TokenSet::from_lines(text, fmt::format("{} {}", kTokenFile, path));
}

std::set<std::string> costs_of(const std::map<std::string, std::string>& users) {
  std::set<std::string> costs;
  for (const auto& [name, hash] : users) costs.insert(hash.substr(4, 2));
  return costs;
}

void use_web_config(const std::string& path, Settings& settings, FileStamps& read, std::vector<std::string>& warnings) {
  read[path] = stamp_of(path);
  std::string text = read_config_file(path, kWebConfigFile);
  const Wiper wiper{text};
  WebConfig config = parse_web_config(text, path);
  settings.headers = std::move(config.headers);
  settings.rate_limit = config.rate_limit;
  if (!config.users.empty()) warn_if_public(path, read, warnings);
  settings.auth.users = std::move(config.users);
  if (costs_of(settings.auth.users).size() > 1) {
    warnings.push_back(
        fmt::format("{}: the bcrypt costs of basic_auth_users differ, and the time of a refusal tells who is "
                    "a user; give all hashes the highest",
                    path));
  }
  if (!config.tls) return;
  settings.tls = std::make_shared<const TlsContext>(*config.tls, read);
  settings.auth.client_certificates = config.tls->client_auth;
  if (settings.tls->certificate_expiry() < static_cast<double>(std::time(nullptr))) {
    warnings.push_back(path + ": a certificate of the chain that is served has expired; renew it");
  }
  warn_if_public(config.tls->key.path.empty() ? path : config.tls->key.path, read, warnings);
}

void warn_of_weak_spots(const AuthPolicy& auth, std::vector<std::string>& warnings) {
  if (const std::size_t count = auth.tokens.short_ones(); count > 0) {
    warnings.push_back(
        fmt::format("a token is shorter than {} characters ({} of {}); make one with: openssl rand -hex 32",
                    kShortToken, count, auth.tokens.size()));
  }
  if (!auth.tokens.empty() && auth.has_local_rule()) {
    warnings.emplace_back(
        "programs of this user and of root need no token on this machine; pass --no-web.localhost-bypass when one of "
        "them is a proxy");
  }
}

}  // namespace

LoadedSettings load_settings(const SettingsSource& source, FileStamps& read) {
  LoadedSettings loaded;
  Settings settings;
  settings.auth = {.tokens = source.environment_tokens,
                   .localhost_bypass = source.localhost_bypass,
                   .query_token = source.query_token};
  if (!source.token_file.empty()) {
    read[source.token_file] = stamp_of(source.token_file);
    settings.auth.tokens.add(read_tokens(source.token_file));
    warn_if_public(source.token_file, read, loaded.warnings);
  }
  if (!source.web_config_file.empty()) use_web_config(source.web_config_file, settings, read, loaded.warnings);
  warn_of_weak_spots(settings.auth, loaded.warnings);
  loaded.settings = std::make_shared<const Settings>(std::move(settings));
  return loaded;
}

}  // namespace shmetrics::exporter
