#include "collector/exemplar.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <tuple>

#include "collector/family.hpp"
#include "collector/merge.hpp"

namespace shmetrics::collector {
namespace {

bool is_newer(const Exemplar& a, const Exemplar& b) {
  return std::tie(a.unix_ns, a.value) > std::tie(b.unix_ns, b.value);
}

bool has_labels(const Exemplar& exemplar) {
  shm::ExemplarLabels labels;
  labels.add_text({exemplar.text.data(), exemplar.text_bytes});
  return labels.refusal() == shm::ExemplarLabels::Refusal::kNone && !labels.text().empty();
}

void copy_words(const shm::SharedWord* cells, Exemplar& copy) {
  copy.unix_ns = cells[shm::kExemplarTime].load_relaxed();
  copy.value = cells[shm::kExemplarValue].load_double_relaxed();
  const std::uint64_t bytes = cells[shm::kExemplarTextBytes].load_relaxed();
  copy.text_bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, shm::kMaxExemplarText));
  for (std::uint32_t at = 0; at < copy.text_bytes; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = cells[shm::kExemplarText + at / sizeof(std::uint64_t)].load_relaxed();
    std::memcpy(copy.text.data() + at, &word, sizeof word);
  }
}

}  // namespace

std::uint64_t latest_exemplar_unix_ns() {
  using std::chrono::nanoseconds;
  constexpr std::chrono::seconds kAhead(60);  // clocks of one machine are the same, but for a step
  const nanoseconds latest = std::chrono::system_clock::now().time_since_epoch() + kAhead;
  return static_cast<std::uint64_t>(latest.count());
}

bool copy_exemplar(const shm::SharedWord* cells, Exemplar& copy) {
  const shm::SharedWord& sequence = cells[shm::kExemplarSequence];
  for (int attempt = 0; attempt < kExemplarTries; ++attempt) {
    const std::uint64_t before = sequence.load_acquire();  // pairs with the release that ends a write
    if (before == 0) return false;
    if (before % 2 == 1) continue;
    copy_words(cells, copy);
    // Acquire: a word of a later exemplar comes with the odd sequence before it.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (sequence.load_relaxed() == before) return true;
  }
  return false;
}

std::optional<std::size_t> exemplar_place(const CatalogFamily& family, double value) {
  const bool is_counter = family.type == shm::MetricType::kCounter;
  if (std::isnan(value) || (is_counter && (value < 0 || std::isinf(value)))) return std::nullopt;
  const auto bucket = std::lower_bound(family.bounds.begin(), family.bounds.end(), value);
  return static_cast<std::size_t>(bucket - family.bounds.begin());
}

void keep_newest(const Exemplar& seen, std::uint64_t& cell, std::vector<Exemplar>& kept) {
  if (cell != 0 && !is_newer(seen, kept[cell - 1])) return;
  if (!has_labels(seen)) return;
  if (cell == 0) {
    kept.push_back(seen);
    cell = kept.size();
  } else {
    kept[cell - 1] = seen;
  }
}

void keep_newest(std::uint64_t number, std::uint64_t& cell, const std::vector<Exemplar>& kept) {
  if (number == 0) return;
  if (cell == 0 || is_newer(kept[number - 1], kept[cell - 1])) cell = number;
}

const Exemplar* find_exemplar(const CatalogFamily& family, const Totals& totals, std::size_t series,
                              std::size_t which) {
  if (!family.has_exemplars) return nullptr;
  const std::uint64_t number = totals.cells[family.places[series] + family.value_cells() + which];
  return number == 0 ? nullptr : &totals.exemplars[number - 1];
}

}  // namespace shmetrics::collector
