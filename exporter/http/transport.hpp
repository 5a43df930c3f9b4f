// The bytes of a connection: a socket with deadlines, plain or under TLS. For session.cpp alone.
//
// Threads: the io thread. Failure: by asio's error codes; std::bad_alloc when it is made. Lifetime: keeps its TLS
// context alive.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "exporter/access/tls_context.hpp"

namespace shmetrics::exporter {

/// The socket with its deadlines. asio's TLS asks for its lowest layer.
struct Stream : boost::beast::basic_stream<boost::asio::generic::stream_protocol> {
  using boost::beast::basic_stream<boost::asio::generic::stream_protocol>::basic_stream;
  using lowest_layer_type = Stream;
  Stream& lowest_layer() { return *this; }
};

/// Plain or TLS, decided when it is made: one type, so that reading and writing HTTP are compiled once.
class Transport {
 public:
  using executor_type = Stream::executor_type;
  using Tls = boost::asio::ssl::stream<Stream&>;

  Transport(boost::asio::generic::stream_protocol::socket socket, std::shared_ptr<const TlsContext> context)
      : context_(std::move(context)), stream_(std::move(socket)) {
    if (context_) tls_.emplace(stream_, context_->new_connection());
  }
  executor_type get_executor() { return stream_.get_executor(); }
  Stream& stream() { return stream_; }
  std::optional<Tls>& tls() { return tls_; }
  /// What it was made under; none: plain.
  const TlsContext* made_under() const { return context_.get(); }
  bool has_verified_client() { return tls_ && context_->has_verified_client(tls_->native_handle()); }

  template <typename Buffers, typename Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? tls_->async_read_some(first_of<boost::asio::mutable_buffer>(buffers), std::forward<Handler>(handler))
                : stream_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <typename Buffers, typename Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? tls_->async_write_some(first_of<boost::asio::const_buffer>(buffers), std::forward<Handler>(handler))
                : stream_.async_write_some(buffers, std::forward<Handler>(handler));
  }

 private:
  /// TLS takes one buffer a time anyway; so it is compiled for one type of buffer.
  template <typename Buffer, typename Buffers>
  static Buffer first_of(const Buffers& buffers) {
    for (auto at = boost::asio::buffer_sequence_begin(buffers); at != boost::asio::buffer_sequence_end(buffers); ++at) {
      if (const Buffer buffer(*at); buffer.size() != 0) return buffer;
    }
    return {};
  }

  std::shared_ptr<const TlsContext> context_;  // outlives the TLS made of it
  Stream stream_;
  std::optional<Tls> tls_;
};

}  // namespace shmetrics::exporter
