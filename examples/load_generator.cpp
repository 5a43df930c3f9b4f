// Load with a memory: it knows how many of its requests were answered, so that a counter can be held against it.
//
// One thread, C connections, one outstanding request each. At the end every outstanding answer is awaited. A connection
// that breaks is opened again; its request, if one was outstanding, is reported as unanswered: the server may have
// counted it.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kRetryInterval = 50ms;  // between attempts to connect to a server that refuses
constexpr auto kGrace = 5s;            // for the last answers

struct Connection {
  int fd = -1;
  bool outstanding = false;
  std::string out, in;
  Clock::time_point sent{}, retry_at{};
};

/// Most is cheap, a fiftieth is slow, a tenth is an error.
std::string path_of(std::uint64_t n) {
  if (n % 50 == 0) return "/slow";
  if (n % 10 == 3) return "/nowhere";
  return n % 2 == 0 ? "/" : "/users/" + std::to_string(n % 1000 + 1);
}

/// Every hundredth is its connection's last, so that all workers of a server get some.
std::string request(std::uint64_t n) {
  const char* const last = n % 100 == 99 ? "Connection: close\r\n" : "";
  return "GET " + path_of(n) + " HTTP/1.1\r\nHost: localhost\r\n" + last + "\r\n";
}

/// Bytes of the first response in `in`, 0 while it is incomplete.
std::size_t response_size(std::string_view in) {
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const auto end = in.find("\r\n\r\n");
  const auto length = in.substr(0, end).find(kLength);
  if (end == in.npos || length == in.npos) return 0;
  std::size_t body = 0;
  std::from_chars(&in[length + kLength.size()], &in[end], body);
  return in.size() >= end + 4 + body ? end + 4 + body : 0;
}

class Load {
 public:
  Load(int port, int connections) : connections_(static_cast<std::size_t>(connections)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(port));
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }

  void run(std::chrono::seconds duration) {
    const auto end = Clock::now() + duration;
    while (Clock::now() < end) {
      for (auto& c : connections_) {
        if (c.fd < 0 && Clock::now() >= c.retry_at) open(c);
        if (c.fd >= 0 && !c.outstanding && c.out.empty()) c.out = request(made_++);
      }
      wait_and_serve();
    }
    // What has not been sent stays unsent; and a connection that has its answer must not keep a worker from the others.
    while (close_all_but_outstanding() && Clock::now() < end + kGrace) wait_and_serve();
    for (auto& c : connections_) close_connection(c);
  }

  int report() {
    std::sort(latencies_us_.begin(), latencies_us_.end());
    std::printf("requests sent %zu\nunanswered %llu\n", latencies_us_.size(),
                static_cast<unsigned long long>(unanswered_));
    if (latencies_us_.empty()) return std::fputs("load_generator: no request was answered\n", stderr), 1;
    std::printf("latency p50 %.3f ms, p99 %.3f ms\n", percentile_ms(50), percentile_ms(99));
    return 0;
  }

 private:
  void open(Connection& c) {
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // In progress, or failed: the first send will tell.
    static_cast<void>(connect(c.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_));
  }

  void close_connection(Connection& c) {
    if (c.fd >= 0) close(c.fd);
    unanswered_ += c.outstanding;
    c = Connection();
    c.retry_at = Clock::now() + kRetryInterval;
  }

  bool close_all_but_outstanding() {
    bool any = false;
    for (auto& c : connections_) {
      if (!c.outstanding) close_connection(c);
      any = any || c.outstanding;
    }
    return any;
  }

  void wait_and_serve() {
    polled_.clear();
    for (const auto& c : connections_) polled_.push_back({c.fd, short(c.out.empty() ? POLLIN : POLLOUT), 0});
    poll(polled_.data(), polled_.size(), 20);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      auto& c = connections_[i];
      if (polled_[i].revents != 0) c.out.empty() ? receive(c) : send_out(c);
    }
  }

  void send_out(Connection& c) {
    const auto n = send(c.fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return close_connection(c);
    if (n <= 0) return;
    if (!c.outstanding) c.sent = Clock::now();
    c.outstanding = true;
    c.out.erase(0, static_cast<std::size_t>(n));
  }

  void receive(Connection& c) {
    char buffer[4096];
    const auto n = recv(c.fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return close_connection(c);
    c.in.append(buffer, static_cast<std::size_t>(n));
    const auto size = response_size(c.in);
    if (size == 0) return;
    latencies_us_.push_back(static_cast<std::uint32_t>((Clock::now() - c.sent) / 1us));
    c.outstanding = false;
    const bool closing = c.in.find("\r\nConnection: close") < size;
    c.in.erase(0, size);
    if (closing) close_connection(c);
  }

  double percentile_ms(std::size_t percent) const {
    return latencies_us_[(latencies_us_.size() - 1) * percent / 100] / 1000.0;
  }

  sockaddr_in address_{};
  std::vector<Connection> connections_;
  std::vector<pollfd> polled_;
  std::vector<std::uint32_t> latencies_us_;
  std::uint64_t made_ = 0, unanswered_ = 0;
};

constexpr const char* kUsage =
    "usage: load_generator [--port N] [--connections N] [--seconds N]\n"
    "  --port N         where the server listens on 127.0.0.1 (default 8080)\n"
    "  --connections N  kept open, one outstanding request each (default 16)\n"
    "  --seconds N      how long (default 10)\n"
    "  --help           print this text\n";

[[noreturn]] void fail_usage(const std::string& message) {
  std::fprintf(stderr, "load_generator: %s; try --help\n", message.c_str());
  std::exit(2);
}

int parse_number(const std::string& flag, const std::string& text, int most) {
  char* end = nullptr;
  const long number = std::strtol(text.c_str(), &end, 10);
  if (*end == '\0' && number >= 1 && number <= most) return static_cast<int>(number);
  fail_usage(flag + " wants a number from 1 to " + std::to_string(most));
}

}  // namespace

int main(int argc, char** argv) {
  int port = 8080, connections = 16, seconds = 10;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help") return std::fputs(kUsage, stdout), 0;
    if (flag != "--port" && flag != "--connections" && flag != "--seconds") fail_usage("unknown flag " + flag);
    if (++i == argc) fail_usage(flag + " wants a value");
    if (flag == "--port") port = parse_number(flag, argv[i], 65535);
    if (flag == "--connections") connections = parse_number(flag, argv[i], 1000);
    if (flag == "--seconds") seconds = parse_number(flag, argv[i], 3600);
  }
  Load load(port, connections);
  load.run(std::chrono::seconds(seconds));
  return load.report();
}
