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
      return Fault::kFull;
    default:
      return Fault::kIo;
  }
}

}  // namespace

Error from_errno(int error_number, const std::string& what) {
  return Error(fault_of(error_number), what + ": " + std::generic_category().message(error_number));
}

}  // namespace shmetrics::shm
