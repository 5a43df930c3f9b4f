// What a virtual worker does with the client: declares, registers, counts, observes, sets, starts threads, forks,
// exits.
#pragma once

#include <cstdint>

namespace shmetrics::simulation {

/// The body of a worker started by the scheduler: opens the stage's segment, and is a worker or, by the plan, the
/// master
/// of some. All that it decides follows from the stage's seed and its number.
void be_worker();

/// The body of a reader: scrapes at its own pace, and holds each scrape against what was acknowledged before it and
/// started until its end.
void be_reader();

/// Before a simulation, in a process of its own: makes a segment whose series end right before the first chunk of cells
/// does, so that the next few make slots and spill grow. Returns 0.
int fill_first_chunk(const char* path, bool of_gauges);

/// After the simulation, in a process of its own: starts, declares, and updates each kind once. Returns 0 when all
/// of it
/// worked.
int be_survivor(const char* path);

}  // namespace shmetrics::simulation
