#include "exporter/http/listener.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <stdexcept>

#include "exporter/http/systemd.hpp"
#include "exporter/request/peer.hpp"

namespace shmetrics::exporter {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Generic = asio::generic::stream_protocol;
using Error = boost::system::error_code;

[[noreturn]] void refuse(const ListenAddress& address, const Error& error) {
  std::string remedy = "give another --web.listen-address";
  if (error == asio::error::address_in_use) remedy = "stop the program that listens there, or " + remedy;
  if (error == asio::error::access_denied) remedy = "run it with the right to listen there, or " + remedy;
  throw std::runtime_error("cannot listen on " + address.text + ": " + error.message() + "; " + remedy);
}

/// On every interface, in both families: one socket of IPv6 serves both, as with the toolkit.
bool is_everywhere(const ListenAddress& address) {
  return address.host.empty() || address.host == "::";
}

std::vector<tcp::endpoint> resolve(asio::io_context& context, const ListenAddress& address) {
  const auto port = static_cast<std::uint16_t>(std::stoul(address.port));
  if (is_everywhere(address)) return {{tcp::v6(), port}, {tcp::v4(), port}};
  Error error;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(address.host, address.port, tcp::resolver::passive, error);
  if (error) refuse(address, error);
  return {found.begin(), found.end()};
}

std::string text_of(const Acceptor& acceptor) {
  Error error;
  const Generic::endpoint endpoint = acceptor.local_endpoint(error);
  return error ? "?" : peer_of(endpoint.data()).text();
}

Acceptor bound(asio::io_context& context, const Generic::endpoint& endpoint, bool is_v6_only, Error& error) {
  Acceptor acceptor(context);
  const int family = endpoint.protocol().family();
  if (acceptor.open(endpoint.protocol(), error)) return acceptor;
  if (family != AF_UNIX && acceptor.set_option(asio::socket_base::reuse_address(true), error)) return acceptor;
  if (family == AF_INET6 && acceptor.set_option(asio::ip::v6_only(is_v6_only), error)) return acceptor;
  acceptor.bind(endpoint, error);
  return acceptor;
}

bool is_family_missing(const Error& error) {
  return error == asio::error::address_family_not_supported || error == Error(EADDRNOTAVAIL, error.category());
}

/// Of these, the one that has the port of this address.
const Listener* own_in_the_way(const ListenAddress& address, const std::list<Listener>& own) {
  const auto is_wild = [](const std::string& text) {
    return text.starts_with("[::]:") || text.starts_with("0.0.0.0:");
  };
  const auto found = std::ranges::find_if(own, [&](const Listener& listener) {
    return listener.text.ends_with(":" + address.port) &&
           (is_everywhere(address) || is_wild(address.text) || is_wild(listener.text) || listener.text == address.text);
  });
  return found == own.end() ? nullptr : &*found;
}

std::vector<Listener> open_tcp(asio::io_context& context, const ListenAddress& address,
                               const std::list<Listener>& own) {
  std::vector<Listener> listeners;
  Error missing;
  for (const tcp::endpoint& endpoint : resolve(context, address)) {
    Error error;
    Acceptor acceptor = bound(context, endpoint, !is_everywhere(address), error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (is_family_missing(error)) {
      missing = error;
      continue;
    }
    if (const Listener* other = own_in_the_way(address, own); other && error == asio::error::address_in_use) {
      throw std::runtime_error("cannot listen on " + address.text + ": --web.listen-address=" + other->text +
                               " of the same command has this port; remove one of the two");
    }
    if (error) refuse(address, error);
    std::string text = text_of(acceptor);
    listeners.push_back({std::move(acceptor), std::move(text)});
    if (is_everywhere(address)) break;  // IPv4 alone is for a machine without IPv6
  }
  if (listeners.empty()) refuse(address, missing);
  return listeners;
}

/// Removes a socket file on which no program listens: a killed exporter left it. Other files are not removed.
void remove_stale(asio::io_context& context, const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return;
  asio::local::stream_protocol::socket probe(context);
  Error error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  if (error == asio::error::connection_refused) unlink(path.c_str());
}

std::vector<Listener> open_unix(asio::io_context& context, const ListenAddress& address) {
  remove_stale(context, address.path);
  Error error;
  // The mode must be right from the first moment, so the mask and not a later chmod. No other thread makes files now.
  const mode_t previous = umask(0117);
  Acceptor acceptor = bound(context, asio::local::stream_protocol::endpoint(address.path), false, error);
  umask(previous);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) refuse(address, error);
  std::vector<Listener> listeners;
  listeners.push_back({std::move(acceptor), address.text});
  return listeners;
}

}  // namespace

std::vector<Listener> open_listeners(asio::io_context& context, const ListenAddress& address,
                                     const std::list<Listener>& own) {
  return address.is_unix() ? open_unix(context, address) : open_tcp(context, address, own);
}

std::vector<Listener> adopt_systemd_listeners(asio::io_context& context) {
  std::vector<Listener> listeners;
  for (const int fd : take_systemd_sockets()) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
    Acceptor acceptor(context, Generic(name.ss_family, 0), fd);
    std::string text = text_of(acceptor);
    listeners.push_back({std::move(acceptor), std::move(text)});
  }
  return listeners;
}

SocketFile::SocketFile(std::string path) : path_(std::move(path)) {
  struct stat made {};
  if (lstat(path_.c_str(), &made) != 0) return;
  device_ = made.st_dev;
  inode_ = made.st_ino;
}

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

SocketFile::~SocketFile() {
  struct stat found {};
  if (path_.empty() || lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) unlink(path_.c_str());
}

}  // namespace shmetrics::exporter
