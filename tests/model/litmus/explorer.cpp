#include "tests/model/litmus/explorer.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <ostream>
#include <streambuf>

#include <relacy/relacy.hpp>  // last: it redefines words of the language

namespace litmus {
namespace {

constexpr unsigned kWords = 48;
constexpr unsigned kSites = 64;
constexpr unsigned kNever = ~0u;

rl::atomic<std::uint64_t>* shared = nullptr;
rl::var<std::uint64_t>* plain = nullptr;
Sequence* sequence_now = nullptr;
unsigned left_to_live[3] = {kNever, kNever, kNever};

// Relacy has an allocator of its own for what runs in it, so what lasts longer is in arrays. Numbers of words and sites
// stay the same from one iteration to the next.
std::array<const void*, kWords> words;
unsigned word_count = 0;
unsigned number_of(const void* word) {
  const auto* const found = std::find(words.begin(), words.begin() + word_count, word);
  if (found == words.begin() + word_count) {
    RL_VERIFY(word_count < kWords);
    words[word_count++] = word;
  }
  return static_cast<unsigned>(found - words.begin());
}

struct Reached {
  const char* signature = nullptr;
  const char* operation = nullptr;
  unsigned line = 0;
  bool is_in_one_function_with(const Reached& other) const {
    return std::strcmp(signature, other.signature) == 0 && std::strcmp(operation, other.operation) == 0;
  }
};
std::array<Reached, kSites> sites;
unsigned site_count = 0;
unsigned weakened_site = kSites;  // none
unsigned number_of(const Reached& site) {
  const auto* const found = std::find_if(sites.begin(), sites.begin() + site_count, [&](const Reached& known) {
    return known.line == site.line && known.is_in_one_function_with(site);
  });
  if (found == sites.begin() + site_count) {
    RL_VERIFY(site_count < kSites);
    sites[site_count++] = site;
  }
  return static_cast<unsigned>(found - sites.begin());
}

// `void shmetrics::shm::observe(SharedWord*, ...)` -> `observe: release fence 2`
std::string label_of(const Reached& site) {
  std::string name(site.signature);
  name.erase(std::min(name.find('('), name.size()));
  name = name.substr(name.find_last_of(": ") + 1) + ": " + site.operation;
  unsigned before = 0;
  unsigned all = 0;
  for (unsigned i = 0; i < site_count; ++i) {
    if (!sites[i].is_in_one_function_with(site)) continue;
    ++all;
    before += sites[i].line < site.line;
  }
  return all > 1 ? name + " " + std::to_string(before + 1) : name;
}

rl::memory_order order_at(std::memory_order order, const Site& site, const char* operation) {
  if (order == std::memory_order::relaxed) return rl::mo_relaxed;
  // The kernel's have no site.
  if (site.where.line() != 0 &&
      number_of(Reached{site.where.function_name(), operation, site.where.line()}) == weakened_site) {
    return rl::mo_relaxed;
  }
  switch (order) {
    case std::memory_order::acquire:
      return rl::mo_acquire;
    case std::memory_order::release:
      return rl::mo_release;
    case std::memory_order::acq_rel:
      return rl::mo_acq_rel;
    default:
      return rl::mo_seq_cst;
  }
}

unsigned self() {
  return static_cast<unsigned>(rl::ctx().threadx_->index_);
}

// Counts the caller's stores: each may be the one that it does not live to make.
bool is_dead() {
  unsigned& left = left_to_live[self() % 3];
  if (left != kNever && left > 0) --left;
  return left == 0;
}

template <unsigned kThreads>
struct Suite : rl::test_suite<Suite<kThreads>, kThreads> {
  rl::atomic<std::uint64_t> shared_words[kWords + 1];  // the last is nobody's
  rl::var<std::uint64_t> plain_words[kWords];

