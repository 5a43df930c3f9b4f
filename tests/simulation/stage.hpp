// A simulation's stage: virtual workers, of which one takes one step at a time, and the virtual time that they see.
//
// A worker is a real process that runs the real client; a step is an access to a shared word or to a lock byte. Before
// each step an actor (a thread of a worker) may have to hand the turn back to the scheduler, which is the process that
// made the stage. So a run is a function of its seed, and a kill is a SIGKILL between two steps that were chosen.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace shmetrics::simulation {

inline constexpr int kMostActors = 96;
inline constexpr std::uint32_t kMostLockBytes = 128;  // 64 before the entries', two for each
inline constexpr int kMostProcesses = 48;             // a bit each in a double

/// What actors count, in updates.
enum Kind { kHits, kCost, kLatency, kSize, kLevel, kKinds };

enum class Phase : std::uint32_t { kAbsent, kReady, kForking, kDone };

struct Actor {
  std::atomic<std::uint32_t> turn;  // futex: 1 = may go on
  Phase phase;
  std::uint32_t process;
  std::uint64_t budget;     // steps until the turn goes back
  std::uint64_t slot;       // offset of the thread slot that it counts in, at its last step; 0 = none
  std::uint64_t observing;  // it has begun an observation and not ended it
  std::uint64_t started[kKinds], acknowledged[kKinds];
};

struct Process {
  pid_t pid;             // 0 until it is forked
  std::uint32_t forker;  // the actor that forks it; kMostActors: the scheduler
  bool is_alive, has_ended;
  bool is_mark_started, is_mark_acknowledged;  // of the gauge that says who lives
  std::uint64_t peak_started, peak_acknowledged;
};

/// Refuted variants of the protocol (docs/segment-format.md): a simulation that cannot find them proves nothing.
enum class Mutant : std::uint32_t { kNone, kOneLockByte, kClaimerCompletesRedo };

/// What a seed decides before the first step.
struct Plan {
  std::uint32_t workers, slots, operations, tick_ns;
  bool is_root, is_prefork, has_threads, only_observes;
};

struct Stage {
  std::atomic<std::uint32_t> scheduler;  // futex: 1 = the turn is back
  std::uint64_t steps, clock_ns, seed;
  std::uint32_t actor_count, process_count;
  Plan plan;
  Mutant mutant;
  char path[128];
  char failure[512];  // the first that an actor found
  Actor actors[kMostActors];
  Process processes[kMostProcesses];
  std::uint32_t lock_takers[kMostLockBytes];  // by byte from kLockBase on: 1 + the process that took it last
};

/// The stage of this process and all that it forks; made at first use, by the scheduler.
Stage& stage();
/// Who the calling thread is; null: the scheduler, or nobody of the simulation.
Actor* self() noexcept;

/// A new worker with one actor that runs `body` and exits in order. By the scheduler or by an actor.
void start_process(const std::function<void()>& body);
/// A new actor in the calling actor's process.
void start_thread(std::function<void()> body);
/// The end of the calling actor's process by _exit: no handler runs, nothing is released.
[[noreturn]] void exit_at_once();
/// A lock byte is the calling actor's process's from here on, until somebody else takes it; of no actor, nothing.
void note_lock(std::uint64_t byte) noexcept;
/// A step that may hand the turn back, or, if it `must`, does.
void step(bool must = false) noexcept;
/// Notes what is wrong, unless something was before.
void fail(const std::string& what) noexcept;

// --- The scheduler's side. ---
/// Empties the stage: nobody of the last run is left.
void clear_stage();
/// Lets an actor take up to `budget` + 1 steps. False: it did not come back within a minute.
bool give_turn(Actor& actor, std::uint64_t budget);
/// Kill -9, and waits until the kernel has taken its locks.
void kill_process(std::uint32_t process);

}  // namespace shmetrics::simulation
