// A prefork HTTP server that counts: the smallest complete program to copy from.
//
// A master binds one socket, declares the metrics and forks workers, which accept on that socket; a worker that dies is
// replaced. Everything about metrics is in struct Metrics, in Worker::answer() and in main(); the rest is any prefork
// server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kMaxRequestBytes = 8192;
constexpr std::size_t kMaxConnections = 512;  // of one worker
constexpr auto kIdleTimeout = 60s;
constexpr auto kStopTimeout = 4s;      // after SIGTERM, for a worker; half of it for a client that reads slowly
constexpr auto kRestartInterval = 1s;  // a worker that dies at once is not started more often than this

// Declared by the master before it forks: handles hold offsets, so they work in every child.
struct Metrics {
  explicit Metrics(const shmetrics::Registry& registry)
      : requests(registry.counter("prefork_http_requests_total", "HTTP requests answered",
                                  {"method", "route", "status_code"})),
        duration(registry.histogram("prefork_http_request_duration_seconds", "Time to make the answer", {"route"})),
        active(registry.gauge("prefork_active_requests", "Requests being served", {}, shmetrics::GaugeMode::livesum)) {}

  shmetrics::Family<shmetrics::Counter, 3> requests;
  shmetrics::Family<shmetrics::Histogram, 1> duration;
  shmetrics::Gauge active;
};

struct Connection {
  int fd;
  std::string in, out;  // in: at most kMaxRequestBytes; out: what the socket has not taken yet
  bool closing = false;
  Clock::time_point last_active = Clock::now();
};

void work_hard() {
  volatile double sum = 0;
  for (const auto end = Clock::now() + 5ms; Clock::now() < end;) sum = sum + 1;
}

// Labels are for questions like "how slow is /users?", never for what the client sends: unknown paths share one route.
std::string_view route_of(std::string_view path) {
  if (path == "/" || path == "/slow") return path;
  if (path.starts_with("/users/") && path.find('/', 7) == path.npos && path.size() > 7) return "/users/:id";
  return "other";
}

/// Status and body.
std::pair<int, std::string> respond(std::string_view route, std::string_view path) {
  if (route == "other") return {404, "not found\n"};
  if (route == "/slow") work_hard();
  if (route == "/users/:id") return {200, "user " + std::string(path.substr(7)) + "\n"};
  return {200, "hello from worker " + std::to_string(getpid()) + "\n"};
}

class Worker {
 public:
  Worker(int listener, int signals, Metrics metrics) : listener_(listener), signals_(signals), metrics_(metrics) {}

  /// Serves until SIGTERM or SIGINT, then answers what has arrived and returns.
  void run() {
    while (!stopping_ || !connections_.empty()) {
      const bool accepting = !stopping_ && connections_.size() < kMaxConnections;
      std::vector<pollfd> polled{{stopping_ ? -1 : signals_, POLLIN, 0}, {accepting ? listener_ : -1, POLLIN, 0}};
      for (const auto& c : connections_) polled.push_back({c.fd, short(c.out.empty() ? POLLIN : POLLOUT), 0});
      if (poll(polled.data(), polled.size(), 1000) < 0) continue;
      stopping_ = stopping_ || polled[0].revents != 0;
      for (std::size_t i = 0; i < connections_.size(); ++i) {
        if (polled[i + 2].revents != 0 || stopping_) serve(connections_[i]);
      }
      drop_finished();
      if (polled[1].revents == 0 || stopping_) continue;
      // One a round, so that the other workers get some too.
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) connections_.push_back({fd, {}, {}});
    }
  }

 private:
  void serve(Connection& c) {
    c.out.empty() ? receive(c) : send_out(c);
    while (c.out.empty() && !c.closing && answer_next(c)) send_out(c);
    c.closing = c.closing || stopping_;
  }

  void receive(Connection& c) {
    char buffer[kMaxRequestBytes];
    const auto n = recv(c.fd, buffer, kMaxRequestBytes - c.in.size(), 0);
    if (n > 0) c.in.append(buffer, static_cast<std::size_t>(n)), c.last_active = Clock::now();
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) c.closing = true;
  }

  void send_out(Connection& c) {
    const auto n = send(c.fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (n > 0) c.out.erase(0, static_cast<std::size_t>(n)), c.last_active = Clock::now();
    if (n < 0 && errno != EAGAIN && errno != EINTR) c.out.clear(), c.closing = true;
  }

  /// False while the request is incomplete. One that is too long is answered as an empty one: 400, and close.
  bool answer_next(Connection& c) {
    const auto end = c.in.find("\r\n\r\n");
    const bool complete = end != c.in.npos;
    if (!complete && c.in.size() < kMaxRequestBytes) return false;
    c.out = answer(std::string_view(c.in).substr(0, complete ? end : 0), c.closing);
    c.in.erase(0, complete ? end + 4 : c.in.npos);
    return true;
  }

  /// One request's head to one response. Counted before a byte of it is sent: who has an answer has been counted.
  std::string answer(std::string_view head, bool& closing) {
    std::string lower(head);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    const auto has = [&lower](const char* header) { return lower.find(header) != lower.npos; };
    const auto line = head.substr(0, head.find("\r\n"));
    const auto path = line.substr(std::min(line.size(), line.find(' ') + 1));
    const bool is_get = line.starts_with("GET /") && line.ends_with(" HTTP/1.1");
    const auto target = path.substr(0, path.find_first_of(" ?"));
    const auto route = is_get ? route_of(target) : "other";

    int status = 400;
    std::string body = "only GET without a body, over HTTP/1.1\n";
    // A request whose end we cannot tell must not share its connection with another.
    closing = !is_get || has("\r\ncontent-length:") || has("\r\ntransfer-encoding:");
    if (!closing) {
      shmetrics::InFlight in_flight(metrics_.active);
      shmetrics::Timer timer(metrics_.duration.with(route));
      std::tie(status, body) = respond(route, target);
    }
    closing = closing || stopping_ || has("\r\nconnection: close");
    metrics_.requests.with(is_get ? "GET" : "other", route, std::to_string(status)).inc();
    const auto reason = status == 200 ? " OK" : status == 404 ? " Not Found" : " Bad Request";
    return "HTTP/1.1 " + std::to_string(status) + reason +
           "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
           (closing ? "\r\nConnection: close" : "") + "\r\n\r\n" + body;
  }

  void drop_finished() {
    const auto deadline = Clock::now() - (stopping_ ? kStopTimeout / 2 : kIdleTimeout);
    std::erase_if(connections_, [deadline](const Connection& c) {
      const bool finished = (c.closing && c.out.empty()) || c.last_active < deadline;
      if (finished) close(c.fd);
      return finished;
    });
  }

  int listener_, signals_;
  Metrics metrics_;
  std::vector<Connection> connections_;
  bool stopping_ = false;
};

