#include "exporter/access/peer_owner.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace shmetrics::exporter {
namespace {

struct Address {
  /// Loopback, at a port that the kernel chooses. `is_mapped`: that of IPv4, in the form of IPv6.
  explicit Address(int family, bool is_mapped = false) {
    storage.ss_family = static_cast<sa_family_t>(family);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    if (family == AF_INET) reinterpret_cast<sockaddr_in&>(storage).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (family == AF_INET6) inet_pton(AF_INET6, is_mapped ? "::ffff:127.0.0.1" : "::1", &v6.sin6_addr);
  }
  sockaddr* name() { return reinterpret_cast<sockaddr*>(&storage); }

  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
};

Address address_of(int socket) {
  Address address(AF_UNSPEC);
  EXPECT_EQ(getsockname(socket, address.name(), &address.size), 0);
  return address;
}

const Address kLoopbacks[] = {Address(AF_INET), Address(AF_INET6), Address(AF_INET6, true)};

/// Others may be bound to the same address.
int bound_socket(Address address, const char* device = "") {
  const int made = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  EXPECT_EQ(setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
  EXPECT_EQ(setsockopt(made, SOL_SOCKET, SO_BINDTODEVICE, device, static_cast<socklen_t>(std::strlen(device))), 0);
  EXPECT_EQ(bind(made, address.name(), address.size), 0);
  return made;
}

/// A connection to ourselves over loopback.
struct Connection {
  explicit Connection(const Address& address, const char* device = "") : client(bound_socket(address, device)) {
    const int listening = bound_socket(address);
    EXPECT_EQ(listen(listening, 1), 0);
    Address place = address_of(listening);
    EXPECT_EQ(connect(client, place.name(), place.size), 0);
    server = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    close(listening);
  }
  ~Connection() {
    close(client);
    close(server);
  }
  Connection(const Connection&) = delete;

  int client = -1, server = -1;
};

TEST(PeerOwner, OfALoopbackConnectionIsItsUser) {
  for (const Address& address : kLoopbacks) {
    const Connection connection(address);
    EXPECT_EQ(owner_of_peer(connection.server), geteuid()) << address.storage.ss_family;
  }
}

TEST(PeerOwner, OfAUnixConnectionIsItsUser) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  EXPECT_EQ(owner_of_peer(ends[0]), geteuid());
  close(ends[0]);
  close(ends[1]);
}

TEST(PeerOwner, OfAClosedSocketIsUnknown) {
  for (const Address& address : kLoopbacks) {
    Connection connection(address);
    // The kernel still knows the connection, and says that it belongs to root.
    close(connection.client);
    connection.client = -1;
    EXPECT_EQ(owner_of_peer(connection.server), std::nullopt) << address.storage.ss_family;
  }
}

// The kernel does not find a client that is bound to a device, which every user may do. It looks on for another socket.
TEST(PeerOwner, OfAListenerAtThePeersAddressIsUnknown) {
  for (const Address& address : kLoopbacks) {
    const Connection connection(address, "lo");
    const int listening = bound_socket(address_of(connection.client));
    ASSERT_EQ(listen(listening, 1), 0);
    EXPECT_EQ(owner_of_peer(connection.server), std::nullopt) << address.storage.ss_family;
    close(listening);
  }
}

TEST(PeerOwner, OfWhatIsNotConnectedIsUnknown) {
  EXPECT_EQ(owner_of_peer(-1), std::nullopt);
  EXPECT_EQ(owner_of_peer(STDIN_FILENO), std::nullopt);
}

}  // namespace
}  // namespace shmetrics::exporter