  void before() {
    shared = shared_words;
    plain = plain_words;
    std::fill(std::begin(left_to_live), std::end(left_to_live), kNever);
    for (unsigned i = 0; i < kWords; ++i) {
      shared_words[i].store(0, rl::mo_relaxed, $);
      plain_words[i]($) = 0;
    }
    shared_words[kWords].store(0, rl::mo_relaxed, $);
    sequence_now->before();
  }
  void thread(unsigned number) { sequence_now->run(number); }
  void after() { sequence_now->after(); }
};

// What Relacy says of a failure, as far as it has room.
struct Log : std::streambuf {
  void start_anew() { setp(text.data(), text.data() + text.size()); }
  /// The claim, and the operations in their order.
  std::string said() const {
    const std::string all(pbase(), pptr());
    const std::size_t claim = all.find("FAILED (");
    const std::size_t begin = std::min(all.find("[BEFORE END]"), all.size());
    return all.substr(claim == all.npos ? 0 : claim, all.find('\n', claim) - claim) +
           all.substr(begin, all.find("\nthread 0:", begin) - begin);
  }
  std::array<char, 1 << 16> text;
};

template <unsigned kThreads>
Result explore_with(std::uint64_t iterations) {
  static Log log;
  log.start_anew();
  std::ostream stream(&log);
  rl::test_params parameters;
  parameters.iteration_count = iterations;
  parameters.search_type = rl::sched_random;
  parameters.output_stream = &stream;
  parameters.progress_stream = &stream;
  const bool holds = rl::simulate<Suite<kThreads>>(parameters);
  return {static_cast<std::uint64_t>(parameters.stop_iteration), holds ? "" : log.said()};
}

}  // namespace

std::uint64_t load(const void* word, std::memory_order order, Site site) {
  if (left_to_live[self() % 3] == 0) return 0;
  return shared[number_of(word)].load(order_at(order, site, "acquire load"), $);
}

void store(const void* word, std::uint64_t value, std::memory_order order, Site site) {
  if (is_dead()) return;
  shared[number_of(word)].store(value, order_at(order, site, "release store"), $);
}

bool exchange_if_equal(const void* word, std::uint64_t expected, std::uint64_t desired, std::memory_order order,
                       Site site) {
  if (is_dead()) return true;
  const rl::memory_order success = order_at(order, site, "exchange");
  return shared[number_of(word)].compare_exchange_strong(expected, desired, success, $, rl::mo_relaxed, $);
}

void fence(std::memory_order order, Site site) {
  const char* operation = order == std::memory_order::acquire   ? "acquire fence"
                          : order == std::memory_order::release ? "release fence"
                                                                : "full fence";
  const rl::memory_order asked = order_at(order, site, operation);
  if (asked != rl::mo_relaxed) rl::atomic_thread_fence(asked, $);
}

void store_plain(const void* word, std::uint64_t value) {
  if (!is_dead()) plain[number_of(word)]($) = value;
}

std::uint64_t load_plain(const void* word) {
  return plain[number_of(word)]($);
}

unsigned choose(unsigned n) {
  return rl::rand(n);
}

void linger() {
  for (unsigned left = choose(32); left > 0; --left) static_cast<void>(shared[kWords].load(rl::mo_relaxed, $));
}

void kill_within(unsigned operations) {
  left_to_live[self() % 3] = 1 + choose(operations + 1);
}

void after_death() {
  left_to_live[self() % 3] = kNever;
}

void require(bool holds, const char* claim) {
  if (!holds) rl::ctx().fail_test(claim, rl::test_result_user_assert_failed, $);
}

Result explore(Sequence& sequence, unsigned threads, std::uint64_t iterations, const std::string& weakened) {
  sequence_now = &sequence;
  weakened_site = kSites;
  for (unsigned i = 0; i < site_count; ++i) {
    if (label_of(sites[i]) == weakened) weakened_site = i;
  }
  if (weakened.empty()) site_count = 0;
  word_count = 0;
  return threads == 2 ? explore_with<2>(iterations) : explore_with<3>(iterations);
}

std::vector<std::string> reached_sites() {
  std::vector<std::string> labels;
  for (unsigned i = 0; i < site_count; ++i) labels.push_back(label_of(sites[i]));
  return labels;
}

}  // namespace litmus
