// Refuted variants of the protocol, made from the real code by what stands between its steps.
#pragma once

#include <fcntl.h>

namespace shmetrics::simulation {

/// Called before an actor's access to a word: what the variant does there in addition.
void mutate_before(const void* word) noexcept;
/// Called before a lock call: which byte the variant means.
void mutate_lock(struct flock& request) noexcept;

}  // namespace shmetrics::simulation
