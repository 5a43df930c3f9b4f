#include "shm/error.hpp"

#include <cerrno>
#include <system_error>

namespace shmetrics::shm {
namespace {

Fault fault_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return Fault::kNotReady;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
      return Fault::kRefused;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
      return Fault::kFull;
    default:
      return Fault::kIo;
  }
}

const char* remedy_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "; free space there, or choose another path";
    case ENOMEM:
      return "; raise its limit (ulimit -v), or create the segment with fewer slots and cells";
    case EAGAIN:  // of mmap() after mlockall(MCL_FUTURE)
      return "; raise the limit of locked memory (ulimit -l)";
    case EMFILE:
    case ENFILE:
      return "; raise the limit of open files (ulimit -n)";
    case EROFS:
      return "; choose a path that can be written";
    case EACCES:
      return "; let this user write there, or choose another path";
    case EOPNOTSUPP:
      return "; choose a path on tmpfs, such as /dev/shm";
    case ENOENT:
      return "; make the folder, or choose another path";
    default:
      return "";
  }
}

}  // namespace

Error from_errno(int error_number, const std::string& what) {
  return Error(fault_of(error_number),
               what + ": " + std::generic_category().message(error_number) + remedy_of(error_number));
}

}  // namespace shmetrics::shm
