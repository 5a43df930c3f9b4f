#include "exporter/access/peer_memory.hpp"

#include <gtest/gtest.h>

namespace shmetrics::exporter {
namespace {

using std::chrono::milliseconds;

Peer peer_of_number(unsigned number) {
  Peer peer;
  peer.address[10] = peer.address[11] = 0xff;
  for (int i = 0; i < 4; ++i) peer.address[12 + i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  return peer;
}

TEST(PeerMemory, EachWrongCredentialAfterTheThirdDoublesThePauseUpToTwoSeconds) {
  PeerMemory memory;
  const PeerMemory::Time now{std::chrono::hours(1)};
  const Peer guesser = peer_of_number(1);
  std::vector<int> pauses;
  for (int i = 0; i < 12; ++i) {
    memory.note_wrong(guesser, now);
    pauses.push_back(static_cast<int>(memory.pause_for(guesser, now).count()));
  }
  EXPECT_EQ(pauses, (std::vector<int>{0, 0, 0, 50, 100, 200, 400, 800, 1600, 2000, 2000, 2000}));
  EXPECT_EQ(memory.pause_for(peer_of_number(2), now), milliseconds(0));
  EXPECT_EQ(memory.pause_for(guesser, now + std::chrono::seconds(61)), milliseconds(0));
}

TEST(PeerMemory, PortsAndTheLowerHalfOfAnIpv6AddressMakeNoOtherPeer) {
  PeerMemory memory;
  const PeerMemory::Time now{std::chrono::hours(1)};
  Peer peer;
  peer.address[0] = 0x20;
  for (int i = 0; i < 5; ++i) {
    ++peer.port;
    ++peer.address[15];
    memory.note_wrong(peer, now);
  }
  EXPECT_EQ(memory.pause_for(peer, now), milliseconds(100));
  memory.note_right(peer, now);
  ++peer.address[15];
  EXPECT_TRUE(memory.was_let_in(peer));
  ++peer.address[7];
  EXPECT_FALSE(memory.was_let_in(peer));
  EXPECT_EQ(memory.pause_for(peer, now), milliseconds(0));
}

TEST(PeerMemory, OfManyPeersTheOldestIsForgotten) {
  PeerMemory memory;
  const PeerMemory::Time start{std::chrono::hours(1)};
  for (unsigned i = 0; i < 3000; ++i) memory.note_right(peer_of_number(i), start + milliseconds(i));
  EXPECT_FALSE(memory.was_let_in(peer_of_number(0)));
  EXPECT_TRUE(memory.was_let_in(peer_of_number(2999)));
  EXPECT_TRUE(memory.was_let_in(peer_of_number(2000)));
}

}  // namespace
}  // namespace shmetrics::exporter
