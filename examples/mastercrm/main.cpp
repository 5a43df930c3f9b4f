// MasterCRM: a small CRM that counts what its metrics guide lists. A worked example: copy what you need.
//
// A master opens the segment, declares all metrics (catalogue.hpp), and forks: workers that serve HTTP and WebSocket,
// queue workers, and a housekeeper. Each opens what cannot go through a fork, the database, for itself.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>

#include "examples/mastercrm/api.hpp"
#include "examples/mastercrm/catalogue.hpp"
#include "examples/mastercrm/database.hpp"
#include "examples/mastercrm/job_queue.hpp"
#include "examples/mastercrm/processes.hpp"
#include "examples/mastercrm/server.hpp"

namespace {

using namespace mastercrm;

struct Settings {
  std::uint16_t port = 8080, upstream_port = 8090;
  unsigned workers = 4, threads = 8, queue_workers = 2;
  std::size_t connections = 4;  // of a worker's pool
  std::string host = "127.0.0.1", database = "mastercrm.db";
  shmetrics::Options segment;
};

int listen_on(const std::string& host, std::uint16_t& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error("--host wants an IPv4 address, not " + host);
  }
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 1024) != 0) {
    throw std::runtime_error("cannot listen on port " + std::to_string(port) + ": " + std::strerror(errno) +
                             "; choose another by --port");
  }
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

/// Calls `work` again and again until one of `stop` comes; a pause when there was nothing to do.
template <typename Function>
void repeat(const sigset_t& stop, long pause_ms, const Function& work) {
  for (;;) {
    bool had_work = false;
    try {
      had_work = work();
    } catch (const std::exception& error) {  // a busy database, most likely: it is counted, and tried again
      std::fprintf(stderr, "mastercrm: %s\n", error.what());
    }
    const timespec pause{0, had_work ? 0 : pause_ms * 1'000'000};
    if (sigtimedwait(&stop, nullptr, &pause) > 0) return;
  }
}

void run(Settings& settings) {
  const int listener = listen_on(settings.host, settings.port);
  create_tables(settings.database);
  // Not fatal: the library says on stderr what is inert and counts nothing, and the application goes on.
  std::error_code inert;
  const Catalogue metrics{shmetrics::Registry::open(settings.segment, inert)};

  Processes processes;
  for (unsigned i = 0; i < settings.workers; ++i) {
    processes.add("crm-worker", [&](const sigset_t& stop) {
      Database database(metrics, settings.database, settings.connections);
      const Api api(metrics, database, settings.upstream_port);
      serve(metrics, api, listener, settings.threads, stop);
    });
  }
  for (unsigned i = 0; i < settings.queue_workers; ++i) {
    processes.add("crm-queue", [&](const sigset_t& stop) {
      Database database(metrics, settings.database, 1);
      QueueWorker worker(metrics, database, settings.upstream_port);
      repeat(stop, 50, [&] { return worker.do_one(); });
    });
  }
  processes.add("crm-housekeeper", [&](const sigset_t& stop) {
    Database database(metrics, settings.database, 1);
    repeat(stop, 500, [&] { return keep_house(metrics, database), false; });
  });
  std::printf("mastercrm: serves http://%s:%u/ with %u workers\n", settings.host.c_str(), settings.port,
              settings.workers);
  processes.run();
}

}  // namespace

int main(int argc, char** argv) try {
  Settings settings;
  CLI::App app("A small CRM that counts what it does.", "mastercrm");
  app.option_defaults()->always_capture_default();
  app.add_option("--port", settings.port, "TCP port; 0 takes a free one");
  app.add_option("--host", settings.host, "address to listen on; in a container 0.0.0.0");
  app.add_option("--workers", settings.workers, "processes that serve")->check(CLI::Range(1, 256));
  app.add_option("--threads", settings.threads, "of each of them")->check(CLI::Range(1, 256));
  app.add_option("--connections", settings.connections, "to the database, of each of them")->check(CLI::Range(1, 256));
  app.add_option("--queue-workers", settings.queue_workers, "processes that work on the queue")
      ->check(CLI::Range(1, 256));
  app.add_option("--database", settings.database, "SQLite file; its folder must be writable");
  app.add_option("--upstream-port", settings.upstream_port, "where the language model is and webhooks go to");
  app.add_option("--segment", settings.segment.path,
                 "of the metrics (default: $SHMETRICS_SEGMENT, then the library's)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  run(settings);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "mastercrm: %s\n", error.what());
  return 1;
}
