#include "examples/mastercrm/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "examples/mastercrm/middleware.hpp"

namespace mastercrm {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr auto kIdleTimeout = std::chrono::seconds(60);
constexpr auto kStopTimeout = std::chrono::seconds(1);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr std::uint64_t kMostBodyBytes = 64 * 1024;
constexpr std::string_view kWebsocketPrefix = "/ws/";

class Server {
 public:
  Server(const Catalogue& metrics, const Api& api, int listener)
      : metrics_(metrics),
        middleware_(metrics),
        api_(api),
        acceptor_(asio::make_strand(context_), tcp::v4(), listener) {}

  void run(std::size_t threads, const sigset_t& stop) {
    asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached);
    std::vector<std::thread> running;
    while (running.size() < threads) running.emplace_back([this] { run_context(); });
    int signal = 0;
    sigwait(&stop, &signal);
    // Who is being served gets the answer, and then the end of the connection.
    stopping_ = true;
    asio::post(acceptor_.get_executor(), [this] { acceptor_.close(); });
    const auto deadline = std::chrono::steady_clock::now() + kStopTimeout;
    while (requests_ > 0 && std::chrono::steady_clock::now() < deadline) usleep(10'000);
    context_.stop();
    for (auto& thread : running) thread.join();
  }

 private:
  void run_context() {
    for (;;) {
      try {
        context_.run();
        return;
      } catch (const std::exception&) {
        // One connection's mishap, and not the others'.
      }
    }
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(acceptor_.get_executor());
    while (acceptor_.is_open()) {
      auto [error, socket] = co_await acceptor_.async_accept(asio::make_strand(context_), kAwait);
      if (error) {  // no descriptors, most likely, and at once again: who does not wait takes a whole processor
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kAwait);
        continue;
      }
      const auto strand = socket.get_executor();
      asio::co_spawn(strand, converse(std::move(socket)), asio::detached);
    }
  }

  asio::awaitable<void> converse(tcp::socket socket) {
    const shmetrics::InFlight connection(metrics_.active_connections);
    beast::error_code ignored;
    const std::string peer = socket.remote_endpoint(ignored).address().to_string();
    beast::tcp_stream stream(std::move(socket));
    stream.socket().set_option(tcp::no_delay(true), ignored);
    beast::flat_buffer buffer;
    for (bool goes_on = true; goes_on && !stopping_;) {
      http::request_parser<http::string_body> parser;
      parser.body_limit(kMostBodyBytes);
      stream.expires_after(kIdleTimeout);
      const auto [head_error, head] = co_await http::async_read_header(stream, buffer, parser, kAwait);
      if (head_error) co_return;
      if (parser.chunked()) co_return;  // Beast 1.81 throws on a long trailer; our clients send a length
      const auto [body_error, body] = co_await http::async_read(stream, buffer, parser, kAwait);
      if (body_error) co_return;
      auto message = parser.release();
      ++requests_;
      if (websocket::is_upgrade(message) && namespace_of(message.target())) {
        co_return co_await talk(std::move(stream), message);
      }
      goes_on = co_await answer(stream, message, peer);
      --requests_;
    }
  }

  asio::awaitable<bool> answer(beast::tcp_stream& stream, http::request<http::string_body>& message,
                               const std::string& peer) {
    const Request request{message.method_string(), message.target(), std::move(message.body()), peer};
    Response served = middleware_.serve(
        request, [this](std::string_view method, std::string_view route) { return api_.find(method, route); });
    http::response<http::string_body> response(http::int_to_status(served.status), message.version());
    response.set(http::field::content_type, "application/json");
    if (message.method() != http::verb::head) response.body() = std::move(served.body);
    response.keep_alive(message.keep_alive() && !stopping_);
    response.prepare_payload();
    stream.expires_after(kIdleTimeout);
    const auto [error, size] = co_await http::async_write(stream, response, kAwait);
    co_return !error && response.keep_alive();
  }

  static std::optional<std::string_view> namespace_of(std::string_view target) {
    if (!target.starts_with(kWebsocketPrefix)) return {};
    const auto found =
        std::find(std::begin(kNamespaces), std::end(kNamespaces), target.substr(kWebsocketPrefix.size()));
    return found == std::end(kNamespaces) ? std::nullopt : std::optional(*found);
  }

  /// Says back what it is told, until the client leaves.
  asio::awaitable<void> talk(beast::tcp_stream stream, const http::request<http::string_body>& message) {
    const auto start = std::chrono::steady_clock::now();
    const auto name = *namespace_of(message.target());
    stream.expires_never();  // the WebSocket has timeouts of its own
    websocket::stream<beast::tcp_stream> socket(std::move(stream));
    socket.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    socket.read_message_max(kMostBodyBytes);
    // Counted before the client has the answer, as every request is, and with the status that it gets: 101, or 400.
    socket.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      middleware_.count("GET", message.target(), response.result_int(), seconds.count());
    }));
    const auto [refused] = co_await socket.async_accept(message, kAwait);
    --requests_;
    if (refused) co_return;
    const shmetrics::InFlight connection(metrics_.websocket_connections.with(name));
    for (beast::flat_buffer buffer; !stopping_; buffer.clear()) {
      const auto [read_error, read] = co_await socket.async_read(buffer, kAwait);
      if (read_error) co_return;
      socket.text(socket.got_text());
      const auto [write_error, written] = co_await socket.async_write(buffer.data(), kAwait);
      if (write_error) co_return;
    }
  }

  const Catalogue& metrics_;
  const Middleware middleware_;
  const Api& api_;
  asio::io_context context_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> requests_ = 0;  // being served
};

}  // namespace

void serve(const Catalogue& metrics, const Api& api, int listener, std::size_t threads, const sigset_t& stop) {
  Server(metrics, api, listener).run(threads, stop);
}

}  // namespace mastercrm
