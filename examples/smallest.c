#include <shmetrics/shmetrics.h>

int main(void) {
  shmetrics_registry* registry = shmetrics_open(NULL, NULL); /* $SHMETRICS_SEGMENT, or the user's file in /dev/shm */
  shmetrics_counter_family* jobs =
      shmetrics_declare_counter(registry, "app_jobs_total", "Jobs done", SHMETRICS_LABELS("queue"), NULL, NULL);
  shmetrics_histogram_family* seconds = shmetrics_declare_histogram(
      registry, "app_job_duration_seconds", "Duration of a job", SHMETRICS_LABELS("queue"), NULL, 0, NULL, NULL);

  double start = shmetrics_now();
  shmetrics_counter_inc(shmetrics_counter_with(jobs, SHMETRICS_LABELS("mail")));
  shmetrics_histogram_observe(shmetrics_histogram_with(seconds, SHMETRICS_LABELS("mail")), shmetrics_now() - start);
  return 0;
}
