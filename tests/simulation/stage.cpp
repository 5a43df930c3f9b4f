#include "tests/simulation/stage.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <thread>

#include "client/attachment.hpp"
#include "shm/descriptor.hpp"
#include "shm/lock_byte.hpp"
#include "tests/simulation/mutants.hpp"

namespace shmetrics::simulation {
namespace {

constinit thread_local Actor* current = nullptr;
// Between the parent's decision to fork and the child's first own line: each step hands the turn back, so that parent
// and child never both believe that they have it.
constinit thread_local bool is_forking = false;
constinit thread_local pid_t forker = 0;  // whose real pid tells the two apart
constinit Stage* the_stage = nullptr;

// Not std::atomic::wait, which is private to a process.
bool wait_and_take(std::atomic<std::uint32_t>& word) {
  while (word.exchange(0, std::memory_order_acq_rel) == 0) {
    const timespec minute{60, 0};
    if (syscall(SYS_futex, &word, FUTEX_WAIT, 0, &minute, nullptr, 0) != 0 && errno == ETIMEDOUT) return false;
  }
  return true;
}

void pass(std::atomic<std::uint32_t>& word) {
  word.store(1, std::memory_order_release);
  syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void note_slot(Actor& actor) {
  const detail::Attachment* attachment = detail::Attachment::at(0);
  const detail::ThreadSlot& slot = detail::thread_slots[0];
  actor.slot =
      attachment != nullptr && slot.limit > 0 && !is_forking  // until it is forked, the slot is the parent's
          ? static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(slot.cells) - attachment->mapping.view.base())
          : 0;
}

// A child's first step: nobody has given it the turn yet, so it has none to give back.
bool is_arriving() {
  if (!is_forking || syscall(SYS_getpid) == forker) return false;
  if (forker == 0) return false;
  forker = 0;
  if (!wait_and_take(current->turn)) _exit(98);
  current->budget = 0;
  // Here, because it may end before fork() returns in its parent, and its end is waited for.
  the_stage->processes[current->process].pid = static_cast<pid_t>(syscall(SYS_getpid));
  return true;
}

Actor& add_actor(std::uint32_t process) {
  Stage& all = stage();
  if (all.actor_count == kMostActors) std::abort();
  Actor& actor = all.actors[all.actor_count++];
  actor.process = process;
  actor.phase = Phase::kReady;
  return actor;
}

// At the end of an actor's thread, after the client has given its slot back: keys are destroyed in the order of their
// making.
void end_thread(void*) {
  current->slot = 0;
  current->phase = Phase::kDone;
  current = nullptr;
  pass(stage().scheduler);
}

pthread_key_t end_key() {
  static const pthread_key_t key = [] {
    pthread_key_t made;
    if (pthread_key_create(&made, end_thread) != 0) std::abort();
    return made;
  }();
  return key;
}

// After all handlers of exit(), the client's release among them.
[[gnu::destructor(101)]] void end_process() {
  if (current == nullptr) return;
  const std::uint32_t process = current->process;
  for (Actor& actor : stage().actors) {
    if (actor.phase == Phase::kReady && actor.process == process) actor.phase = Phase::kDone;
  }
  stage().processes[process].has_ended = true;  // also for a thread of it that forks at this moment
  current = nullptr;
  pass(stage().scheduler);
}

// Who looks into /proc/PID keeps the address space for that long, and with it the locks: on a machine where somebody
// does, the next actor would find a dead worker alive, and the run would not be its seed's. Bounded, because a child
// that was forked in the middle of a claim may have the lock until its own first step.
void wait_for_locks(std::uint32_t number) {
  const shm::Descriptor file(open(stage().path, O_RDONLY | O_CLOEXEC));
  constexpr int kMostWaits = 20000;
  int waits = 0;
  for (std::uint32_t byte = 0; byte < kMostLockBytes && file; ++byte) {
    if (stage().lock_takers[byte] != number + 1) continue;
    while (shm::probe(file.get(), shm::kLockBase + byte) == shm::Held::kYes && ++waits < kMostWaits) usleep(100);
    stage().lock_takers[byte] = 0;
  }
}

void wait_until_gone(Process& process) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
  if (fd >= 0) {
    pollfd ended{fd, POLLIN, 0};
    while (poll(&ended, 1, -1) < 0) {
    }
    close(fd);
  }
  waitpid(process.pid, nullptr, WNOHANG);  // if it is a child and no grandchild
  wait_for_locks(static_cast<std::uint32_t>(&process - stage().processes));
  process.is_alive = false;
}

}  // namespace

