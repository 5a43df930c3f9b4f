/* The update of a C program: see update_bench.cpp. */
#include "bench/update_loop.h"

void bench_counter_inc(shmetrics_counter counter, uint64_t n) {
  uint64_t i;
  for (i = 0; i < n; ++i) {
    shmetrics_counter_inc(counter);
    __asm__ volatile("" ::: "memory"); /* each update on its own, as benchmark::ClobberMemory has it */
  }
}
