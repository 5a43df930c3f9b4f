#include "tests/faults/worker_day.hpp"

#include <latch>
#include <limits>
#include <string>
#include <thread>

namespace shmetrics::tests {
namespace {

constexpr int kPlain = 3;
constexpr int kWideSeries = 32;  // of 84 cells: more than a slot's growth step of 2,048

/// Runs `act` and notes how long it took, if that was the longest yet.
template <typename Act>
auto timed(std::atomic<std::int64_t>& longest_ns, Act act) {
  struct Note {
    std::atomic<std::int64_t>& longest_ns;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    ~Note() {
      const std::int64_t took_ns = (std::chrono::steady_clock::now() - start).count();
      std::int64_t seen = longest_ns;
      while (seen < took_ns && !longest_ns.compare_exchange_weak(seen, took_ns)) {
      }
    }
  } note{longest_ns};
  return act();
}

class Day {
 public:
  Day(const Options& options, int number, Ledger& ledger) : number_(number), ledger_(ledger) {
    std::error_code error;
    registry_ = timed(ledger.longest_open_ns, [&] { return Registry::open(options, error); });
  }

  void spend() {
    count_plain();
    set_gauges();
    count_labelled();
    run_out_of_slots();
    ledger_.is_complete = is_complete_;
  }

 private:
  template <typename Declare>
  auto declared(Declare declare) {
    auto family = timed(ledger_.longest_declaration_ns, declare);
    is_complete_ = is_complete_ && family;
    return family;
  }
  template <typename Family, typename... Values>
  auto series(const Family& family, const Values&... values) {
    return timed(ledger_.longest_with_ns, [&] { return family.with(values...); });
  }
  /// An update of a family that works is acknowledged.
  template <typename Family, typename Update>
  void count(Kind kind, const Family& family, Update update) {
    timed(ledger_.longest_update_ns, update);
    if (family) ++ledger_.acknowledged[kind];
  }

  void count_plain() {
    hits_ = declared([&] { return registry_.counter("hits_total", "Counted", {}, {.exemplars = true}); });
    duration_ = declared([&] {
      return registry_.histogram("duration_seconds", "Observed, all of 1", {}, {0.5, 2}, {.exemplars = true});
    });
    // Refused, which is counted, by a thread that has touched no cell yet.
    duration_.observe(std::numeric_limits<double>::quiet_NaN());
    for (int i = 0; i < kPlain; ++i) count_one_of_each();
  }

  void count_one_of_each() {
    const std::string day = std::to_string(number_) + std::string(static_cast<std::size_t>(number_ % 20), '-');
    const Exemplar exemplar{day, day};
    count(kHits, hits_, [&] { hits_.inc(1, exemplar); });
    count(kDuration, duration_, [&] { duration_.observe(1, exemplar); });
  }

  void count_labelled() {
    const std::string day = std::to_string(number_);
    const auto cost = declared([&] { return registry_.float_counter("cost_total", "Counted", {"day", "n"}); });
    for (int i = 0; i < kPlain; ++i) {
      const FloatCounter one = series(cost, day, std::to_string(i));
      count(kCost, cost, [&] { one.inc(); });
    }
    const NativeBuckets buckets{.low = 0.25, .high = 256};
    const auto wide = declared([&] {
      return registry_.native_histogram("wide", "Observed, all of 1", {"day", "n"}, buckets);
    });
    for (int i = 0; i < kWideSeries; ++i) {
      const Histogram one = series(wide, day, std::to_string(i));
      count(kWide, wide, [&] { one.observe(1); });
    }
  }

  Family<Gauge, 0> gauge(std::string_view name, GaugeMode mode) {
    return declared([&] { return registry_.gauge(name, "Set", {}, mode); });
  }
  void set(const Family<Gauge, 0>& family, int value, std::atomic<int>* set = nullptr) {
    timed(ledger_.longest_update_ns, [&] { family.set(value); });
    if (family && set != nullptr) *set = value;
  }

  void set_gauges() {
    set(gauge("lowest", GaugeMode::min), -number_, &ledger_.lowest_set);
    set(gauge("highest", GaugeMode::max), number_, &ledger_.highest_set);
    set(gauge("newest", GaugeMode::mostrecent), number_, &ledger_.newest_set);
    set(gauge("active", GaugeMode::livesum), 1);
    const auto balance = gauge("balance", GaugeMode::sum);
    for (int i = 0; i < kPlain; ++i) count(kBalance, balance, [&] { balance.inc(); });
    const std::error_code error = timed(ledger_.longest_declaration_ns, [&] {
      return registry_.info("day_info", "Shown", {{"version", "1"}});
    });
    is_complete_ = is_complete_ && !error;
  }

  /// The second thread takes the second slot, so the third counts in the spill.
  void run_out_of_slots() {
    std::latch second_has_its_slot(1), third_is_done(1);
    std::thread second([&] {
      count_one_of_each();
      second_has_its_slot.count_down();
      third_is_done.wait();
    });
    second_has_its_slot.wait();
    std::thread([this] { count_one_of_each(); }).join();
    third_is_done.count_down();
    second.join();
  }

  const int number_;
  Ledger& ledger_;
  Registry registry_;
  Family<Counter, 0> hits_;
  Family<Histogram, 0> duration_;
  bool is_complete_ = true;
};

}  // namespace

void spend_day(const Options& options, int number, Ledger& ledger) {
  Day(options, number, ledger).spend();
}

}  // namespace shmetrics::tests
