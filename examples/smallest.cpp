// The smallest program that is measured. README.md shows the part between the markers; a test compares and runs it.
// [smallest]
#include <shmetrics/shmetrics.hpp>

int main() {
  auto registry = shmetrics::default_registry();  // $SHMETRICS_SEGMENT, or the user's file in /dev/shm; never throws
  auto jobs = registry.counter("app_jobs_total", "Jobs done", {"queue"});
  auto seconds = registry.histogram("app_job_duration_seconds", "Duration of a job", {"queue"});

  shmetrics::Timer timer(seconds.with("mail"));  // observes when the scope ends
  jobs.with("mail").inc();
}
// [smallest]
