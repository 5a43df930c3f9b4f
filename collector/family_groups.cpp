#include "collector/family_groups.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "collector/family.hpp"
#include "shm/naming.hpp"

namespace shmetrics::collector {
namespace {

std::string clash(const CatalogFamily& late, const CatalogFamily& early, std::string_view name) {
  std::string text =
      "family " + late.name + " of segment " + late.segment + " is left out: segment " + early.segment + " has ";
  if (late.name == early.name) {
    text += "it as a " + std::string(shm::type_name(early.type)) + ", not a " + std::string(shm::type_name(late.type));
  } else {
    text += early.name + ", and both would write " + std::string(name);
  }
  return text + "; rename one";
}

/// How many of shm::claimed_names text 0.0.4 writes: the first ones.
std::size_t text_names(shm::MetricType type) {
  return type == shm::MetricType::kHistogram ? 4 : type == shm::MetricType::kSummary ? 3 : 1;
}

struct Outcome {
  std::string problem;      // why the family cannot be shown; empty when it can, and then its names are taken
  std::string openmetrics;  // the same of OpenMetrics alone
};

/// The first family of each name, and of each sample name.
class Claims {
 public:
  Outcome claim(const CatalogFamily& family) {
    // The common case, a family that many segments have, costs one lookup: same name and type means same claims.
    if (const auto same = families_.find(family.name); same != families_.end()) {
      const auto& [first, openmetrics] = same->second;
      if (first->type != family.type) return {clash(family, *first, family.name), {}};
      return {{}, openmetrics};
    }
    const std::vector<std::string> names = shm::claimed_names(family.type, family.name);
    const std::span of_text = std::span(names).first(text_names(family.type));
    if (std::string problem = find_clash(family, of_text, in_text_); !problem.empty()) return {std::move(problem), {}};
    std::string openmetrics = find_clash(family, names, in_openmetrics_);
    for (const std::string& name : of_text) in_text_.emplace(name, &family);
    if (openmetrics.empty()) {
      for (const std::string& name : names) in_openmetrics_.emplace(name, &family);
    } else {
      openmetrics.insert(0, "in OpenMetrics, ");
    }
    families_.emplace(family.name, std::pair(&family, openmetrics));
    return {{}, std::move(openmetrics)};
  }

 private:
  using Owners = std::unordered_map<std::string, const CatalogFamily*>;
  static std::string find_clash(const CatalogFamily& family, std::span<const std::string> names, const Owners& owners) {
    for (const std::string& name : names) {
      if (const auto owner = owners.find(name); owner != owners.end()) return clash(family, *owner->second, name);
    }
    return {};
  }

  std::unordered_map<std::string_view, std::pair<const CatalogFamily*, std::string>> families_;
  Owners in_text_, in_openmetrics_;
};

bool was_shown(const CatalogFamily& family, const Seniority& seniority) {
  const std::uint32_t entry = family.generations.empty() ? family.entry : family.generations.front()->entry;
  return entry < seniority.served_entries && !seniority.lost.contains(family.name);
}

}  // namespace

FamilyGroups::FamilyGroups(std::span<const ScrapedSegment> segments) : left_out_(segments.size()) {
  std::vector<std::size_t> order(segments.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto rank = [&](std::size_t i) { return segments[i].seniority == nullptr ? 0 : segments[i].seniority->rank; };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  std::vector<std::set<std::string>> lost(segments.size());
  Claims claims;
  for (const bool is_second_turn : {false, true}) {
    for (const std::size_t i : order) {
      const Seniority* seniority = segments[i].seniority;
      for (const CatalogFamily* family : segments[i].families) {
        if (is_second_turn == (seniority != nullptr && was_shown(*family, *seniority))) continue;
        // One segment's catalog has seen to its own names.
        const Outcome outcome = segments.size() == 1 ? Outcome{} : claims.claim(*family);
        const bool is_shown = outcome.problem.empty();
        if (is_shown) parts_.push_back({family, segments[i].totals, i, !outcome.openmetrics.empty()});
        if (is_shown && outcome.openmetrics.empty()) continue;
        lost[i].insert(family->name);
        ++(is_shown ? left_out_[i].of_openmetrics : left_out_[i].families);
        if (left_out_[i].example.empty()) left_out_[i].example = is_shown ? outcome.openmetrics : outcome.problem;
      }
    }
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].seniority == nullptr) continue;
    segments[i].seniority->lost.swap(lost[i]);
    segments[i].seniority->served_entries = segments[i].entries;
  }
  std::sort(parts_.begin(), parts_.end(), [](const FamilyPart& a, const FamilyPart& b) {
    const int names = a.family->name.compare(b.family->name);
    return names != 0 ? names < 0 : a.segment < b.segment;
  });
}

void FamilyGroups::for_each(const Wanted& wanted, const Visit& visit) const {
  for (auto from = parts_.begin(); from != parts_.end();) {
    const CatalogFamily& family = *from->family;
    const auto to =
        std::find_if(from, parts_.end(), [&](const FamilyPart& p) { return p.family->name != family.name; });
    if (!wanted || wanted(family.produced_names())) visit({from, to});
    from = to;
  }
}

bool FamilyGroups::produces(std::string_view name) const {
  // A family that produces it has a name that begins with the same word.
  const std::string_view word = name.substr(0, name.find('_') + 1);
  const auto is_before = [](const FamilyPart& part, std::string_view start) { return part.family->name < start; };
  auto part = std::lower_bound(parts_.begin(), parts_.end(), word, is_before);
  for (; part != parts_.end() && part->family->name.starts_with(word); ++part) {
    const auto names = part->family->produced_names();
    if (std::find(names.begin(), names.end(), name) != names.end()) return true;
  }
  return false;
}

}  // namespace shmetrics::collector