Stage& stage() {
  if (the_stage == nullptr) {
    void* memory = mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    the_stage = new (memory) Stage{};
  }
  return *the_stage;
}

Actor* self() noexcept {
  return current;
}

void step(bool must) noexcept {
  if (current == nullptr || is_arriving()) return;
  Stage& all = *the_stage;
  ++all.steps;
  all.clock_ns += all.plan.tick_ns;
  if (!must && current->budget > 0) {
    --current->budget;
    return;
  }
  note_slot(*current);
  pass(all.scheduler);
  if (!wait_and_take(current->turn)) _exit(98);
  if (is_forking) current->budget = 0;
}

void note_lock(std::uint64_t byte) noexcept {
  if (current == nullptr) return;
  if (byte - shm::kLockBase < kMostLockBytes) the_stage->lock_takers[byte - shm::kLockBase] = current->process + 1;
}

void fail(const std::string& what) noexcept {
  Stage& all = stage();
  if (all.failure[0] == '\0') std::snprintf(all.failure, sizeof all.failure, "%s", what.c_str());
}

void start_process(const std::function<void()>& body) {
  Stage& all = stage();
  if (all.process_count == kMostProcesses) std::abort();
  const std::uint32_t number = all.process_count++;
  Process& process = all.processes[number];
  process.is_alive = true;
  Actor* const parent = current;
  process.forker = parent != nullptr ? static_cast<std::uint32_t>(parent - all.actors) : kMostActors;
  Actor& child = add_actor(number);
  if (parent != nullptr) parent->phase = Phase::kForking;  // its thread goes by the child's name through the handlers
  current = &child;
  is_forking = true;
  forker = static_cast<pid_t>(syscall(SYS_getpid));
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) std::abort();
  if (pid == 0) {
    std::signal(SIGCHLD, SIG_IGN);  // nobody waits for the children of a worker
    is_arriving();
    is_forking = false;
    body();
    std::exit(0);
  }
  is_forking = false;
  current = parent;
  process.pid = pid;
  if (parent != nullptr) parent->phase = Phase::kReady;
}

void start_thread(std::function<void()> body) {
  Actor& actor = add_actor(current->process);
  std::thread([&actor, body = std::move(body)] {
    if (!wait_and_take(actor.turn)) _exit(98);
    current = &actor;
    pthread_setspecific(end_key(), &actor);
    body();
  }).detach();
}

void exit_at_once() {
  end_process();
  _exit(0);
}

void clear_stage() {
  Stage& all = stage();
  std::memset(static_cast<void*>(&all), 0, sizeof all);
}

bool give_turn(Actor& actor, std::uint64_t budget) {
  Stage& all = stage();
  actor.budget = budget;
  pass(actor.turn);
  if (!wait_and_take(all.scheduler)) return false;
  // Who forks has the turn in its child's name, and may end in it.
  for (Process& ended : all.processes) {
    if (ended.has_ended && ended.is_alive) wait_until_gone(ended);
  }
  return true;
}

void kill_process(std::uint32_t number) {
  Stage& all = stage();
  Process& process = all.processes[number];
  kill(process.pid, SIGKILL);
  wait_until_gone(process);
  for (Actor& actor : all.actors) {
    if (actor.phase == Phase::kAbsent || actor.phase == Phase::kDone) continue;
    Process& owner = all.processes[actor.process];
    const bool is_unborn = owner.pid == 0 && owner.forker < kMostActors && all.actors[owner.forker].process == number;
    if (actor.process != number && !is_unborn) continue;
    actor.phase = Phase::kDone;
    owner.is_alive = false;
  }
}

}  // namespace shmetrics::simulation

void shmetrics::shm::simulated_step(const void* word) noexcept {
  if (shmetrics::simulation::self() == nullptr) return;
  shmetrics::simulation::step();
  shmetrics::simulation::mutate_before(word);
}
