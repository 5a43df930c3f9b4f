#include "client/directory_mirror.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "shm/native_window.hpp"

namespace shmetrics::detail {

void FamilyState::describe(const shm::Schema& schema) {
  type = schema.type;
  cell_kind = schema.cell_kind;
  gauge_mode = schema.gauge_mode;
  const std::size_t kept = std::min(schema.bounds.size(), bounds.size());
  bounds.fill(std::numeric_limits<double>::infinity());
  std::copy_n(schema.bounds.begin(), kept, bounds.begin());
  is_native = schema.is_native;
  bound_count = compared_bounds = is_native ? 0 : static_cast<std::uint32_t>(kept);
  if (const auto window = is_native ? shm::NativeWindow::of(schema.bounds) : std::nullopt) {
    bound_count = window->bound_count();
    native_steps = shm::kMaxNativeSchema - window->schema;
    native_low_key = window->low_key;
    octave_steps = window->octave_steps();
  }
  series_cells = shm::series_cells(schema);
  exemplar_cell = schema.has_exemplars ? shm::value_cells(type, bound_count) : 0;
  name = schema.name;
  help = schema.help;
  unit = schema.unit;
  labels.assign(schema.labels.begin(), schema.labels.end());
  naming = schema.naming;
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
  const std::size_t kept = is_native ? shm::kNativeBounds : compared_bounds;
  schema.bounds.assign(bounds.begin(), bounds.begin() + static_cast<std::ptrdiff_t>(kept));
  schema.is_native = is_native;
  schema.has_exemplars = exemplar_cell != 0;
  schema.naming = naming;
  return schema;
}

struct DirectoryMirror::Known {
  explicit Known(const shm::Geometry& geometry) : parser(geometry) {}

