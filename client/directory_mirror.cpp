#include "client/directory_mirror.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace shmetrics::detail {

void FamilyState::describe(const shm::Schema& given) {
  schema = given;
  texts.reserve(3 + schema.labels.size());  // the views must not move
  const auto keep = [this](std::string_view& text) { text = texts.emplace_back(text); };
  keep(schema.name);
  keep(schema.help);
  keep(schema.unit);
  for (std::string_view& label : schema.labels) keep(label);

  bounds.fill(std::numeric_limits<double>::infinity());
  bound_count = shm::bound_count(schema);
  if (schema.is_native) {
    window = shm::NativeWindow::of(schema.bounds).value_or(window);
    native_steps = shm::kMaxNativeSchema - window.schema;
  } else {
    compared_bounds = bound_count;
    std::copy(schema.bounds.begin(), schema.bounds.end(), bounds.begin());
  }
  series_cells = shm::series_cells(schema);
  exemplar_cell = schema.has_exemplars ? shm::value_cells(schema.type, bound_count) : 0;
}

struct DirectoryMirror::Known {
  explicit Known(const shm::Geometry& geometry) : parser(geometry) {}

  shm::DirectoryParser parser;
  bool is_sound = true;
  std::optional<shm::DirectoryParser::Step> parsed;  // and not yet taken
  shm::IndexEntry place;                             // of that
  std::unordered_map<std::uint32_t, std::unique_ptr<FamilyState>> by_entry;
  std::unordered_map<std::string_view, std::vector<FamilyState*>> by_name;  // as its first family has the name
  std::unordered_map<std::string, const FamilyState*> claims;               // names that families produce
  std::unordered_map<std::string, std::uint32_t> newer;  // names of families that are unknown, and their types
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

void DirectoryMirror::end_other_type(std::string_view name, std::uint32_t type) {
  const auto found = known_->by_name.find(name);
  if (found == known_->by_name.end() || found->second.empty()) return;
  const shm::MetricType ended = found->second.front()->schema.type;
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
    state->registry = registry_ + (state->schema.gauge_mode == shm::GaugeMode::kShared ? kMaxRegistries : 0);
    state->first_cell = parsed.record.first_cell;
    state->overflow_tally = parsed.record.overflow_tally;
    state->series_limit = parsed.record.series_limit;
    owned = std::move(state);
  }
  FamilyState* const state = owned.get();
  const std::string_view name = state->schema.name;
  end_other_type(name, parsed.record.type);
  const auto newer = known_->newer.find(std::string(name));
  if (newer != known_->newer.end() && newer->second != parsed.record.type) known_->newer.erase(newer);
  for (std::string& claim : shm::claimed_names(state->schema.type, name)) {
    known_->claims.insert_or_assign(std::move(claim), state);
  }
  auto& generations = known_->by_name[name];
  make_room_for_gauges();
  // Values of dead workers in an older generation would stay for good: a claim resets all of them.
  const bool is_gauge = state->in_process_slots();
  for (std::size_t i = 0; is_gauge && !generations.empty() && i < known_->gauges.size(); ++i) {
    if (known_->gauge_families[i] == generations.back()) known_->gauges[i].action = shm::ClaimAction::kZero;
  }
  generations.push_back(state);
  if (is_gauge && state->schema.labels.empty()) add_gauges(*state, state->first_cell);
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
  const auto& of_name = generations(family.schema.name);
  const bool is_newest = of_name.empty() || of_name.back() == &family;
  const auto action =
      is_newest ? shm::claim_action(family.schema.type, family.schema.gauge_mode) : shm::ClaimAction::kZero;
  known_->gauges.push_back({first_cell, shm::kGaugeCells, action});
  known_->gauge_families.push_back(&family);
}

const std::vector<FamilyState*>& DirectoryMirror::generations(std::string_view name) const {
  static const std::vector<FamilyState*>& none = *new std::vector<FamilyState*>;
  const auto found = known_->by_name.find(name);
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
    if (found != known_->claims.end() && found->second->schema.name != except) {
      return std::string(found->second->schema.name);
    }
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
