// Observations as writers make them and readers copy them: the code itself, with words of the explorer.
#include "collector/cell_reader.cpp"
#include "collector/exemplar.cpp"
#include "shm/slot.cpp"
#include "tests/model/litmus/sequences.hpp"

namespace litmus {
namespace {

using shmetrics::shm::kHistogramBuckets;
using shmetrics::shm::kHistogramSum;
using shmetrics::shm::kPrefixCells;
using shmetrics::shm::SharedWord;

constexpr std::uint32_t kFirst = kPrefixCells;  // a histogram of two buckets
constexpr std::uint32_t kSecond = kFirst + 4;   // another one
constexpr std::uint32_t kCells = kSecond + 4;
constexpr std::size_t kWidth = kHistogramBuckets + 2;

struct Copy {
  std::uint64_t words[kWidth] = {};
  bool is_whole = false;
  std::uint64_t count() const { return words[kHistogramBuckets] + words[kHistogramBuckets + 1]; }
  double sum() const { return std::bit_cast<double>(words[kHistogramSum]); }
};

Copy read(const SharedWord* slot, std::uint32_t first_cell) {
  Copy copy;
  copy.is_whole = shmetrics::collector::copy_observed(
      slot + first_cell, reinterpret_cast<const shmetrics::shm::SlotPrefix*>(slot), first_cell, copy.words);
  return copy;
}

void require_whole(const Copy& copy) {
  require(!copy.is_whole || copy.sum() == static_cast<double>(copy.count()), "sum and buckets are of one moment");
}

void require_no_step_back(const Copy& before, const Copy& after) {
  for (std::size_t i = kHistogramBuckets; i < kWidth; ++i) {
    require(after.words[i] >= before.words[i], "a bucket never goes back");
  }
}

/// Each observation adds 1, so that a sum is a count. The writer goes from one histogram to the other and back.
class Observe : public Sequence {
 public:
  void run(unsigned thread) override {
    if (thread == 0) {
      shmetrics::shm::observe(slot_, kFirst, 0, 1.0);
      shmetrics::shm::observe(slot_, kFirst, 1, 1.0);
      shmetrics::shm::observe(slot_, kSecond, 0, 1.0);
      shmetrics::shm::observe(slot_, kFirst, 0, 1.0);
      return;
    }
    const Copy first = read(slot_, kFirst);
    require_whole(first);
    require(first.count() <= 3, "no more than was observed");
    const Copy second = read(slot_, kFirst);
    require_whole(second);
    require_no_step_back(first, second);
    const Copy other = read(slot_, kSecond);
    require_whole(other);
    require(other.count() <= 1, "no more than was observed");
  }

 private:
  mutable SharedWord slot_[kCells];
};

/// A writer that is killed anywhere, and another that goes on in its slot.
class Handover : public Sequence {
 protected:
  void end() {
    after_death();
    store(&live_byte_, 1, std::memory_order::seq_cst, {});
  }
  bool has_ended() const { return load(&live_byte_, std::memory_order::seq_cst, {}) != 0; }

 private:
  SharedWord live_byte_;
};

/// Whoever sees the live byte free completes what the killed writer began, and goes on.
class Adopt : public Handover {
 public:
  void run(unsigned thread) override {
    if (thread == 0) {
      kill_within(16);
      shmetrics::shm::observe(slot_, kFirst, 0, 1.0);
      shmetrics::shm::observe(slot_, kFirst, 1, 1.0);
      return end();
    }
    linger();
    if (thread == 1) {
      if (!has_ended()) return;
      shmetrics::shm::complete_redo(slot_, kCells);
      const Copy adopted = read(slot_, kFirst);
      require(adopted.is_whole && adopted.sum() == static_cast<double>(adopted.count()), "an adopted slot is whole");
      shmetrics::shm::observe(slot_, kFirst, 1, 1.0);
    } else {
      const Copy first = read(slot_, kFirst);
      const Copy second = read(slot_, kFirst);
      require_whole(first);
      require_whole(second);
      require_no_step_back(first, second);
    }
  }

 private:
  mutable SharedWord slot_[kCells];
};

/// Exemplar n says n in each of its words. Whoever sees the live byte free writes on where the sequence may be odd.
class WriteExemplar : public Handover {
 public:
  void run(unsigned thread) override {
    if (thread == 0) {
      kill_within(12);
      write(1);
      write(2);
      return end();
    }
    linger();
    if (thread == 1) {
      if (!has_ended()) return;
      write(3);
      Exemplar copy;
      require(shmetrics::collector::copy_exemplar(cells_, copy) && copy.unix_ns == 3, "the next owner's is there");
    } else {
      read();
      read();
    }
  }

 private:
  using Exemplar = shmetrics::collector::Exemplar;

  void write(std::uint64_t n) {
    const std::uint64_t text[] = {n};
    shmetrics::shm::store_exemplar(cells_, n, static_cast<double>(n), text, n);
  }
  void read() {
    Exemplar copy;
    if (!shmetrics::collector::copy_exemplar(cells_, copy)) return;
    std::uint64_t text = 0;
    std::memcpy(&text, copy.text.data(), sizeof text);
    require(copy.value == static_cast<double>(copy.unix_ns) && copy.text_bytes == copy.unix_ns && text == copy.unix_ns,
            "an exemplar is of one moment");
  }

  mutable SharedWord cells_[shmetrics::shm::kExemplarCells];
};

}  // namespace

// The kernel's lock orders it: README.md.
constexpr std::string_view kSpareInAdopt[] = {"complete_redo: acquire load"};

std::span<const Named> observations() {
  static constexpr Named kAll[] = {
      {"observe", 2, [] { return std::unique_ptr<Sequence>(new Observe); }, {}},
      {"adopt", 3, [] { return std::unique_ptr<Sequence>(new Adopt); }, kSpareInAdopt},
      {"exemplar", 3, [] { return std::unique_ptr<Sequence>(new WriteExemplar); }, {}},
  };
  return kAll;
}

}  // namespace litmus
