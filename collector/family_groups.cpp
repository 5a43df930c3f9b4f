#include "collector/family_groups.hpp"

#include <algorithm>
#include <unordered_map>

#include "collector/family.hpp"
#include "shm/naming.hpp"

namespace shmetrics::collector {
namespace {

std::string clash(const CatalogFamily& late, const CatalogFamily& early, std::string_view name) {
  std::string text = "family " + late.name + " is left out: segment " + early.segment + " has ";
  if (late.name == early.name) {
    text += "it as a " + std::string(shm::type_name(early.type)) + ", not a " + std::string(shm::type_name(late.type));
  } else {
    text += early.name + ", and both would write " + std::string(name);
  }
  return text + "; rename one";
}

/// The first segment of each family, and of each name that a family produces.
class Claims {
 public:
  /// Why the family cannot be shown; empty when it can, and then its names are taken.
  std::string claim(const CatalogFamily& family) {
    // The common case, a family that many segments have, costs one lookup: same name and type means same claims.
    if (const auto same = families_.find(family.name); same != families_.end()) {
      return same->second->type == family.type ? "" : clash(family, *same->second, family.name);
    }
    std::vector<std::string> names = shm::claimed_names(family.type, family.name);
    for (const std::string& name : names) {
      if (const auto owner = owners_.find(name); owner != owners_.end()) return clash(family, *owner->second, name);
    }
    families_.emplace(family.name, &family);
    for (std::string& name : names) owners_.emplace(std::move(name), &family);
    return {};
  }

 private:
  std::unordered_map<std::string_view, const CatalogFamily*> families_;
  std::unordered_map<std::string, const CatalogFamily*> owners_;
};

}  // namespace

FamilyGroups::FamilyGroups(std::span<const ScrapedSegment> segments) : left_out_(segments.size()) {
  Claims claims;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    for (const CatalogFamily* family : segments[i].families) {
      // One segment's catalog has seen to its own names.
      std::string problem = segments.size() == 1 ? std::string() : claims.claim(*family);
      if (problem.empty()) {
        parts_.push_back({family, segments[i].totals, i});
      } else if (++left_out_[i].families == 1) {
        left_out_[i].example = std::move(problem);
      }
    }
  }
  // Stable: families of one name stay in the order of their segments.
  std::stable_sort(parts_.begin(), parts_.end(),
                   [](const FamilyPart& a, const FamilyPart& b) { return a.family->name < b.family->name; });
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
  // Whoever produces it begins with the same word.
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
