#include <shmetrics/shmetrics.h>

int main(void) {
  shmetrics_registry* registry = shmetrics_open(NULL, NULL);
  shmetrics_counter_family* runs =
      shmetrics_declare_counter(registry, "outside_runs_total", "Runs", SHMETRICS_LABELS("language"), NULL, NULL);
  shmetrics_counter_inc(shmetrics_counter_with(runs, SHMETRICS_LABELS("C")));
  return registry != NULL ? 0 : 1;
}
