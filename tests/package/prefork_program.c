/* A prefork server of the C API: workers count, and some are killed in the middle. Built for musl: as a program with
 * the client in it, and with main() as run() in a library that plugin_loader.c dlopens.
 *
 * usage: prefork_program SEGMENT   prints what was acknowledged, and how many threads were killed */
#include <shmetrics/shmetrics.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kWorkers = 8, kKilled = 4, kCounts = 100000 };

static _Atomic uint64_t* acknowledged; /* shared with the children */
static shmetrics_counter jobs;

static void* count(void* forever) {
  for (int i = 0; i < kCounts || forever != NULL; ++i) {
    shmetrics_counter_inc(jobs);
    atomic_fetch_add(acknowledged, 1);
  }
  return NULL;
}

/* Two threads each: a thread has a slot. */
static void work(void* forever) {
  pthread_t other;
  if (pthread_create(&other, NULL, count, forever) != 0) exit(1);
  count(forever);
  pthread_join(other, NULL);
  exit(0);
}

int main(int argc, char** argv) {
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error error;
  shmetrics_registry* registry;
  pid_t workers[kWorkers];
  int status = 0;
  if (argc != 2) return 2;
  options.path = argv[1];
  registry = shmetrics_open(&options, &error);
  if (registry == NULL) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  jobs = shmetrics_counter_with(
      shmetrics_declare_counter(registry, "jobs_total", "Jobs", SHMETRICS_LABELS("queue"), NULL, &error),
      SHMETRICS_LABELS("mail"));
  acknowledged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < kWorkers; ++i) {
    workers[i] = fork();
    if (workers[i] == 0) work(i < kKilled ? &jobs : NULL);
  }
  for (int i = kKilled; i < kWorkers; ++i) {
    if (waitpid(workers[i], &status, 0) < 0 || status != 0) return 1;
  }
  for (int i = 0; i < kKilled; ++i) {
    kill(workers[i], SIGKILL);
    waitpid(workers[i], &status, 0);
  }
  printf("%llu %d\n", (unsigned long long)*acknowledged, 2 * kKilled);
  return 0;
}
