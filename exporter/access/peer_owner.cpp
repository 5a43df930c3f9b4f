#include "exporter/access/peer_owner.hpp"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "exporter/request/peer.hpp"
#include "exporter/user_namespace.hpp"

namespace shmetrics::exporter {
namespace {

struct Query {
  nlmsghdr header;
  inet_diag_req_v2 asked;
};

/// The peer's side: its source is what we call the peer, its destination is us.
Query query_of(const Peer& peer, const Peer& own) {
  Query query{};
  query.header.nlmsg_len = sizeof query;
  query.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  query.header.nlmsg_flags = NLM_F_REQUEST;
  const bool is_v4 = peer.is_v4();
  query.asked.sdiag_family = is_v4 ? AF_INET : AF_INET6;
  query.asked.sdiag_protocol = IPPROTO_TCP;
  query.asked.idiag_states = std::numeric_limits<std::uint32_t>::max();
  inet_diag_sockid& id = query.asked.id;
  id.idiag_sport = htons(peer.port);
  id.idiag_dport = htons(own.port);
  const std::size_t skipped = is_v4 ? 12 : 0;
  std::memcpy(id.idiag_src, peer.address.data() + skipped, peer.address.size() - skipped);
  std::memcpy(id.idiag_dst, own.address.data() + skipped, own.address.size() - skipped);
  id.idiag_cookie[0] = id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return query;
}

/// Whether the kernel speaks of this end. A socket of IPv6 that speaks IPv4 has its addresses v4-mapped.
bool is_end(const Peer& end, std::uint8_t family, const __be32 (&address)[4], __be16 port) {
  if (port != htons(end.port) || (family == AF_INET && !end.is_v4())) return false;
  const std::size_t skipped = family == AF_INET ? 12 : 0;
  return std::memcmp(address, end.address.data() + skipped, end.address.size() - skipped) == 0;
}

/// Where the kernel finds no connection, as of a client that is bound to a device, it answers about a listener at the
/// peer's address.
bool is_of_connection(const inet_diag_msg& found, const Peer& peer, const Peer& own) {
  return found.idiag_state != TCP_LISTEN &&
         is_end(peer, found.idiag_family, found.id.idiag_src, found.id.idiag_sport) &&
         is_end(own, found.idiag_family, found.id.idiag_dst, found.id.idiag_dport);
}

/// One for the life of the process: when descriptors run out, local peers are still told from strangers.
int diagnosis() {
  static const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  return fd;
}

std::optional<uid_t> owner_of_tcp(const Peer& peer, const Peer& own) {
  const int fd = diagnosis();
  const Query query = query_of(peer, own);
  alignas(nlmsghdr) char answer[4096];
  ssize_t size = -1;
  // The kernel answers while it takes the query; what else waits there is older.
  if (send(fd, &query, sizeof query, 0) != sizeof query) return std::nullopt;
  for (ssize_t next = 0; (next = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) > 0;) size = next;
  nlmsghdr header;
  inet_diag_msg found;
  if (size < static_cast<ssize_t>(NLMSG_LENGTH(sizeof found))) return std::nullopt;
  std::memcpy(&header, answer, sizeof header);
  std::memcpy(&found, answer + NLMSG_HDRLEN, sizeof found);
  // Without an inode it is a socket that its process has closed, and its owner reads as 0.
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || found.idiag_inode == 0) return std::nullopt;
  if (!is_of_connection(found, peer, own)) return std::nullopt;
  return found.idiag_uid;
}

template <typename Ask>
std::optional<Peer> end_of(int socket, Ask ask) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (ask(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0) return std::nullopt;
  return peer_of(reinterpret_cast<const sockaddr*>(&name));
}

}  // namespace

std::optional<uid_t> owner_of_peer(int socket) {
  const auto own = end_of(socket, getsockname), peer = end_of(socket, getpeername);
  if (!own || !peer) return std::nullopt;
  if (peer->kind == Peer::Kind::kTcp) return owner_of_tcp(*peer, *own);
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return credentials.uid;
}

TrustedUsers::TrustedUsers() : TrustedUsers(geteuid(), stand_in_for_others()) {
  diagnosis();  // while there are descriptors
}

}  // namespace shmetrics::exporter
