#include "exporter/reload.hpp"

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>

#include "exporter/log.hpp"

namespace shmetrics::exporter {

Reload::Reload(SettingsSource source, Site& site, RequestCounts& counts)
    : source_(std::move(source)), site_(site), counts_(counts) {
  load();
}

void Reload::log_warnings() const {
  for (const std::string& warning : loaded_.warnings) log(LogLevel::kWarn, warning);
}

void Reload::reload() {
  try {
    load();
    log(LogLevel::kInfo, "configuration reloaded", {{"tokens", std::to_string(loaded_.settings->auth.tokens.size())}});
    log_warnings();
  } catch (const std::exception& error) {
    counts_.is_last_reload_successful = false;
    log(LogLevel::kError, "configuration not reloaded, the old one stays", {{"error", error.what()}});
  }
}

void Reload::reload_if_changed() {
  const FileStamps now = stamps_now();
  const bool is_settled = now == last_stamps_;
  last_stamps_ = now;
  if (is_settled && now != loaded_stamps_) reload();
}

FileStamps Reload::stamps_now() const {
  FileStamps stamps;
  for (const auto& [path, stamp] : loaded_stamps_) stamps[path] = stamp_of(path);
  return stamps;
}

namespace {

/// What is empty or cut short by accident must not open the door.
void require_no_less(const Settings& before, const Settings& now) {
  const auto require = [](const char* what, bool was_there, bool is_there) {
    if (was_there && !is_there) {
      throw std::runtime_error(std::string(what) +
                               " is gone from the configuration; to do without, restart the exporter");
    }
  };
  require("tls_server_config", before.tls != nullptr, now.tls != nullptr);
  const ClientAuth demanded = before.auth.client_certificates, demands = now.auth.client_certificates;
  require("client_auth_type that requires a certificate", requires_certificate(demanded),
          requires_certificate(demands));
  require("client_auth_type that verifies certificates", verifies_certificate(demanded), verifies_certificate(demands));
  require("client_allowed_sans", before.tls && before.tls->has_allowed_sans(), now.tls && now.tls->has_allowed_sans());
  require("basic_auth_users", !before.auth.users.empty(), !now.auth.users.empty());
  require("the last token", !before.auth.tokens.empty(), !now.auth.tokens.empty());
}

}  // namespace

void Reload::load() {
  FileStamps read;
  try {
    LoadedSettings loaded = load_settings(source_, read);
    require_no_less(*site_.settings, *loaded.settings);
    loaded_ = std::move(loaded);
  } catch (const std::exception&) {
    // The files of this attempt and of the one before: mending any of them is worth another.
    for (const auto& [path, stamp] : read) loaded_stamps_[path] = stamp;
    throw;
  }
  loaded_stamps_ = std::move(read);
  site_.settings = loaded_.settings;
  const auto& tls = loaded_.settings->tls;
  counts_.certificate_expiry = tls ? tls->certificate_expiry() : 0;
  counts_.is_last_reload_successful = true;
  counts_.last_reload_success =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace shmetrics::exporter
