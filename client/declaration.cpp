#include "client/declaration.hpp"

#include <memory>
#include <string>

#include "client/append.hpp"
#include "client/error.hpp"
#include "client/slow_path.hpp"
#include "shm/lock_byte.hpp"

namespace shmetrics::detail {
namespace {

/// Why a declaration is refused, and the tally that counts it.
class Refused : public shm::Error {
 public:
  Refused(shm::Tally tally, shm::Fault fault, const std::string& message) : Error(fault, message), tally_(tally) {}
  shm::Tally tally() const { return tally_; }

 private:
  shm::Tally tally_;
};

// Throws when the declaration is against a rule.
void check_names(const Attachment& attachment, const shm::Schema& schema) {
  const std::string other = attachment.mirror.claimant(shm::claimed_names(schema.type, schema.name), schema.name);
  if (!other.empty()) {
    throw Refused(shm::Tally::kDeclarationRule, shm::Fault::kInvalidArgument,
                  shm::quoted(schema.name) + " would produce a name that " + shm::quoted(other) +
                      " already produces: choose another");
  }
}

bool only_numbers_differ(const shm::Schema& before, shm::Schema after) {
  after.cell_kind = before.cell_kind;
  return before.type == shm::MetricType::kCounter && shm::schema_difference(before, after).empty();
}

// The family that stands for this declaration, or null when one has to be appended. Throws when neither may be.
const FamilyState* find_declared(Attachment& attachment, const shm::Schema& schema) {
  const auto& generations = attachment.mirror.generations(schema.name);
  std::string difference;
  const FamilyState* same = nullptr;
  const FamilyState* own = nullptr;  // what this process has declared by that name, with another schema
  for (const FamilyState* known : generations) {
    const std::string differs = shm::schema_difference(known->schema, schema);
    if (differs.empty()) {
      same = known;
    } else {
      difference = differs;
      const bool is_own = known->declared_here && !attachment.code_changes.load(std::memory_order_relaxed);
      if (is_own && !only_numbers_differ(known->schema, schema)) own = known;
    }
  }
  if (same != nullptr && own == nullptr) return same;
  if (own == nullptr && attachment.mirror.is_newer(schema.name)) {
    throw Refused(shm::Tally::kDeclarationNewerRelease, shm::Fault::kIncompatible,
                  shm::quoted(schema.name) + " was written by a newer release of shmetrics: upgrade this program");
  }
  if (own != nullptr) {
    throw Refused(shm::Tally::kDeclarationSameProcess, shm::Fault::kIncompatible,
                  shm::quoted(schema.name) + " was declared " + shm::schema_difference(own->schema, schema) +
                      " before in this process: declare it once, or choose another name");
  }
  if (generations.empty()) {
    check_names(attachment, schema);
    return nullptr;
  }
  if (generations.back()->schema.type != schema.type) {
    const auto self = attachment.entry.claimed();
    const auto own_worker = self ? std::optional(self->worker) : std::nullopt;
    if (shm::other_worker_alive(attachment.mapping.file().kept_fd, own_worker)) {
      throw Refused(shm::Tally::kDeclarationOtherType, shm::Fault::kIncompatible,
                    shm::quoted(schema.name) + " is declared " + difference +
                        ", and workers live: stop them, choose another name, or open a fresh file");
    }
    check_names(attachment, schema);
    return nullptr;
  }
  if (generations.size() >= shm::kMaxGenerations) {
    throw Refused(shm::Tally::kDeclarationSchemas, shm::Fault::kIncompatible,
                  shm::quoted(schema.name) + " has " + std::to_string(shm::kMaxGenerations) +
                      " schemas already, no more fit: choose another name, or open a fresh file");
  }
  return nullptr;
}

[[noreturn]] void refuse(const Attachment& attachment, Obstacle obstacle) {
  const shm::Geometry& geometry = attachment.mapping.view.geometry();
  switch (obstacle) {
    case Obstacle::kCells:
      throw Refused(shm::Tally::kDeclarationDirectory, shm::Fault::kFull,
                    attachment.mapping.path + " has " + std::to_string(geometry.cells) +
                        " cells a slot, no more are left: raise the option cells and open a fresh file");
    case Obstacle::kDirectory:
      throw Refused(shm::Tally::kDeclarationDirectory, shm::Fault::kFull,
                    attachment.mapping.path + " has a directory of " + std::to_string(geometry.directory_bytes) +
                        " bytes, which is full: raise the option directory_bytes and open a fresh file");
    case Obstacle::kBusy:
      throw Refused(shm::Tally::kDeclarationBusy, shm::Fault::kNotReady,
                    attachment.mapping.path + " is busy: others registered for 100 ms without a pause, declare again");
    case Obstacle::kNoMemory:
      throw Refused(shm::Tally::kDeclarationNoMemory, shm::Fault::kFull,
                    "no memory left for " + attachment.mapping.path + ": free space there, it is tried again");
    default:
      throw Refused(shm::Tally::kDeclarationDirectory, shm::Fault::kDamaged,
                    attachment.mapping.path + " has a damaged directory: nothing can be declared, see shmetrics check");
  }
}

// Throws Refused, std::bad_alloc.
const FamilyState& find_or_append_family(Attachment& attachment, const shm::Schema& schema,
                                         std::uint32_t series_limit) {
  if (std::string problem = shm::refusal(schema); !problem.empty()) {
    throw Refused(shm::Tally::kDeclarationRule, shm::Fault::kInvalidArgument, problem);
  }
  const Deadline deadline;
  const ControlGuard control(deadline);
  if (!control) {
    throw Refused(shm::Tally::kDeclarationBusy, shm::Fault::kNotReady,
                  "this process is busy registering: declare again");
  }
  // Before the look for other workers: two processes that declare different types must see each other.
  attachment.entry.claim_if_free();
  Obstacle obstacle = Obstacle::kNone;
  const FamilyState* family = find_or_append(
      attachment, deadline, obstacle, [&] { return find_declared(attachment, schema); },
      [&](shm::CellCursor& cells) {
        const std::uint32_t limit = series_limit != 0 ? series_limit : attachment.series_per_family;
        return shm::encode_family(schema, shm::unix_now_ns(), limit, cells);
      });
  if (family == nullptr) refuse(attachment, obstacle);
  family->declared_here = true;
  return *family;
}

// The stand-in for a refused family. However often it is declared, a process has one for each family that may heal, and
// one for each type of all others.
const FamilyState* refused_family(Attachment& attachment, const shm::Schema& schema, std::uint32_t series_limit,
                                  shm::Tally why) {
  const bool may_heal = why != shm::Tally::kDeclarationRule && why != shm::Tally::kDeclarationSameProcess;
  const std::uint32_t cell = dropped_cell(why == shm::Tally::kDeclarationNoMemory ? shm::Tally::kDroppedNoMemory
                                          : why == shm::Tally::kDeclarationBusy   ? shm::Tally::kDroppedBusy
                                                                                  : shm::Tally::kDroppedRefusedFamily);
  const FamilyState* first = attachment.refused.load(std::memory_order_acquire);
  for (const FamilyState* known = first; known != nullptr; known = known->next_refused) {
    if (known->schema.type != schema.type || known->first_cell != cell || known->may_heal != may_heal) continue;
    const bool is_same = known->schema.name == schema.name && shm::schema_difference(known->schema, schema).empty();
    if (is_same || !may_heal) return known;
  }
  auto state = std::make_unique<FamilyState>();
  if (may_heal) state->describe(schema);
  state->schema.type = schema.type;
  state->attachment = &attachment;
  state->registry = attachment.registry;
  state->first_cell = cell;
  state->series_limit = series_limit;
  state->may_heal = may_heal;
  state->retry.open();
  state->next_refused = first;
  while (!attachment.refused.compare_exchange_weak(state->next_refused, state.get(), std::memory_order_acq_rel)) {
  }
  return state.release();
}

}  // namespace

const FamilyState* declare_family(Attachment& attachment, const shm::Schema& schema, std::uint32_t series_limit,
                                  std::error_code& error) noexcept {
  const SlowPath slow;
  shm::Tally why = shm::Tally::kDeclarationNoMemory;
  try {
    try {
      error = {};
      return &find_or_append_family(attachment, schema, series_limit);
    } catch (const Refused& refused) {
      why = refused.tally();
      error = make_error(refused.fault(), refused.what());
    } catch (const std::bad_alloc&) {
      error = no_memory();
    }
    attachment.mapping.tally(why);
    attachment.say_once(static_cast<std::uint32_t>(why), message_of(error));
    return refused_family(attachment, schema, series_limit, why);
  } catch (const std::exception&) {
    error = no_memory();
    return nullptr;
  }
}

const FamilyState* heal(const FamilyState& refused) noexcept {
  if (const FamilyState* healed = refused.healed.load(std::memory_order_acquire)) return healed;
  if (!refused.may_heal || refused.retry.is_open()) return nullptr;
  refused.retry.open();
  try {
    const FamilyState& family = find_or_append_family(*refused.attachment, refused.schema, refused.series_limit);
    refused.healed.store(&family, std::memory_order_release);
    return &family;
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace shmetrics::detail
