// Sockets that listen.
//
// Threads: one, at startup; it blocks. Failure: std::runtime_error with one line that names address and flag. Lifetime:
// the io context must outlive it; a socket's file goes with its SocketFile.
#pragma once

#include <sys/types.h>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <list>
#include <string>
#include <vector>

#include "exporter/http/listen_address.hpp"

namespace shmetrics::exporter {

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;

struct Listener {
  Acceptor acceptor;
  std::string text;  // the address in use, with the port that the kernel chose
};

/// One or more, all listening. IPv6 sockets take no IPv4: `:port` is two sockets, or one where the machine has no IPv6.
/// `own` are those that this program has already: a refusal says it when one of them is in the way.
std::vector<Listener> open_listeners(boost::asio::io_context& context, const ListenAddress& address,
                                     const std::list<Listener>& own);

/// What systemd passed (systemd.hpp); at least one.
std::vector<Listener> adopt_systemd_listeners(boost::asio::io_context& context);

/// The file of a unix socket, removed with this object unless somebody has put another in its place.
class SocketFile {
 public:
  explicit SocketFile(std::string path);
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&&) = delete;
  ~SocketFile();

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace shmetrics::exporter
