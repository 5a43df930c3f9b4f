/* What an update costs where the code that counts lies: in the program, or in something that is dlopened, which has to
 * ask the loader for its thread's slot. bench/tls.sh builds and runs it in each place.
 *
 * usage: tls_bench SEGMENT   prints ns of an update that counts nothing shared, of a counter and of a histogram: the
 *                            least of some runs, each update a call that is not inlined */
#include <shmetrics/shmetrics.h>

#include <stdint.h>
#include <stdio.h>

enum { kRuns = 40, kUpdates = 1000000 };

static uint64_t plain;
static shmetrics_counter counter;
static shmetrics_histogram histogram;

#define UPDATE static __attribute__((noinline)) void
UPDATE count_plain(void) {
  __atomic_store_n(&plain, __atomic_load_n(&plain, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}
UPDATE count(void) {
  shmetrics_counter_inc(counter);
}
UPDATE observe(void) {
  shmetrics_histogram_observe(histogram, 0.02);
}

static double least_ns(void (*update)(void)) {
  double least = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    const double begin = shmetrics_now();
    for (int i = 0; i < kUpdates; ++i) update();
    const double ns = (shmetrics_now() - begin) * 1e9 / kUpdates;
    if (ns < least) least = ns;
  }
  return least;
}

int main(int argc, char** argv) {
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_registry* registry;
  if (argc != 2) return 2;
  options.path = argv[1];
  registry = shmetrics_open(&options, NULL);
  if (registry == NULL) return 1;
  counter = shmetrics_counter_with(
      shmetrics_declare_counter(registry, "counts_total", "Counts", SHMETRICS_NO_LABELS, NULL, NULL),
      SHMETRICS_NO_LABELS);
  histogram = shmetrics_histogram_with(
      shmetrics_declare_histogram(registry, "seconds", "Seconds", SHMETRICS_NO_LABELS, NULL, 0, NULL, NULL),
      SHMETRICS_NO_LABELS);
  printf("%.2f | %.2f | %.1f\n", least_ns(count_plain), least_ns(count), least_ns(observe));
  return 0;
}
