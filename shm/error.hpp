// What can go wrong with a segment, sorted by what its user has to do about it.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <stdexcept>
#include <string>

namespace shmetrics::shm {

enum class Fault {
  kNotReady = 1,     // nothing is wrong: not there yet, try again later
  kIncompatible,     // another layout, byte order or schema: stop the others, upgrade, or choose another path
  kFull,             // space or a limit is used up: raise it
  kDamaged,          // bytes that no creator writes: remove the file
  kInvalidArgument,  // the caller's mistake
  kRefused,          // permission, owner, kind of file or file system
  kIo,               // the kernel said no for another reason
};

/// One line that names what was found, what was expected, and what to do.
class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& message) : std::runtime_error(message), fault_(fault) {}
  Fault fault() const noexcept { return fault_; }

 private:
  Fault fault_;
};

/// The one place where errno becomes a fault. `what` says which call failed on what, e.g. "open /dev/shm/a.seg".
Error from_errno(int error_number, const std::string& what);

}  // namespace shmetrics::shm
