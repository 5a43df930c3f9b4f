// shmetrics-exporter: a thread for io, one that collects, one that checks passwords. Exit codes: 0 fine, 1 failed, 2
// the command line is wrong.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "collector/scraper.hpp"
#include "exporter/build_info.hpp"
#include "exporter/http/server.hpp"
#include "exporter/http/ui.hpp"
#include "exporter/options.hpp"
#include "exporter/reload.hpp"
#include "exporter/scrape/collection.hpp"

namespace {

using namespace shmetrics::exporter;
using shmetrics::collector::Created;

/// No core, and no debugger of this user's: our memory holds tokens and the key of the certificate.
void hide_memory() {
#ifndef __SANITIZE_ADDRESS__  // which looks for leaks as a debugger
  prctl(PR_SET_DUMPABLE, 0);
#endif
}

TokenSet parse_tokens(std::string& list) {
  const Wiper wiper{list};
  return TokenSet::from_list(list);
}

/// After the ports are bound: a start that fails says one thing, why it failed.
void log_who_is_let_in(const Settings& settings, bool is_reachable) {
  const AuthPolicy& auth = settings.auth;
  const bool has_secrets = !auth.tokens.empty() || !auth.users.empty();
  const bool lets_others_in = has_secrets || auth.client_certificates == ClientAuth::kRequireAndVerify;
  if (is_reachable && !lets_others_in) {
    log(LogLevel::kWarn, "reachable from other machines without a token: nobody there is let in; give METRICS_TOKEN");
  } else if (is_reachable && has_secrets && !settings.tls) {
    log(LogLevel::kInfo, "reachable from other machines without TLS: tokens can be overheard; give --web.config.file");
  }
  if (lets_others_in) return;
  if (auth.has_local_rule()) return log(LogLevel::kInfo, "no token: only local requests are let in");
  log(LogLevel::kWarn, "no token and no localhost bypass: nobody is let in; give METRICS_TOKEN");
}

[[noreturn]] void serve(const Options& options, std::string& token_list) {
  shmetrics::collector::check_pages();  // nothing could ever come
  RequestCounts counts;
  PasswordChecker passwords;
  Collection collection(options.segments, {.exporter_metrics = !options.disable_exporter_metrics,
                                           .worker_processes = options.worker_process,
                                           .owners = options.owners,
                                           .created = options.created_series ? Created::kYes : Created::kNo,
                                           .max_bytes = options.limits.max_response_bytes});
  Site site{.telemetry_path = options.telemetry_path,
            .version = fmt::format("{} (revision {}, {})", build_version(), build_revision(), build_compiler()),
            .compression = options.compression,
            .ui = options.ui ? ui_files() : std::span<const UiFile>(),
            .passwords = &passwords};
  const ScrapeSource source{.read = [&collection] { collection.read(); },
                            .render = [&collection](const ScrapeQuery& query,
                                                    const RequestCounts& now) { return collection.render(query, now); },
                            .stop = [&collection] { collection.stop(); }};
  Reload reload({.environment_tokens = parse_tokens(token_list),
                 .token_file = options.token_file,
                 .web_config_file = options.web_config_file,
                 .localhost_bypass = options.localhost_bypass,
                 .query_token = options.query_token},
                site, counts);
  Server server(site, source, options.limits, counts);
  server.reload_by([&reload] { reload.reload(); }, [&reload] { reload.reload_if_changed(); });
  if (options.systemd_socket) {
    server.listen_for_systemd();
  } else {
    for (const ListenAddress& address : options.listen_addresses) server.listen(address);
  }
  if (geteuid() == 0) log(LogLevel::kWarn, "running as root, which nothing here needs; run it as a user of its own");
  reload.log_warnings();
  log_who_is_let_in(*site.settings, server.is_reachable());
  server.run();
  server.end_process();
}

}  // namespace

int main(int argc, char** argv) {
  hide_memory();
  std::string token_list = take_token_environment();
  Options options;
  try {
    options = parse_options(argc, argv, shmetrics::collector::default_path());
  } catch (const UsageError& error) {
    std::fprintf(stderr, "shmetrics-exporter: %s\n", error.what());
    return 2;
  }
  if (!options.answer.empty()) {
    std::fputs(options.answer.c_str(), stdout);
    return 0;
  }
  start_log(options.log_level, options.log_format);
  try {
    serve(options, token_list);
  } catch (const std::exception& error) {
    log(LogLevel::kError, error.what());
    return 1;
  }
}
