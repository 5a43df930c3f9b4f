// Load with a memory: it knows how many of its requests were answered, with what status and how fast, so that metrics
// can be held against it.
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
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kRetryInterval = 50ms;  // between attempts to connect to a server that refuses
constexpr auto kGrace = 30s;           // for the last answers

struct Connection {
  int fd = -1;
  bool outstanding = false;
  std::string out, in;
  Clock::time_point sent{}, retry_at{};
};

/// A request to make: `{n}` in target and body is a number that no other request has, `{k}` one from 1 to 50.
struct Template {
  std::string method, target, body;
};

/// Most is cheap, a fiftieth is slow, a tenth is an error.
std::vector<Template> default_mix() {
  std::vector<Template> mix;
  for (int n = 0; n < 100; ++n) {
    const char* const cheap = n % 2 == 0 ? "/" : "/users/{k}";
    mix.push_back({"GET", n % 50 == 0 ? "/slow" : n % 10 == 3 ? "/nowhere" : cheap, ""});
  }
  return mix;
}

/// Lines of a file: how many in a thousand, method, target, body. Shuffled, the same way each time.
std::optional<std::vector<Template>> read_mix(const std::string& path) {
  std::vector<Template> mix;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::size_t count = 0;
    Template made;
    words >> count >> made.method >> made.target >> std::ws;
    std::getline(words, made.body);
    if (made.target.empty()) return {};
    mix.insert(mix.end(), count, made);
  }
  std::shuffle(mix.begin(), mix.end(), std::minstd_rand(1));
  return mix.empty() ? std::nullopt : std::optional(mix);
}

std::string filled(std::string text, std::uint64_t n) {
  static const auto first = std::uint64_t(std::chrono::system_clock::now().time_since_epoch() / 1us);
  const auto put = [&text](const char* what, std::uint64_t number) {
    for (std::size_t at; (at = text.find(what)) != text.npos;) text.replace(at, 3, std::to_string(number));
  };
  put("{n}", first + n);
  put("{k}", n % 50 + 1);
  return text;
}

/// Every hundredth is its connection's last, so that all workers of a server get some.
std::string request(const Template& made, std::uint64_t n) {
  const auto body = filled(made.body, n);
  const auto length = body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
  const char* const last = n % 100 == 99 ? "Connection: close\r\n" : "";
  return made.method + " " + filled(made.target, n) + " HTTP/1.1\r\nHost: localhost\r\n" + length + last + "\r\n" +
         body;
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

/// What came back. "HTTP/1.1 200 OK" has its status from the tenth character on.
struct Answers {
  std::vector<std::uint32_t> latencies_us;
  std::map<std::string, std::uint64_t> statuses;

  void add(std::string_view response, Clock::time_point sent) {
    latencies_us.push_back(static_cast<std::uint32_t>((Clock::now() - sent) / 1us));
    ++statuses[std::string(response.substr(9, 3))];
  }
  double percentile_ms(std::size_t percent) const {
    return latencies_us[(latencies_us.size() - 1) * percent / 100] / 1000.0;
  }
};

/// A WebSocket that says something each second, and waits for the echo.
class Websocket {
 public:
  void step(const sockaddr_in& address, const std::string& target, Answers& answers) {
    if (fd_ < 0 && Clock::now() >= next_) open(address, target);
    char buffer[4096];
    const auto n = fd_ < 0 ? -1 : recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n == 0) return abandon();
    if (n > 0) in_.append(buffer, static_cast<std::size_t>(n));
    const auto head = in_.find("\r\n\r\n");
    if (fd_ >= 0 && !open_ && head != in_.npos) {
      answers.add(in_, next_);
      open_ = true;
      in_.erase(0, head + 4);
    }
    if (open_ && in_.size() >= kEcho.size()) ++echoes, in_.erase(0, kEcho.size());
    if (open_ && Clock::now() >= next_ + 1s) next_ = Clock::now(), say(0x81, "hello");
  }
  void leave() {
    if (open_) say(0x88, "");
    abandon();
  }

  std::uint64_t echoes = 0, unanswered = 0;

 private:
  static constexpr std::string_view kEcho{"\x81\x05hello"};

  void open(const sockaddr_in& address, const std::string& target) {
    next_ = Clock::now();
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto asked = "GET " + target +
                       " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" +
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return abandon();
    if (send(fd_, asked.data(), asked.size(), MSG_NOSIGNAL) < 0) abandon();
  }
  /// A frame of a client: masked, by zeros, which leave it readable.
  void say(unsigned char kind, const std::string& text) {
    const std::string frame = std::string{char(kind), char(0x80 | text.size())} + std::string(4, '\0') + text;
    if (send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) abandon();
  }
  void abandon() {
    unanswered += fd_ >= 0 && !open_;
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    open_ = false;
    in_.clear();
    next_ = Clock::now() + kRetryInterval;
  }

  int fd_ = -1;
  bool open_ = false;
  std::string in_;
  Clock::time_point next_{};  // to open; when open: when it spoke
};

struct Settings {
  int port = 8080, connections = 16, seconds = 10, rate = 0, websockets = 0;
  std::vector<Template> mix = default_mix();
  std::string websocket_target = "/ws/notifications";
  bool json = false;
};

