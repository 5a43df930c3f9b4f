#include "exporter/access/peer_memory.hpp"

#include <algorithm>

namespace shmetrics::exporter {
namespace {

constexpr std::size_t kMaxSites = 1024;  // of each kind; the one not heard of for longest makes room
constexpr std::size_t kFreeWrongs = 3;   // a person who mistypes
constexpr std::chrono::milliseconds kFirstPause{50}, kLongestPause{2000};
constexpr std::chrono::minutes kForgottenAfter{1};

template <typename Map, typename LastOf>
void make_room(Map& sites, LastOf last_of) {
  if (sites.size() < kMaxSites) return;
  sites.erase(std::ranges::min_element(sites, {}, [&](const auto& entry) { return last_of(entry.second); }));
}

}  // namespace

void PeerMemory::note_wrong(const Peer& peer, Time now) {
  const Peer site = peer.site();
  if (!wrong_.contains(site)) make_room(wrong_, [](const Wrongs& wrongs) { return wrongs.last; });
  Wrongs& wrongs = wrong_[site];
  wrongs.count = now - wrongs.last > kForgottenAfter ? 1 : wrongs.count + 1;
  wrongs.last = now;
}

void PeerMemory::note_right(const Peer& peer, Time now) {
  const Peer site = peer.site();
  if (!let_in_.contains(site)) make_room(let_in_, [](Time time) { return time; });
  let_in_[site] = now;
}

std::chrono::milliseconds PeerMemory::pause_for(const Peer& peer, Time now) const {
  const auto found = wrong_.find(peer.site());
  if (found == wrong_.end() || now - found->second.last > kForgottenAfter) return {};
  std::chrono::milliseconds pause{};
  for (std::size_t i = kFreeWrongs; i < found->second.count && pause < kLongestPause; ++i) {
    pause = std::max(kFirstPause, pause * 2);
  }
  return std::min(pause, kLongestPause);
}

}  // namespace shmetrics::exporter
