#include "client/series_table.hpp"

#include <cstring>

#include "shm/layout.hpp"
#include "shm/xxh3.hpp"

namespace shmetrics::detail {
namespace {

constexpr std::size_t kFirstSize = 256;

template <typename Word>
Word word_at(const char* bytes) noexcept {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Any odd numbers with half of their bits set: fractional digits of pi.
constexpr std::uint64_t kFirstOdd = 0x243f6a8885a308d3;
constexpr std::uint64_t kSecondOdd = 0x13198a2e03707345;

inline std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Product = unsigned __int128;
  const Product product = Product{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// All bytes of a text of at most 16 bytes, in two words that may overlap.
struct Words {
  std::uint64_t head, tail;
};
[[gnu::always_inline]] inline Words words_of(const char* at, std::size_t size) noexcept {
  if (size >= 8) return {word_at<std::uint64_t>(at), word_at<std::uint64_t>(at + size - 8)};
  if (size >= 4) return {word_at<std::uint32_t>(at), word_at<std::uint32_t>(at + size - 4)};
  if (size == 0) return {0, 0};
  const auto byte_at = [at](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(at[i])); };
  return {byte_at(0), byte_at(size / 2) << 8 | byte_at(size - 1)};
}

// Label values are short: for most of them two loads and a multiplication are enough. With a call of XXH3 for each
// value, a look-up of three labels takes a fifth longer on an Intel Xeon; docs/performance.md has the figures. Both
// factors include the secret. If an attacker knew one, he could choose label values that all land in one place of the
// table.
[[gnu::always_inline]] inline std::uint64_t hash_of(std::string_view value, std::uint64_t seed,
                                                    std::uint64_t secret) noexcept {
  const char* const at = value.data();
  const std::size_t size = value.size();
  seed ^= size;
  Words words;
  if (size <= 16) {
    words = words_of(at, size);
  } else if (size <= 32) {
    seed = folded_product(word_at<std::uint64_t>(at) ^ seed, word_at<std::uint64_t>(at + 8) ^ secret);
    words = {word_at<std::uint64_t>(at + size - 16), word_at<std::uint64_t>(at + size - 8)};
  } else {
    words = {shm::xxh3(at, size, secret), 0};
  }
  return folded_product(words.head ^ seed, words.tail ^ secret);
}

// Each value by itself, so that the processor hashes them at the same time.
[[gnu::always_inline]] inline std::uint32_t hash_of(std::uint32_t family_entry,
                                                    std::span<const std::string_view> values,
                                                    std::uint64_t secret) noexcept {
  std::uint64_t hash = 0;
  std::uint64_t seed = secret + family_entry * kSecondOdd;
  for (const std::string_view value : values) hash += hash_of(value, seed += kFirstOdd, secret);
  return static_cast<std::uint32_t>(hash);
}

}  // namespace

SeriesTable::SeriesTable(const std::byte* directory, std::uint32_t cells)
    : directory_(directory),
      cells_(cells),
      secret_(folded_product(reinterpret_cast<std::uintptr_t>(directory), kFirstOdd)) {}

// Bounds hold by themselves unless another process scribbled over the directory; then they keep this one alive.
[[gnu::always_inline]] inline std::uint32_t SeriesTable::cell_if_of(
    std::uint32_t record_offset, std::uint32_t family_entry, std::span<const std::string_view> values) const noexcept {
  const auto* record = reinterpret_cast<const char*>(directory_ + record_offset);
  if (word_at<std::uint32_t>(record + offsetof(shm::SeriesRecord, family)) != family_entry) return kUnknown;
  const char* lengths = record + sizeof(shm::SeriesRecord);
  const char* at = lengths + values.size() * sizeof(std::uint16_t);
  const char* const end = reinterpret_cast<const char*>(directory_) + readable_bytes_.load(std::memory_order_relaxed);
  for (const std::string_view value : values) {
    const std::size_t length = word_at<std::uint16_t>(lengths);
    lengths += sizeof(std::uint16_t);
    // Signed: in a record that was scribbled over, the texts may begin behind the end.
    if (length != value.size() || static_cast<std::ptrdiff_t>(length) > end - at) return kUnknown;
    // An empty value may have no address, and memcmp must not be given that.
    if (length != 0 && std::memcmp(at, value.data(), length) != 0) return kUnknown;
    at += length;
  }
  const auto cell = word_at<std::uint32_t>(record + offsetof(shm::SeriesRecord, first_cell));
  return cell < cells_ ? cell : kUnknown;
}

std::uint32_t SeriesTable::find(std::uint32_t family_entry, std::span<const std::string_view> values) const noexcept {
  const Table* table = current_.load(std::memory_order_acquire);
  if (table == nullptr) return kUnknown;
  const std::uint32_t hash = hash_of(family_entry, values, secret_);
  for (std::size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
    const std::uint64_t entry = table->entries[i].load(std::memory_order_acquire);
    if (entry == 0) return kUnknown;
    if (entry >> 32 != hash) continue;
    const std::uint32_t cell = cell_if_of(static_cast<std::uint32_t>(entry), family_entry, values);
    if (cell != kUnknown) return cell;
  }
}

void SeriesTable::start_anew() noexcept {
  static_cast<void>(owner_.release());
  current_.store(nullptr, std::memory_order_release);
  count_ = 0;
}

void SeriesTable::place(Table& table, std::uint64_t entry) noexcept {
  std::size_t i = (entry >> 32) & table.mask;
  while (table.entries[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & table.mask;
  table.entries[i].store(entry, std::memory_order_release);
}

void SeriesTable::add(std::uint32_t family_entry, std::span<const std::string_view> values, std::uint32_t record_offset,
                      std::uint32_t record_bytes) {
  // At most half full: a miss ends after a probe or two, and an empty entry always ends it.
  if (owner_ == nullptr || (count_ + 1) * 2 > owner_->mask + 1) {
    auto larger = std::make_unique<Table>(owner_ == nullptr ? kFirstSize : (owner_->mask + 1) * 2);
    for (std::size_t i = 0; owner_ != nullptr && i <= owner_->mask; ++i) {
      const std::uint64_t entry = owner_->entries[i].load(std::memory_order_relaxed);
      if (entry != 0) place(*larger, entry);
    }
    larger->outgrown = std::move(owner_);
    owner_ = std::move(larger);
    current_.store(owner_.get(), std::memory_order_release);
  }
  const std::uint32_t end = record_offset + record_bytes;
  if (end > readable_bytes_.load(std::memory_order_relaxed)) readable_bytes_.store(end, std::memory_order_relaxed);
  place(*owner_, std::uint64_t{hash_of(family_entry, values, secret_)} << 32 | record_offset);
  ++count_;
}

}  // namespace shmetrics::detail
