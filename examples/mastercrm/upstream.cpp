#include "examples/mastercrm/upstream.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <exception>

namespace mastercrm {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

asio::awaitable<Reply> exchange(http::request<http::string_body> request, std::uint16_t port,
                                std::chrono::milliseconds timeout) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_after(timeout);
  co_await stream.async_connect({asio::ip::address_v4::loopback(), port}, asio::use_awaitable);
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  co_await http::async_read(stream, buffer, response, asio::use_awaitable);
  co_return Reply{response.result_int(), std::move(response.body())};
}

}  // namespace

Reply post_json(std::uint16_t port, const std::string& path, const std::string& body,
                std::chrono::milliseconds timeout) {
  http::request<http::string_body> request(http::verb::post, path, 11);
  request.set(http::field::host, "127.0.0.1");
  request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.keep_alive(false);
  request.prepare_payload();
  // A context of its own: a time limit needs the asynchronous calls, and a thread that waits for them.
  asio::io_context context(1);
  Reply reply{};
  std::exception_ptr failure;
  asio::co_spawn(context, exchange(std::move(request), port, timeout), [&](std::exception_ptr error, Reply got) {
    failure = error;
    reply = std::move(got);
  });
  context.run();
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    throw UpstreamError(error.what(), error.code() == beast::error::timeout ? "timeout" : "connection");
  }
  return reply;
}

}  // namespace mastercrm
