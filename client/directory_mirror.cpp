#include "client/directory_mirror.hpp"

#include <algorithm>
#include <limits>

namespace shmetrics::detail {

shm::Schema FamilyState::schema() const {
  shm::Schema schema;
  schema.type = type;
  schema.cell_kind = cell_kind;
  schema.gauge_mode = gauge_mode;
  schema.name = name;
  schema.help = help;
  schema.labels.assign(labels.begin(), labels.end());
  schema.bounds.assign(bounds.begin(), bounds.begin() + bound_count);
  return schema;
}

bool DirectoryMirror::refresh(std::uint64_t committed) {
  const std::span<const std::byte> log(directory_, committed);
  while (sound_) {
    sound_ = false;  // also for good if add() runs out of memory: the parser is past a record that the mirror lacks
    const auto step = parser_.next(log);
    if (const auto* family = std::get_if<shm::ParsedFamily>(&step)) {
      add(*family);
    } else if (const auto* series = std::get_if<shm::ParsedSeries>(&step)) {
      add(*series);
    } else if (std::holds_alternative<shm::Defect>(step)) {
      return false;
    }
    sound_ = true;
    if (std::holds_alternative<std::monostate>(step)) return true;
  }
  return false;
}

void DirectoryMirror::add(const shm::ParsedFamily& parsed) {
  auto state = std::make_unique<FamilyState>();
  state->attachment = &attachment_;
  state->offset = parsed.offset;
  state->registry = registry_;
  state->type = parsed.schema.type;
  state->cell_kind = parsed.schema.cell_kind;
  state->gauge_mode = parsed.schema.gauge_mode;
  state->first_cell = parsed.record.first_cell;
  state->overflow_tally = parsed.record.overflow_tally;
  state->series_limit = parsed.record.series_limit;
  state->bound_count = static_cast<std::uint32_t>(parsed.schema.bounds.size());
  state->bounds.fill(std::numeric_limits<double>::infinity());
  std::copy(parsed.schema.bounds.begin(), parsed.schema.bounds.end(), state->bounds.begin());
  state->name = parsed.schema.name;
  state->help = parsed.schema.help;
  state->labels.assign(parsed.schema.labels.begin(), parsed.schema.labels.end());

  if (state->in_process_slots() && state->labels.empty()) gauges_.push_back({state->first_cell, state->gauge_mode});
  std::erase_if(claims_, [&](const auto& claim) { return claim.second->offset == parsed.record.supersedes; });
  for (std::string& name : shm::claimed_names(state->type, state->name))
    claims_.try_emplace(std::move(name), state.get());
  by_name_.insert_or_assign(state->name, state.get());
  by_offset_.emplace(parsed.offset, std::move(state));
}

void DirectoryMirror::add(const shm::ParsedSeries& parsed) {
  const FamilyState& family = *by_offset_.at(parsed.record.family);
  if (family.in_process_slots()) gauges_.push_back({parsed.record.first_cell, family.gauge_mode});
  series_.add(family.offset, parsed.values(), parsed.offset, parsed.record.head.length);
  family.series_count.fetch_add(1, std::memory_order_relaxed);
}

const FamilyState* DirectoryMirror::family(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : found->second;
}

std::string DirectoryMirror::claimant(const std::vector<std::string>& names, std::string_view except) const {
  for (const std::string& name : names) {
    const auto found = claims_.find(name);
    if (found != claims_.end() && found->second->name != except) return found->second->name;
  }
  return {};
}

}  // namespace shmetrics::detail
