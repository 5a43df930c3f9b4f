// Scrapes that come together share the work: one look at the segments, and for each peer one rendering of a query.
//
// Collecting has a thread of its own, so that health checks, other responses and refusals do not wait for it. A request
// that comes while that thread works waits for the next collection, and all waiting requests share that one. So a
// response is always read after its request arrived.
//
// Threads: the io thread. Failure: of a scrape by its Outcome; std::system_error when its thread cannot start.
// Lifetime: must end before the io context. Its end stops the read that is under way, and waits until what was read is
// rendered.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "exporter/scrape/response_budget.hpp"
#include "exporter/scrape/scrape_source.hpp"

namespace shmetrics::exporter {

/// No request waits longer, whatever the scraper says: Prometheus allows no more than its interval, commonly 15 to 60
/// s.
inline constexpr std::chrono::seconds kMostPatience{30};

class SharedScrapes {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Outcome = std::variant<std::shared_ptr<const std::string>, ScrapeFailure>;

  /// `source` and `counts` must outlive it. While responses that somebody still has come to `most_bytes`, or those of a
  /// peer to half of that, no more are made: so queries that differ, and clients that take nothing, do not multiply
  /// them.
  SharedScrapes(boost::asio::io_context& io, const ScrapeSource& source, const RequestCounts& counts,
                std::uint64_t most_bytes);
  ~SharedScrapes();
  SharedScrapes(const SharedScrapes&) = delete;

  /// The bytes that answer the query, or why there are none: the deadline is over, or collecting threw. Peers share no
  /// response: one that has no more room, or takes nothing, would do it at the cost of another.
  boost::asio::awaitable<Outcome> get(ScrapeQuery query, Peer peer, Time deadline);

 private:
  struct Order;
  using Batch = std::vector<std::shared_ptr<Order>>;

  std::shared_ptr<Order> join(ScrapeQuery query, const Peer& peer);
  void start();
  void finish(const Batch& batch);
  Outcome make(const Order& order, const RequestCounts& counts);

  boost::asio::io_context& io_;
  const ScrapeSource& source_;
  const RequestCounts& counts_;
  Batch next_;  // what the next collection will render
  bool is_collecting_ = false;
  ResponseBudget budget_;
  boost::asio::thread_pool thread_{1};
};

}  // namespace shmetrics::exporter
