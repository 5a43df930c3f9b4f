// Runs a few threads over a few words in every order that C++ allows, or in many chosen at random: what a load sees may
// be older than the last store, as on a weakly ordered processor. By Relacy, which explorer.cpp alone includes.
//
// Relacy runs one thread at a time, each in the order of its statements. So it knows stale loads, but no store that
// becomes visible before an earlier load of its thread; and a load goes back by three stores at most.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace litmus {

/// A place in the code that asks for an order; weakened, it asks for none.
struct Site {
  static constexpr Site current(std::source_location where = std::source_location::current()) { return {where}; }
  std::source_location where{};
};

/// Operations of a running thread. A killed one's stores change nothing, and its loads see 0.
std::uint64_t load(const void* word, std::memory_order order, Site site);
void store(const void* word, std::uint64_t value, std::memory_order order, Site site);
bool exchange_if_equal(const void* word, std::uint64_t expected, std::uint64_t desired, std::memory_order order,
                       Site site);
void fence(std::memory_order order, Site site);
/// Bytes that no two threads may touch at once: a race is an error.
void store_plain(const void* word, std::uint64_t value);
std::uint64_t load_plain(const void* word);
/// 0 to n - 1, each in turn or by chance.
unsigned choose(unsigned n);
/// Gives the others up to 32 steps ahead: chance alone seldom lets one run for long.
void linger();
/// The calling thread is killed within its next `operations` stores, or after them.
void kill_within(unsigned operations);
/// From here on the caller is the kernel, which nobody kills.
void after_death();
/// Ends the iteration as a failure if it does not hold.
void require(bool holds, const char* claim);

/// A sequence of the protocol: its threads, and what has to hold.
class Sequence {
 public:
  virtual ~Sequence() = default;
  virtual void before() {}
  virtual void run(unsigned thread) = 0;
  virtual void after() {}
};

struct Result {
  std::uint64_t iterations = 0;
  std::string failure;  // empty: none
};
/// `threads` is 2 or 3. `weakened`: the label of the site that asks for no order; empty: none.
Result explore(Sequence& sequence, unsigned threads, std::uint64_t iterations, const std::string& weakened);
/// Labels of the sites that the last run with none weakened came by: function, operation, and which of them.
std::vector<std::string> reached_sites();

}  // namespace litmus