class Load {
 public:
  explicit Load(const Settings& settings)
      : settings_(settings),
        connections_(static_cast<std::size_t>(settings.connections)),
        websockets_(static_cast<std::size_t>(settings.websockets)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(settings.port));
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }

  void run() {
    const auto start = Clock::now(), end = start + std::chrono::seconds(settings_.seconds);
    while (Clock::now() < end) {
      for (auto& c : connections_) {
        if (c.fd < 0 && Clock::now() >= c.retry_at) open(c);
        if (c.fd >= 0 && !c.outstanding && c.out.empty() && is_time_for(made_, start)) {
          c.out = request(settings_.mix[made_ % settings_.mix.size()], made_);
          ++made_;
        }
      }
      for (auto& w : websockets_) w.step(address_, settings_.websocket_target, answers_);
      wait_and_serve();
    }
    // What has not been sent stays unsent; and a connection that has its answer must not keep a worker from the others.
    while (close_all_but_outstanding() && Clock::now() < end + kGrace) wait_and_serve();
    for (auto& c : connections_) close_connection(c);
    for (auto& w : websockets_) {
      w.leave();
      unanswered_ += w.unanswered;
      echoes_ += w.echoes;
    }
    seconds_ = std::chrono::duration<double>(Clock::now() - start).count();
  }

  int report() {
    const auto answered = answers_.latencies_us.size();
    if (answered == 0) return std::fputs("load_generator: no request was answered\n", stderr), 1;
    std::sort(answers_.latencies_us.begin(), answers_.latencies_us.end());
    settings_.json ? print_json() : print_text();
    return 0;
  }

 private:
  bool is_time_for(std::uint64_t n, Clock::time_point start) const {
    return settings_.rate == 0 || Clock::now() >= start + std::chrono::nanoseconds(n * 1'000'000'000 / settings_.rate);
  }

  void print_text() const {
    std::printf("requests sent %zu\nunanswered %llu\n", answers_.latencies_us.size(),
                static_cast<unsigned long long>(unanswered_));
    std::printf("latency p50 %.3f ms, p99 %.3f ms\n", answers_.percentile_ms(50), answers_.percentile_ms(99));
  }

  /// Times in seconds, as in metrics.
  void print_json() const {
    std::uint64_t errors = 0;
    std::string statuses;
    for (const auto& [status, count] : answers_.statuses) {
      if (status >= "400") errors += count;
      statuses += (statuses.empty() ? "\"" : ",\"") + status + "\":" + std::to_string(count);
    }
    const auto answered = static_cast<double>(answers_.latencies_us.size());
    std::printf(
        "{\"answered\":%.0f,\"unanswered\":%llu,\"seconds\":%.3f,\"rate\":%.3f,\"error_rate\":%.6f,\"p50\":%.6f,"
        "\"p95\":%.6f,\"p99\":%.6f,\"echoes\":%llu,\"statuses\":{%s}}\n",
        answered, static_cast<unsigned long long>(unanswered_), seconds_, answered / seconds_,
        static_cast<double>(errors) / answered, answers_.percentile_ms(50) / 1000, answers_.percentile_ms(95) / 1000,
        answers_.percentile_ms(99) / 1000, static_cast<unsigned long long>(echoes_), statuses.c_str());
  }

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
    answers_.add(c.in, c.sent);
    c.outstanding = false;
    const bool closing = c.in.find("\r\nConnection: close") < size;
    c.in.erase(0, size);
    if (closing) close_connection(c);
  }

  const Settings settings_;
  sockaddr_in address_{};
  std::vector<Connection> connections_;
  std::vector<Websocket> websockets_;
  std::vector<pollfd> polled_;
  Answers answers_;
  std::uint64_t made_ = 0, unanswered_ = 0, echoes_ = 0;
  double seconds_ = 0;
};

constexpr const char* kUsage =
    "usage: load_generator [--port N] [--connections N] [--seconds N] [--rate N] [--mix FILE] [--websockets N] "
    "[--json]\n"
    "  --port N         where the server listens on 127.0.0.1 (default 8080)\n"
    "  --connections N  kept open, one outstanding request each (default 16)\n"
    "  --seconds N      how long (default 10)\n"
    "  --rate N         requests a second, as far as the connections permit (default: no limit)\n"
    "  --mix FILE       what to ask for; examples/mastercrm/load.txt shows how\n"
    "  --websockets N   kept open to /ws/notifications (default 0)\n"
    "  --json           the report as one JSON object, with rate, error rate and quantiles\n"
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
  Settings settings;
  const struct {
    std::string flag;
    int& number;
    int most;
  } numbers[] = {{"--port", settings.port, 65535},
                 {"--connections", settings.connections, 1000},
                 {"--seconds", settings.seconds, 3600},
                 {"--rate", settings.rate, 1'000'000},
                 {"--websockets", settings.websockets, 1000}};
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help") return std::fputs(kUsage, stdout), 0;
    if (flag == "--json") {
      settings.json = true;
      continue;
    }
    const auto* known = std::find_if(std::begin(numbers), std::end(numbers), [&](auto& n) { return n.flag == flag; });
    if (known == std::end(numbers) && flag != "--mix") fail_usage("unknown flag " + flag);
    if (++i == argc) fail_usage(flag + " wants a value");
    if (flag != "--mix") {
      known->number = parse_number(flag, argv[i], known->most);
    } else if (auto mix = read_mix(argv[i])) {
      settings.mix = std::move(*mix);
    } else {
      fail_usage(std::string("cannot make sense of the mix ") + argv[i]);
    }
  }
  Load load(settings);
  load.run();
  return load.report();
}
