// Verifies what docs/segment-format.md states under "Validity", on a private copy, of a segment live or dead.
//
// Threads: any. Failure: std::bad_alloc alone; what is wrong is a finding. Lifetime: values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace shmetrics::collector {

inline constexpr std::size_t kMaxFindings = 1000;          // then one more line says so
inline constexpr std::chrono::seconds kMostCheckTime{60};  // then a finding says so, and the rest is left out

struct CheckReport {
  enum class Verdict {
    kSound,
    kDamaged,   // a segment, with bytes that no correct writer leaves
    kNoAnswer,  // missing, unreadable, not a segment, of another version or geometry: `findings` holds one line that
                // says which
  };
  Verdict verdict = Verdict::kSound;
  std::vector<std::string> findings;  // one line each; empty when sound
  // Nothing is wrong, but something is above 80 % (the option to raise), a name has several schemas, a newer release
  // has written something, or a process that is no worker holds locks.
  std::vector<std::string> warnings;
};

/// Reads only. Throws std::bad_alloc only.
CheckReport check_segment(const std::string& path, std::chrono::milliseconds most_time = kMostCheckTime);

}  // namespace shmetrics::collector
