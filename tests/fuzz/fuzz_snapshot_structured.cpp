// The bytes are steps of damage to a sound segment, with a scrape now and then. Families that no step has touched keep
// every line they had.
#include <map>

#include "tests/fuzz/fuzzed_segment.hpp"
#include "tests/fuzz/oracle.hpp"
#include "tests/fuzz/segment_reading.hpp"

namespace {

using namespace shmetrics;

constexpr int kMostSteps = 40;

using Blocks = std::map<std::string, std::string>;

/// The text of each family.
Blocks blocks_of(const std::string& text) {
  constexpr std::string_view kHead = "# HELP ";
  Blocks blocks;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t name = at + kHead.size();
    const std::size_t end = std::min(text.find("\n# HELP ", at), text.size() - 1) + 1;
    blocks[text.substr(name, text.find(' ', name) - name)] = text.substr(at, end - at);
    at = end;
  }
  return blocks;
}

struct Ground {
  fuzz::FuzzedSegment segment;
  Blocks sound;
  Ground() {
    collector::Scraper scraper(segment.path());
    sound = blocks_of(fuzz::read_and_demand(scraper));
    fuzz::demand(sound.size() == 19, "the sound segment shows its 19 families");
  }
};

void demand_undamaged(const Ground& ground, const std::string& text) {
  if (ground.segment.is_wild()) return;
  const Blocks now = blocks_of(text);
  for (const auto& [name, block] : ground.sound) {
    if (ground.segment.hit().contains(name)) continue;
    const auto found = now.find(name);
    fuzz::demand(found != now.end() && found->second == block, "an undamaged family is as it was: " + name, text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Ground ground;
  fuzz::Input input(data, size);
  const auto kind = input.take<std::uint8_t>();
  collector::Scraper lasting(ground.segment.path());
  if (kind % 2 == 0) fuzz::read_and_demand(lasting);
  for (int step = 0; step < kMostSteps && !input.empty(); ++step) {
    ground.segment.damage(input);
    if (kind % 4 == 0) fuzz::read_and_demand(lasting);
  }
  demand_undamaged(ground, fuzz::read_and_demand(lasting));
  collector::Scraper fresh(ground.segment.path());
  demand_undamaged(ground, fuzz::read_and_demand(fresh));
  if (kind % 8 < 2) fuzz::group_and_demand(ground.segment.path());
  fuzz::check_and_demand(ground.segment.path());
  ground.segment.restore();
  return 0;
}
