#include "client/directory_mirror.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "client/directory_pages.hpp"

namespace shmetrics::detail {

void FamilyState::describe(const shm::Schema& schema) {
  type = schema.type;
  cell_kind = schema.cell_kind;
  gauge_mode = schema.gauge_mode;
  bound_count = static_cast<std::uint32_t>(std::min(schema.bounds.size(), bounds.size()));
  bounds.fill(std::numeric_limits<double>::infinity());
  std::copy_n(schema.bounds.begin(), bound_count, bounds.begin());
  name = schema.name;
  help = schema.help;
  unit = schema.unit;
  labels.assign(schema.labels.begin(), schema.labels.end());
}

shm::Schema FamilyState::schema() const {
  shm::Schema schema;
  schema.type = type;
  schema.cell_kind = cell_kind;
  schema.gauge_mode = gauge_mode;
  schema.name = name;
  schema.help = help;
  schema.unit = unit;
  schema.labels.assign(labels.begin(), labels.end());
  schema.bounds.assign(bounds.begin(), bounds.begin() + bound_count);
  return schema;
}

struct DirectoryMirror::Known {
  explicit Known(const shm::Geometry& geometry) : parser(geometry) {}

  shm::DirectoryParser parser;
  bool is_sound = true;
  std::unordered_map<std::uint32_t, std::unique_ptr<FamilyState>> by_entry;
  std::unordered_map<std::string, std::vector<FamilyState*>> by_name;
  std::unordered_map<std::string, const FamilyState*> claims;  // names that families produce
  std::unordered_set<std::string> newer;
  std::vector<shm::GaugeCells> gauges;
  std::vector<const FamilyState*> gauge_families;  // of `gauges`; null: of a newer release
};

DirectoryMirror::DirectoryMirror(Attachment& attachment, const shm::SegmentView& view, std::uint32_t registry)
    : attachment_(attachment),
      view_(view),
      registry_(registry),
      series_(view.directory_bytes(), view.geometry().cells),
      known_(std::make_unique<Known>(view.geometry())) {}

DirectoryMirror::~DirectoryMirror() = default;

void DirectoryMirror::start_anew() noexcept {
  static_cast<void>(known_.release());  // families point into it, and it may be torn
  series_.start_anew();
}

DirectoryMirror::Refreshed DirectoryMirror::refresh(DirectoryPages& pages) noexcept {
  try {
    if (known_ == nullptr) known_ = std::make_unique<Known>(view_.geometry());
    shm::DirectoryParser& parser = known_->parser;
    while (known_->is_sound) {
      const std::uint32_t entry = parser.entries();
      if (entry == view_.geometry().index_entries()) return Refreshed::kWhole;
      if (!pages.read_entry(entry)) return Refreshed::kNoMemory;
      const std::uint64_t word = view_.index(entry).load_acquire();  // pairs with the append's release
      if (word == 0) return Refreshed::kWhole;
      const auto place = shm::IndexEntry::of(word);
      if (!place.is_valid(view_.geometry())) break;
      if (!pages.read_record(place.end())) return Refreshed::kNoMemory;
      known_->is_sound = false;  // also for good if take() runs out of memory: the parser is past the record by then
      take(parser.next({view_.directory_bytes() + place.offset, place.length}), place);
    }
  } catch (const std::exception&) {
    start_anew();  // read again when there is memory
    return Refreshed::kNoMemory;
  }
  known_->is_sound = false;
  return Refreshed::kDamaged;
}

void DirectoryMirror::take(const shm::DirectoryParser::Step& step, shm::IndexEntry place) {
  if (const auto* family = std::get_if<shm::ParsedFamily>(&step)) {
    add(*family);
  } else if (const auto* series = std::get_if<shm::ParsedSeries>(&step)) {
    add(*series, place);
  } else if (const auto* unknown = std::get_if<shm::UnknownRecord>(&step)) {
    add(*unknown);
  } else {
    return;
  }
  known_->is_sound = true;
}

void DirectoryMirror::end_other_type(const std::string& name, std::uint32_t type) {
  const auto found = known_->by_name.find(name);
  if (found == known_->by_name.end() || found->second.empty()) return;
  const shm::MetricType ended = found->second.front()->type;
  if (static_cast<std::uint32_t>(ended) == type) return;
  for (const std::string& claim : shm::claimed_names(ended, name)) known_->claims.erase(claim);
  found->second.clear();
}

void DirectoryMirror::add(const shm::ParsedFamily& parsed) {
  auto state = std::make_unique<FamilyState>();
  state->describe(parsed.schema);
  state->attachment = &attachment_;
  state->entry = parsed.entry;
  state->registry = registry_;
  state->first_cell = parsed.record.first_cell;
  state->overflow_tally = parsed.record.overflow_tally;
  state->series_limit = parsed.record.series_limit;

  end_other_type(state->name, parsed.record.type);
  auto& generations = known_->by_name[state->name];
  // Values of the dead in an older generation would stand there for good: a claim resets them all.
  for (std::size_t i = 0; !generations.empty() && i < known_->gauges.size(); ++i) {
    if (known_->gauge_families[i] == generations.back()) known_->gauges[i].action = shm::ClaimAction::kZero;
  }
  generations.push_back(state.get());
  for (std::string& name : shm::claimed_names(state->type, state->name)) {
    known_->claims.insert_or_assign(std::move(name), state.get());
  }
  if (state->in_process_slots() && state->labels.empty()) add_gauges(*state, state->first_cell);
  known_->by_entry.emplace(parsed.entry, std::move(state));
}

void DirectoryMirror::add(const shm::ParsedSeries& parsed, shm::IndexEntry place) {
  const FamilyState& family = *known_->by_entry.at(parsed.record.family);
  if (family.in_process_slots()) add_gauges(family, parsed.record.first_cell);
  series_.add(family.entry, parsed.values(), place.offset, place.length);
  family.series_count.fetch_add(1, std::memory_order_relaxed);
}

void DirectoryMirror::add(const shm::UnknownRecord& unknown) {
  if (!unknown.family_name.empty()) {
    std::string name(unknown.family_name);
    end_other_type(name, unknown.type);
    known_->newer.insert(std::move(name));
  }
  if (unknown.process_cells == 0) return;
  known_->gauges.push_back({unknown.first_process_cell, unknown.process_cells, unknown.claim_action});
  known_->gauge_families.push_back(nullptr);
}

void DirectoryMirror::add_gauges(const FamilyState& family, std::uint32_t first_cell) {
  const auto& generations = known_->by_name[family.name];
  const bool is_newest = generations.empty() || generations.back() == &family;
  const auto action = is_newest ? shm::claim_action(family.type, family.gauge_mode) : shm::ClaimAction::kZero;
  known_->gauges.push_back({first_cell, shm::kGaugeCells, action});
  known_->gauge_families.push_back(&family);
}

const std::vector<FamilyState*>& DirectoryMirror::generations(std::string_view name) const {
  static const std::vector<FamilyState*>& none = *new std::vector<FamilyState*>;
  const auto found = known_->by_name.find(std::string(name));
  return found == known_->by_name.end() ? none : found->second;
}

bool DirectoryMirror::is_newer(std::string_view name) const {
  return known_->newer.contains(std::string(name));
}

const FamilyState* DirectoryMirror::family(std::uint32_t entry) const {
  const auto found = known_->by_entry.find(entry);
  return found == known_->by_entry.end() ? nullptr : found->second.get();
}

std::string DirectoryMirror::claimant(const std::vector<std::string>& names, std::string_view except) const {
  for (const std::string& name : names) {
    const auto found = known_->claims.find(name);
    if (found != known_->claims.end() && found->second->name != except) return found->second->name;
  }
  return {};
}

std::uint32_t DirectoryMirror::entries() const {
  return known_->parser.entries();
}

const shm::CellCursor& DirectoryMirror::cells() const {
  return known_->parser.cells();
}

const std::vector<shm::GaugeCells>& DirectoryMirror::gauges() const {
  return known_->gauges;
}

}  // namespace shmetrics::detail
