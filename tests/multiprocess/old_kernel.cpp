#include "tests/multiprocess/old_kernel.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "shm/populate.hpp"

extern "C" {

int __real_madvise(void* address, std::size_t bytes, int advice);
int __real_fallocate(int file, int mode, off_t offset, off_t bytes);

int __wrap_madvise(void* address, std::size_t bytes, int advice) {
  using namespace shmetrics::tests;
  const bool populates = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
  if (populates && (!populate_is_known || populate_finds_no_room)) {
    errno = populate_is_known ? EFAULT : EINVAL;
    return -1;
  }
  return __real_madvise(address, bytes, advice);
}

int __wrap_fallocate(int file, int mode, off_t offset, off_t bytes) {
  if (mode == FALLOC_FL_KEEP_SIZE) ++shmetrics::tests::growth_by_fallocate;
  return __real_fallocate(file, mode, offset, bytes);
}

}  // extern "C"
