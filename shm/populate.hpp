// Advice of Linux 5.14 that the headers of an older libc do not know: glibc before 2.35, musl before 1.2.4.
//
// Threads: none. Failure: none. Lifetime: none.
#pragma once

#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
