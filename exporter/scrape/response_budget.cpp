#include "exporter/scrape/response_budget.hpp"

#include <utility>

namespace shmetrics::exporter {

bool ResponseBudget::has_room_for(const Peer& peer) const {
  const std::lock_guard lock(held_->mutex);
  const auto of_site = held_->of_sites.find(peer.site());
  return held_->bytes < most_bytes_ && (of_site == held_->of_sites.end() || of_site->second < most_bytes_ / 2);
}

std::shared_ptr<const std::string> ResponseBudget::keep(std::string text, const Peer& peer) {
  auto kept = std::make_unique<const std::string>(std::move(text));
  const std::uint64_t size = kept->capacity();  // never 0
  std::unique_lock lock(held_->mutex);
  const auto of_site = held_->of_sites.try_emplace(peer.site()).first;
  held_->bytes += size;
  of_site->second += size;
  lock.unlock();
  const auto give_back = [held = held_, of_site, size](const std::string* gone) {
    delete gone;
    const std::lock_guard lock_again(held->mutex);
    held->bytes -= size;
    of_site->second -= size;
    if (of_site->second == 0) held->of_sites.erase(of_site);
  };
  return {kept.release(), give_back};
}

}  // namespace shmetrics::exporter
