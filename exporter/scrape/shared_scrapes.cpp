#include "exporter/scrape/shared_scrapes.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "exporter/log.hpp"
#include "exporter/scrape/self_metrics.hpp"

namespace shmetrics::exporter {

namespace asio = boost::asio;

/// One rendering. The collecting thread writes `result`, the io thread all other fields. Each thread sees the other's
/// writes because it gets the order from the other's queue.
struct SharedScrapes::Order {
  ScrapeQuery query;
  Peer peer;  // who waits is of its site
  Outcome result = ScrapeFailure::kBroken;
  bool is_done = false;
  std::list<asio::steady_timer*> waiting = {};  // of the waiting requests; cancelled when it is done
};

namespace {

void log_failure(const std::exception& error) {
  log(LogLevel::kError, "cannot collect", {{"error", error.what()}});
}

}  // namespace

SharedScrapes::SharedScrapes(asio::io_context& io, const ScrapeSource& source, const RequestCounts& counts,
                             std::uint64_t most_bytes)
    : io_(io), source_(source), counts_(counts), budget_(most_bytes) {}

SharedScrapes::~SharedScrapes() {
  source_.stop();
  thread_.join();
}

asio::awaitable<SharedScrapes::Outcome> SharedScrapes::get(ScrapeQuery query, Peer peer, Time deadline) {
  if (deadline <= std::chrono::steady_clock::now()) co_return ScrapeFailure::kLate;
  const std::shared_ptr<Order> order = join(std::move(query), peer);
  struct Place {
    Place(Order& joined, asio::io_context& io, Time until)
        : timer(io, until), list(joined.waiting), at(list.insert(list.end(), &timer)) {}
    ~Place() { list.erase(at); }
    asio::steady_timer timer;
    std::list<asio::steady_timer*>& list;
    std::list<asio::steady_timer*>::iterator at;
  } place(*order, io_, deadline);
  start();
  // Over by the deadline or by finish(), which cancels it.
  co_await place.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (order->is_done) co_return order->result;
  // Whoever asks for ever other things with little patience would pile up orders while one collection runs.
  if (order->waiting.size() == 1) std::erase(next_, order);
  co_return ScrapeFailure::kLate;
}

std::shared_ptr<SharedScrapes::Order> SharedScrapes::join(ScrapeQuery query, const Peer& peer) {
  for (const std::shared_ptr<Order>& order : next_) {
    if (order->query == query && order->peer.same_site(peer)) return order;
  }
  return next_.emplace_back(std::make_shared<Order>(Order{.query = std::move(query), .peer = peer}));
}

void SharedScrapes::start() {
  if (is_collecting_) return;
  if (next_.empty()) return;
  asio::post(thread_, [this, batch = next_, counts = counts_] {
    try {
      source_.read();
      for (const std::shared_ptr<Order>& order : batch) order->result = make(*order, counts);
    } catch (const std::exception& error) {
      log_failure(error);
    }
    asio::post(io_, [this, batch] { finish(batch); });
  });
  // Only now: if there was no memory for the above, the next one tries again.
  is_collecting_ = true;
  next_.clear();
}

SharedScrapes::Outcome SharedScrapes::make(const Order& order, const RequestCounts& counts) {
  if (!budget_.has_room_for(order.peer)) return ScrapeFailure::kFull;
  std::string body = source_.render(order.query, counts);
  if (body.empty() && order.query.snapshot_of) return ScrapeFailure::kUnknown;
  return budget_.keep(std::move(body), order.peer);
}

void SharedScrapes::finish(const Batch& batch) {
  is_collecting_ = false;
  for (const std::shared_ptr<Order>& order : batch) {
    order->is_done = true;
    for (asio::steady_timer* timer : order->waiting) timer->cancel();
  }
  start();
}

}  // namespace shmetrics::exporter
