/* What update_bench measures of the C API, compiled as C. */
#pragma once

#include <shmetrics/shmetrics.h>

#ifdef __cplusplus
extern "C"
#endif
    void
    bench_counter_inc(shmetrics_counter counter, uint64_t n);
