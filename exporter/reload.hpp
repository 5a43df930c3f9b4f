// Keeps a site's settings as its files are.
//
// Threads: the io thread. Failure: throws at the start alone; later a fault is logged and counted. Lifetime: site and
// counts must outlive it.
#pragma once

#include "exporter/access/settings.hpp"
#include "exporter/http/handler.hpp"

namespace shmetrics::exporter {

class Reload {
 public:
  /// Loads for the first time; throws what load_settings throws.
  Reload(SettingsSource source, Site& site, RequestCounts& counts);

  /// For the first time after the ports are bound: a start that fails says one thing, why it failed.
  void log_warnings() const;

  /// Reloads now, whether files have changed or not. A fault is logged and counted, and the old settings stay. It is a
  /// fault if TLS, the users or the last token would be gone, or if TLS would demand less of clients: that takes a
  /// restart.
  void reload();

  /// To be called now and then. Reloads if a file has changed since the last load, but not since the last call. So,
  /// most of the time, a certificate and its key are not read while one is replaced and the other not yet.
  void reload_if_changed();

 private:
  FileStamps stamps_now() const;
  void load();

  SettingsSource source_;
  Site& site_;
  RequestCounts& counts_;
  LoadedSettings loaded_;
  FileStamps loaded_stamps_, last_stamps_;
};

}  // namespace shmetrics::exporter
