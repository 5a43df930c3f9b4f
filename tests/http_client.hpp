// A client that sends what it is told to, also what no client should send.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/kept_output.hpp"

namespace shmetrics::tests {

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  std::string header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key.size() == name.size() && strncasecmp(key.data(), name.data(), name.size()) == 0) return value;
    }
    return {};
  }
};

/// One connection. Throws std::runtime_error when the peer closes early or is silent for 20 s.
class HttpClient {
 public:
  static HttpClient tcp4(std::uint16_t port, const char* to = "127.0.0.1", const char* from = nullptr) {
    HttpClient client(AF_INET);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (from != nullptr) {
      inet_pton(AF_INET, from, &address.sin_addr);
      // Else the port is taken from everybody on this machine, until a minute after the end.
      const int on = 1;
      setsockopt(client.fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
      client.require(bind(client.fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
    }
    inet_pton(AF_INET, to, &address.sin_addr);
    address.sin_port = htons(port);
    client.connect_to(address);
    return client;
  }
  static HttpClient tcp6(std::uint16_t port) {
    HttpClient client(AF_INET6);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = htons(port);
    client.connect_to(address);
    return client;
  }
  static HttpClient unix_socket(const std::string& path) {
    HttpClient client(AF_UNIX);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    client.connect_to(address);
    return client;
  }
  HttpClient(HttpClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}
  HttpClient& operator=(HttpClient&&) = delete;
  ~HttpClient() {
    if (fd_ >= 0) close(fd_);
  }

  /// What the peer no longer takes is dropped: it may have answered and closed.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  HttpResponse read_response(bool has_body = true) {
    HttpResponse response;
    const std::string status = read_line();
    if (status.size() < 12 || !status.starts_with("HTTP/1.")) throw std::runtime_error("no status line: " + status);
    response.status = std::stoi(status.substr(9, 3));
    for (std::string line = read_line(); !line.empty(); line = read_line()) {
      const std::size_t colon = line.find(": ");
      response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
    const std::string length = response.header("Content-Length");
    if (!has_body) return response;
    if (length.empty()) {
      while (read_more()) {
      }
      response.body = std::exchange(buffer_, {});
      return response;
    }
    while (buffer_.size() < std::stoul(length)) require(read_more(), "the whole body");
    response.body = buffer_.substr(0, std::stoul(length));
    buffer_.erase(0, response.body.size());
    const bool is_plain = response.status == 200 && response.header("Content-Encoding").empty();
    if (is_plain) keep_output(response.header("Content-Type"), response.body);
    return response;
  }

  HttpResponse exchange(std::string_view request) {
    send(request);
    return read_response(!request.starts_with("HEAD "));
  }

  /// To be a slow client of a long response; a read takes 16 KiB at most. Who was held up catches up.
  void read_each(std::chrono::milliseconds pace) {
    pace_ = pace;
    next_read_ = std::chrono::steady_clock::now();
  }

  /// Whether the peer ends the connection, by FIN or reset, without another byte.
  bool is_closed_by_peer() {
    char byte = 0;
    return buffer_.empty() && (recv(fd_, &byte, 1, 0) == 0 || errno == ECONNRESET);
  }

 private:
  explicit HttpClient(int family) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  template <typename Address>
  void connect_to(const Address& address) {
    require(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connect");
  }
  static void require(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(std::string("the peer did not give ") + what + ": " + std::strerror(errno));
  }
  bool read_more() {
    char bytes[16384];
    const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
    if (size > 0) buffer_.append(bytes, static_cast<std::size_t>(size));
    std::this_thread::sleep_until(next_read_ += pace_);
    return size > 0;
  }
  std::string read_line() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) require(read_more(), "a line");
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return line;
  }

  int fd_;
  std::string buffer_;
  std::chrono::milliseconds pace_{0};
  std::chrono::steady_clock::time_point next_read_{};
};

}  // namespace shmetrics::tests
