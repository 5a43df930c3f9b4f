// What was read last, for a while: an LRU cache of texts, one a worker and kind. Its size is a gauge of that worker,
// and the scrape shows the sum of them all.
//
// Threads: any. Other workers do not see an erase, so an entry is believed for `kTimeToLive` at most.
#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "examples/mastercrm/catalogue.hpp"

namespace mastercrm {

class Cache {
 public:
  static constexpr auto kTimeToLive = std::chrono::seconds(60);

  Cache(const Catalogue& metrics, std::string_view type, std::size_t most_keys)
      : hits_(metrics.cache_hits.with(type)),
        misses_(metrics.cache_misses.with(type)),
        gets_(metrics.cache_operations.with("get", type)),
        sets_(metrics.cache_operations.with("set", type)),
        deletes_(metrics.cache_operations.with("delete", type)),
        evictions_(metrics.cache_operations.with("evict", type)),
        size_(metrics.cache_size.with(type)),
        memory_(metrics.cache_memory.with(type)),
        most_keys_(most_keys) {
    report();
  }

  std::optional<std::string> get(const std::string& key) {
    const std::lock_guard lock(mutex_);
    gets_.inc();
    const auto found = by_key_.find(key);
    if (found != by_key_.end() && Clock::now() >= found->second->expires) {
      remove(found);
      evictions_.inc();
    } else if (found != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      hits_.inc();
      return found->second->value;
    }
    misses_.inc();
    return std::nullopt;
  }

  void set(const std::string& key, std::string value) {
    const std::lock_guard lock(mutex_);
    sets_.inc();
    if (const auto found = by_key_.find(key); found != by_key_.end()) remove(found);
    if (by_key_.size() == most_keys_) {
      remove(by_key_.find(entries_.back().key));
      evictions_.inc();
    }
    entries_.push_front({key, std::move(value), Clock::now() + kTimeToLive});
    by_key_[key] = entries_.begin();
    bytes_ += entries_.front().bytes();
    report();
  }

  void erase(const std::string& key) {
    const std::lock_guard lock(mutex_);
    deletes_.inc();
    if (const auto found = by_key_.find(key); found != by_key_.end()) remove(found);
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::string key, value;
    Clock::time_point expires;
    std::size_t bytes() const { return sizeof(Entry) + key.size() + value.size(); }
  };
  using Index = std::unordered_map<std::string, std::list<Entry>::iterator>;

  void remove(Index::iterator found) {
    bytes_ -= found->second->bytes();
    entries_.erase(found->second);
    by_key_.erase(found);
    report();
  }
  void report() {
    size_.set(static_cast<double>(by_key_.size()));
    memory_.set(static_cast<double>(bytes_));
  }

  Counter hits_, misses_, gets_, sets_, deletes_, evictions_;
  Gauge size_, memory_;
  std::size_t most_keys_, bytes_ = 0;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the latest first
  Index by_key_;
};

}  // namespace mastercrm