  shm::DirectoryParser parser;
  bool is_sound = true;
  std::optional<shm::DirectoryParser::Step> parsed;  // and not yet taken
  shm::IndexEntry place;                             // of that
  std::unordered_map<std::uint32_t, std::unique_ptr<FamilyState>> by_entry;
  std::unordered_map<std::string, std::vector<FamilyState*>> by_name;
  std::unordered_map<std::string, const FamilyState*> claims;  // names that families produce
  std::unordered_map<std::string, std::uint32_t> newer;        // names of families that are unknown, and their types
  std::vector<shm::GaugeCells> gauges;
  std::vector<const FamilyState*> gauge_families;  // of `gauges`; null: of a newer release
};

DirectoryMirror::DirectoryMirror(Attachment& attachment, const shm::SegmentView& view, std::uint32_t registry)
    : pages(view),
      attachment_(attachment),
      view_(view),
      registry_(registry),
      series_(view.directory_bytes(), view.geometry().cells),
      known_(std::make_unique<Known>(view.geometry())) {}

DirectoryMirror::~DirectoryMirror() = default;

void DirectoryMirror::forget_in_child(bool is_whole) noexcept {
  pages.forget_in_child(is_whole);
  if (is_whole) return;
  static_cast<void>(known_.release());  // families point into it, and it may be torn
  series_.start_anew();
}

DirectoryMirror::Refreshed DirectoryMirror::refresh() noexcept {
  try {
    if (known_ == nullptr) known_ = std::make_unique<Known>(view_.geometry());
    shm::DirectoryParser& parser = known_->parser;
    for (;;) {
      // Again, if there was no memory for all of it the last time.
      if (known_->parsed) take(*known_->parsed, known_->place);
      known_->parsed.reset();
      if (!known_->is_sound) return Refreshed::kDamaged;

      const std::uint32_t entry = parser.entries();
      if (entry == view_.geometry().index_entries()) return Refreshed::kWhole;
      if (!pages.read_entry(entry)) return Refreshed::kNoMemory;
      const std::uint64_t word = view_.index(entry).load_acquire();  // pairs with the append's release
      if (word == 0) return Refreshed::kWhole;
      known_->place = shm::IndexEntry::of(word);
      known_->is_sound = known_->place.is_valid(view_.geometry());
      if (!known_->is_sound) return Refreshed::kDamaged;
      if (!pages.read_record(known_->place.end())) return Refreshed::kNoMemory;
      known_->parsed = parser.next({view_.directory_bytes() + known_->place.offset, known_->place.length});
    }
  } catch (const std::exception&) {
    return Refreshed::kNoMemory;
  }
}

// May throw at any point, and is then called again with the same step.
void DirectoryMirror::take(const shm::DirectoryParser::Step& step, shm::IndexEntry place) {
  if (const auto* family = std::get_if<shm::ParsedFamily>(&step)) {
    add(*family);
  } else if (const auto* series = std::get_if<shm::ParsedSeries>(&step)) {
    add(*series, place);
  } else if (const auto* unknown = std::get_if<shm::UnknownRecord>(&step)) {
    add(*unknown);
  } else {
    known_->is_sound = false;
  }
}

void DirectoryMirror::end_other_type(const std::string& name, std::uint32_t type) {
  const auto found = known_->by_name.find(name);
  if (found == known_->by_name.end() || found->second.empty()) return;
  const shm::MetricType ended = found->second.front()->type;
  if (static_cast<std::uint32_t>(ended) == type) return;
  for (const std::string& claim : shm::claimed_names(ended, name)) known_->claims.erase(claim);
  for (const FamilyState* family : found->second) family->has_ended = true;
  found->second.clear();
}

void DirectoryMirror::add(const shm::ParsedFamily& parsed) {
  std::unique_ptr<FamilyState>& owned = known_->by_entry[parsed.entry];
  if (owned == nullptr) {
    auto state = std::make_unique<FamilyState>();
    state->describe(parsed.schema);
    state->attachment = &attachment_;
    state->entry = parsed.entry;
    state->registry = registry_ + (state->gauge_mode == shm::GaugeMode::kShared ? kMaxRegistries : 0);
    state->first_cell = parsed.record.first_cell;
    state->overflow_tally = parsed.record.overflow_tally;
    state->series_limit = parsed.record.series_limit;
    owned = std::move(state);
  }
  FamilyState* const state = owned.get();
  end_other_type(state->name, parsed.record.type);
  const auto newer = known_->newer.find(state->name);
  if (newer != known_->newer.end() && newer->second != parsed.record.type) known_->newer.erase(newer);
  for (std::string& name : shm::claimed_names(state->type, state->name)) {
    known_->claims.insert_or_assign(std::move(name), state);
  }
  auto& generations = known_->by_name[state->name];
  make_room_for_gauges();
  // Values of dead workers in an older generation would stay for good: a claim resets all of them.
  for (std::size_t i = 0; !generations.empty() && i < known_->gauges.size(); ++i) {
    if (known_->gauge_families[i] == generations.back()) known_->gauges[i].action = shm::ClaimAction::kZero;
  }
  generations.push_back(state);
  if (state->in_process_slots() && state->labels.empty()) add_gauges(*state, state->first_cell);
}

void DirectoryMirror::add(const shm::ParsedSeries& parsed, shm::IndexEntry place) {
  const FamilyState& family = *known_->by_entry.at(parsed.record.family);
  make_room_for_gauges();
  series_.add(family.entry, parsed.values(), place.offset, place.length);
  family.series_count.fetch_add(1, std::memory_order_relaxed);
  if (family.in_process_slots()) add_gauges(family, parsed.record.first_cell);
}

void DirectoryMirror::add(const shm::UnknownRecord& unknown) {
  make_room_for_gauges();
  if (!unknown.family_name.empty()) {
    const std::string name(unknown.family_name);
    end_other_type(name, unknown.type);
    known_->newer.insert_or_assign(name, unknown.type);
  }
  if (unknown.process_cells == 0) return;
  known_->gauges.push_back({unknown.first_process_cell, unknown.process_cells, unknown.claim_action});
  known_->gauge_families.push_back(nullptr);
}

// So that one more of them can be added without memory.
void DirectoryMirror::make_room_for_gauges() {
  const auto make_room = [](auto& vector) {
    constexpr std::size_t kFirst = 16;
    if (vector.size() == vector.capacity()) vector.reserve(std::max(kFirst, vector.size() * 2));
  };
  make_room(known_->gauges);
  make_room(known_->gauge_families);
}

void DirectoryMirror::add_gauges(const FamilyState& family, std::uint32_t first_cell) {
  const auto found = known_->by_name.find(family.name);
  const bool is_newest = found == known_->by_name.end() || found->second.empty() || found->second.back() == &family;
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
    if (name != except && known_->newer.contains(name)) return name;
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
