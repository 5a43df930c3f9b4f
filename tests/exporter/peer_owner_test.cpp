#include "exporter/access/peer_owner.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace shmetrics::exporter {
namespace {

/// A connection to ourselves over loopback.
struct Connection {
  explicit Connection(int family) {
    sockaddr_storage address{};
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    address.ss_family = static_cast<sa_family_t>(family);
    if (family == AF_INET) reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (family == AF_INET6) reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
    auto* name = reinterpret_cast<sockaddr*>(&address);
    const int listening = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(listening, name, size), 0);
    EXPECT_EQ(listen(listening, 1), 0);
    getsockname(listening, name, &size);
    client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client, name, size), 0);
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
  for (const int family : {AF_INET, AF_INET6}) {
    const Connection connection(family);
    EXPECT_EQ(owner_of_peer(connection.server), geteuid()) << family;
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
  for (const int family : {AF_INET, AF_INET6}) {
    Connection connection(family);
    // The kernel still knows the connection, and says that it belongs to root.
    close(connection.client);
    connection.client = -1;
    EXPECT_EQ(owner_of_peer(connection.server), std::nullopt) << family;
  }
}

TEST(PeerOwner, OfWhatIsNotConnectedIsUnknown) {
  EXPECT_EQ(owner_of_peer(-1), std::nullopt);
  EXPECT_EQ(owner_of_peer(STDIN_FILENO), std::nullopt);
}

}  // namespace
}  // namespace shmetrics::exporter
