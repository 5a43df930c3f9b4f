// `shmetrics doctor`: why is my metric missing? Each line is one thing that was looked at, with what to do.
//
// Threads: one thread. Failure: std::bad_alloc alone; all else is an exit code. Lifetime: a call keeps nothing.
#pragma once

#include <string>

namespace shmetrics::tools {

/// Appends lines that begin with `ok`, `note` or `problem` to `out`; then how to ask the exporter. Reads only. Returns
/// kFine, kDamaged if there is a problem, kNoAnswer if there is no segment that it can read.
int doctor(const std::string& path, std::string& out);

}  // namespace shmetrics::tools
