// Appends to the directory, and what is announced once there is memory for it: with the orders of client/append.cpp,
// client/directory_pages.cpp and client/directory_mirror.cpp, whose protection of pages has no place here.
#include <array>

#include "shm/shared_word.hpp"
#include "tests/model/litmus/sequences.hpp"

namespace litmus {
namespace {

using shmetrics::shm::SharedWord;

constexpr std::uint64_t kRooms = 4;

/// Two writers, one entry each or the second for the loser, and one who parses what is named.
class Append : public Sequence {
 public:
  void before() override { won_ = {}; }
  void run(unsigned thread) override {
    if (thread == 2) {
      for (std::uint64_t entry = 0; entry < 2; ++entry) {
        if (!parse(entry)) return;
      }
      return;
    }
    const std::uint64_t room = take_room();
    append_record(room, 10 + thread, thread);
  }
  void after() override {
    require(won_[0] == 1 && won_[1] == 1, "each record has one entry");
    require(parse(0) && parse(1), "entries leave no gap");
  }

 private:
  std::uint64_t take_room() {
    for (;;) {
      const std::uint64_t seen = space_.load_relaxed();
      if (space_.exchange_if_equal_release(seen, seen + 1)) return seen;
    }
  }
  void append_record(std::uint64_t room, std::uint64_t text, unsigned self) {
    store_plain(&heap_[room], text);
    for (std::uint64_t entry = 0; entry < 2; ++entry) {
      if (parse(entry)) continue;
      if (index_[entry].exchange_if_equal_release(0, room + 1)) {
        ++won_[self];
        return;
      }
      require(parse(entry), "who loses finds what was published");
    }
  }
  bool parse(std::uint64_t entry) {
    const std::uint64_t word = index_[entry].load_acquire();
    if (word == 0) return false;
    const std::uint64_t text = load_plain(&heap_[word - 1]);
    require(text == 10 || text == 11, "a named record is whole");
    return true;
  }

  SharedWord space_;
  SharedWord index_[3];
  std::uint64_t heap_[kRooms] = {};
  std::array<int, 2> won_{};
};

/// Cells are announced after their memory is there: by a slot's owner, and in the spill by anybody.
class Announce : public Sequence {
 public:
  void run(unsigned thread) override {
    if (thread == 0) {
      grow_slot();
    } else if (thread == 1) {
      grow_spill();
    } else {
      if (slot_allocated_.load_acquire() > 0) require(load_plain(&slot_memory_) == 1, "announced is allocated");
      if (spill_allocated_.load_acquire() > 0) require(load_plain(&spill_memory_) == 1, "announced is allocated");
    }
  }

 private:
  void grow_slot() {
    store_plain(&slot_memory_, 1);
    slot_allocated_.store_release(2048);
  }
  void grow_spill() {
    store_plain(&spill_memory_, 1);
    spill_allocated_.raise_to_release(2048);
  }
  SharedWord slot_allocated_, spill_allocated_;
  std::uint64_t slot_memory_ = 0, spill_memory_ = 0;
};

}  // namespace

// Nobody reads through it what its taker wrote.
constexpr std::string_view kSpareInAppend[] = {"take_room: exchange"};

std::span<const Named> directories() {
  static constexpr Named kAll[] = {
      {"append", 3, [] { return std::unique_ptr<Sequence>(new Append); }, kSpareInAppend},
      {"announce memory", 3, [] { return std::unique_ptr<Sequence>(new Announce); }, {}},
  };
  return kAll;
}

}  // namespace litmus