class Master {
 public:
  Master(int listener, int workers, Metrics metrics)
      : listener_(listener), metrics_(metrics), places_(static_cast<std::size_t>(workers)) {
    sigemptyset(&signals_);
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals_, signal);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);  // before the first fork, so that none is missed; workers inherit it
  }

  void run() {
    for (bool stopping = false; !stopping;) {
      for (auto& place : places_) {
        if (place.pid == 0 && Clock::now() - place.started >= kRestartInterval) start(place);
      }
      const timespec second{1, 0};
      const int signal = sigtimedwait(&signals_, nullptr, &second);
      stopping = signal == SIGTERM || signal == SIGINT;
      reap();
    }
    close(listener_);
    signal_all(SIGTERM);
    for (const auto end = Clock::now() + kStopTimeout; reap() && Clock::now() < end;) usleep(10'000);
    signal_all(SIGKILL);
  }

 private:
  struct Place {
    pid_t pid = 0;
    Clock::time_point started = Clock::now() - kRestartInterval;
  };

  void start(Place& place) {
    place.started = Clock::now();
    const pid_t master = getpid();
    std::fflush(nullptr);
    place.pid = fork();
    if (place.pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() == master) Worker(listener_, signalfd(-1, &signals_, SFD_CLOEXEC), metrics_).run();
      std::exit(0);  // not _exit: leaving in good order is what tells "released" from "died" in the metrics
    }
    place.pid = std::max(place.pid, 0);  // no fork now: next try when the interval is over
  }

  /// Notes the dead; true while somebody is alive.
  bool reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      for (auto& place : places_) {
        if (place.pid == pid) place.pid = 0;
      }
      if (status != 0) std::fprintf(stderr, "prefork_server: worker %d died, a new one takes its place\n", pid);
    }
    return std::any_of(places_.begin(), places_.end(), [](const Place& place) { return place.pid != 0; });
  }

  void signal_all(int signal) {
    for (const auto& place : places_) {
      if (place.pid != 0) kill(place.pid, signal);
    }
  }

  int listener_;
  sigset_t signals_;
  Metrics metrics_;
  std::vector<Place> places_;
};

constexpr const char* kUsage =
    "usage: prefork_server [--port N] [--workers N] [--segment PATH]\n"
    "  --port N        TCP port on 127.0.0.1 (default 8080)\n"
    "  --workers N     processes that serve (default 4)\n"
    "  --segment PATH  where the metrics live (default: $SHMETRICS_SEGMENT, then the user's file in /dev/shm)\n"
    "  --help          print this text\n";

[[noreturn]] void fail(int status, const std::string& message) {
  std::fprintf(stderr, "prefork_server: %s\n", message.c_str());
  std::exit(status);
}

int parse_number(const std::string& flag, const std::string& text, int most) {
  char* end = nullptr;
  const long number = std::strtol(text.c_str(), &end, 10);
  if (*end == '\0' && number >= 1 && number <= most) return static_cast<int>(number);
  fail(2, flag + " wants a number from 1 to " + std::to_string(most) + "; try --help");
}

int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1024) == 0) return fd;
  fail(1, "cannot listen on port " + std::to_string(port) + ": " + std::strerror(errno) + "; choose another by --port");
}

}  // namespace

int main(int argc, char** argv) try {
  int port = 8080, workers = 4;
  shmetrics::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help") return std::fputs(kUsage, stdout), 0;
    const std::string value = i + 1 < argc ? argv[++i] : "";
    const bool known = flag == "--port" || flag == "--workers" || flag == "--segment";
    if (!known || value.empty()) fail(2, "cannot make sense of " + flag + "; try --help");
    if (flag == "--port") port = parse_number(flag, value, 65535);
    if (flag == "--workers") workers = parse_number(flag, value, 256);
    if (flag == "--segment") options.path = value;
  }
  const int listener = listen_on(port);
  std::error_code inert;  // no reason to serve nobody: the library says it on stderr, and counts nothing
  const Metrics metrics(shmetrics::Registry::open(options, inert));
  Master master(listener, workers, metrics);
  std::printf("prefork_server: pid %d serves http://127.0.0.1:%d/ with %d workers\n", getpid(), port, workers);
  master.run();
  return 0;
} catch (const std::exception& error) {
  fail(1, error.what());
}
