// shmetrics-exporter: one process, one thread. Exit codes: 0 fine, 1 failed, 2 the command line is wrong.
#include <cstdio>
#include <exception>

#include "collector/scraper.hpp"
#include "exporter/build_info.hpp"
#include "exporter/collection.hpp"
#include "exporter/options.hpp"
#include "exporter/server.hpp"

namespace {

using namespace shmetrics::exporter;

TokenSet parse_tokens(std::string& list) {
  struct Wiper {
    std::string& secret;
    ~Wiper() { wipe(secret); }
  } wiper{list};
  return TokenSet::from_list(list);
}

/// After the ports are bound: a start that fails says one thing, why it failed.
void warn_of_weak_spots(const AuthPolicy& auth) {
  if (auth.tokens.short_ones() > 0) {
    log(LogLevel::kWarn, "a token is shorter than 16 characters; make one with: openssl rand -hex 32",
        {{"short_tokens", std::to_string(auth.tokens.short_ones())}});
  }
  if (auth.tokens.empty()) {
    log(LogLevel::kInfo, auth.localhost_bypass ? "no METRICS_TOKEN: only local requests are let in"
                                               : "no METRICS_TOKEN and no localhost bypass: nobody is let in");
  } else if (auth.localhost_bypass) {
    log(LogLevel::kWarn,
        "local requests need no token; pass --no-web.localhost-bypass when a proxy runs on this machine");
  }
}

int serve(const Options& options, std::string& token_list) {
  RequestCounts counts;
  Collection collection(options.segments, !options.disable_exporter_metrics, counts);
  const Site site{.auth = {.tokens = parse_tokens(token_list),
                           .localhost_bypass = options.localhost_bypass,
                           .query_token = options.query_token},
                  .telemetry_path = options.telemetry_path,
                  .version = std::string(build_version()),
                  .collect = [&collection] { return collection.collect(); }};
  Server server(site, counts);
  for (const ListenAddress& address : options.listen_addresses) server.listen(address);
  warn_of_weak_spots(site.auth);
  collection.collect();  // the log says at once which segments there are, and the first scrape finds it mapped
  server.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
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
    return serve(options, token_list);
  } catch (const std::exception& error) {
    log(LogLevel::kError, error.what());
    return 1;
  }
}
