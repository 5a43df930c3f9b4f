/* The C API, used as a server in C would use it, and misused as one should not; every claim is checked here, the values
 * by who runs it. Compiled as C99 and as C11.
 *
 * usage: c_api_program SEGMENT */
#include <shmetrics/shmetrics.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures = 0;

static void check(int holds, const char* claim, int line) {
  if (holds) return;
  fprintf(stderr, "line %d: not so: %s\n", line, claim);
  ++failures;
}
static int lines_heard = 0;

/* What would go to stderr comes here: one line a cause. */
static void hear(const char* line) {
  check(line[0] != 0 && strchr(line, '\n') == NULL, line, __LINE__);
  ++lines_heard;
}
#define CHECK(claim) check(claim, #claim, __LINE__)

static shmetrics_registry* opened(const char* path) {
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error error;
  shmetrics_registry* registry;
  options.path = path;
  options.start = SHMETRICS_FRESH;
  options.workers = 8;
  options.slots = 16;
  options.cells = 4096;
  options.directory_bytes = 65536;
  options.mode = 0640;
  options.has_group = 1;
  options.group = (uint32_t)getegid();
  options.series_per_family = 100;
  options.on_error = hear;
  registry = shmetrics_open(&options, &error);
  CHECK(registry != NULL && error.code == SHMETRICS_OK && error.message[0] == 0);
  options.start = SHMETRICS_ATTACH;
  CHECK(shmetrics_open(&options, NULL) == registry);
  CHECK(strcmp(shmetrics_path(registry), path) == 0);
  return registry;
}

static void count_every_kind(shmetrics_registry* registry) {
  const double bounds[] = {0.1, 0.5, 1.0};
  const shmetrics_native_buckets buckets = {.low = 0.25, .high = 4};
  double made[SHMETRICS_MAX_BOUNDS];
  shmetrics_family_options options = SHMETRICS_FAMILY_OPTIONS_INIT;
  const shmetrics_string path = {"/usersXXX", 6};
  shmetrics_counter hits;
  shmetrics_gauge active;
  shmetrics_counter_family* requests = shmetrics_declare_counter(registry, "app_requests_total", "Requests",
                                                                 SHMETRICS_LABELS("method", "status"), NULL, NULL);
  shmetrics_counter_family* routes =
      shmetrics_declare_counter(registry, "app_routes_total", "Routes", SHMETRICS_LABELS("route"), NULL, NULL);
  shmetrics_float_counter_family* cost =
      shmetrics_declare_float_counter(registry, "app_cost_dollars_total", "Cost", SHMETRICS_NO_LABELS, NULL, NULL);
  shmetrics_gauge_family* load =
      shmetrics_declare_gauge(registry, "app_load", "Load", SHMETRICS_NO_LABELS, SHMETRICS_MAX, NULL, NULL);
  shmetrics_gauge_family* rooms;
  const shmetrics_string floor = {"1", 1};
  double own;
  shmetrics_histogram_family *seconds, *native;
  shmetrics_summary_family* sizes =
      shmetrics_declare_summary(registry, "app_size_bytes", "Sizes", SHMETRICS_NO_LABELS, NULL, NULL);
  options.unit = "seconds";
  options.series_limit = 1;
  seconds = shmetrics_declare_histogram(registry, "app_job_seconds", "Jobs", SHMETRICS_LABELS("queue"), bounds, 3,
                                        &options, NULL);
  native = shmetrics_declare_native_histogram(registry, "app_native_seconds", "Native", SHMETRICS_LABELS("queue"),
                                              buckets, NULL, NULL);
  options.naming = SHMETRICS_LENIENT;
  options.unit = NULL;
  shmetrics_counter_inc(shmetrics_counter_with(
      shmetrics_declare_counter(registry, "app_lenient", "", SHMETRICS_NO_LABELS, &options, NULL),
      SHMETRICS_NO_LABELS));
  hits = shmetrics_counter_with(requests, SHMETRICS_LABELS("GET", "200"));
  shmetrics_counter_inc(hits);
  shmetrics_counter_add(hits, 5);
  shmetrics_counter_add(hits, -1); /* refused, and counted */
  shmetrics_counter_inc(shmetrics_counter_with_strings(routes, &path, 1));
  shmetrics_float_counter_add(shmetrics_float_counter_with(cost, SHMETRICS_NO_LABELS), 0.25);
  shmetrics_float_counter_add(shmetrics_float_counter_with(cost, SHMETRICS_NO_LABELS), -1.0);
  shmetrics_float_counter_add(shmetrics_float_counter_with(cost, SHMETRICS_NO_LABELS), 0.5);
  active = shmetrics_gauge_with(load, SHMETRICS_NO_LABELS);
  shmetrics_gauge_set(active, 3);
  CHECK(shmetrics_gauge_add(active, 1.5) == 1);
  CHECK(shmetrics_gauge_add(active, -0.5) == 1);
  shmetrics_histogram_observe(shmetrics_histogram_with(seconds, SHMETRICS_LABELS("mail")), 0.3);
  shmetrics_histogram_observe(shmetrics_histogram_with(native, SHMETRICS_LABELS("mail")), 0.3);
  shmetrics_histogram_observe(shmetrics_histogram_with(native, SHMETRICS_LABELS("mail")), 9);
  shmetrics_histogram_observe(shmetrics_histogram_with(seconds, SHMETRICS_LABELS("mail")), NAN);
  shmetrics_histogram_observe(shmetrics_histogram_with(seconds, SHMETRICS_LABELS("print")), 2); /* past the limit */
  CHECK(!shmetrics_is_overflow(hits.series) && !shmetrics_is_overflow(active.series));
  CHECK(!shmetrics_is_overflow(shmetrics_find(seconds, SHMETRICS_LABELS("mail"))));
  CHECK(shmetrics_is_overflow(shmetrics_find(seconds, SHMETRICS_LABELS("print"))));
  rooms =
      shmetrics_declare_gauge(registry, "app_rooms", "Rooms", SHMETRICS_LABELS("floor"), SHMETRICS_MAX, &options, NULL);
  CHECK(!shmetrics_is_overflow(shmetrics_find(rooms, SHMETRICS_LABELS("1"))));
  CHECK(shmetrics_is_overflow(shmetrics_find(rooms, SHMETRICS_LABELS("2"))));
  shmetrics_gauge_set(shmetrics_gauge_with(rooms, SHMETRICS_LABELS("1")), 4);
  shmetrics_gauge_remove(rooms, &floor, 0);
  CHECK(shmetrics_gauge_own(shmetrics_gauge_with(rooms, SHMETRICS_LABELS("1")), &own) && own == 4);
  shmetrics_gauge_remove(rooms, &floor, 1);
  CHECK(!shmetrics_gauge_own(shmetrics_gauge_with(rooms, SHMETRICS_LABELS("1")), &own));
  shmetrics_gauge_remove(NULL, &floor, 1);
  shmetrics_release_worker();
  shmetrics_resume_worker();
  shmetrics_summary_observe(shmetrics_summary_with(sizes, SHMETRICS_NO_LABELS), 100);
  CHECK(shmetrics_info(registry, "app_build_info", "Build", (const char* const[]){"version"},
                       (const char* const[]){"1.2.3"}, 1, NULL) == SHMETRICS_OK);
  CHECK(shmetrics_linear_buckets(1, 2, 3, made) == 3 && made[2] == 5);
  CHECK(shmetrics_exponential_buckets(1, 2, 3, made) == 3 && made[2] == 4);
  CHECK(shmetrics_linear_buckets(1, -1, 3, made) == 0);
  CHECK(shmetrics_exponential_buckets(1, 2, 65, made) == 0);
  CHECK(shmetrics_now() <= shmetrics_now());
}

/* What a timer and an in-flight guard do in C++, by hand; and what has defaults. */
static void count_as_a_server(shmetrics_registry* registry) {
  const double start = shmetrics_now();
  shmetrics_registry* standard;
  shmetrics_error error;
  shmetrics_histogram_family* duration = shmetrics_declare_histogram(
      registry, "app_request_duration_seconds", "Requests", SHMETRICS_LABELS("route"), NULL, 0, NULL, NULL);
  shmetrics_gauge active = shmetrics_gauge_with(
      shmetrics_declare_gauge(registry, "app_active", "Active", SHMETRICS_NO_LABELS, SHMETRICS_SUM, NULL, NULL),
      SHMETRICS_NO_LABELS);
  shmetrics_gauge last =
      shmetrics_gauge_with(shmetrics_declare_gauge(registry, "app_last_timestamp_seconds", "Last request",
                                                   SHMETRICS_NO_LABELS, SHMETRICS_MOSTRECENT, NULL, NULL),
                           SHMETRICS_NO_LABELS);
  const int is_counted = shmetrics_gauge_add(active, 1);
  shmetrics_gauge_set_to_current_time(last);
  shmetrics_gauge_unset(last);
  shmetrics_gauge_set_to_current_time(last);
  shmetrics_histogram_observe(shmetrics_histogram_with(duration, SHMETRICS_LABELS("/")), shmetrics_now() - start);
  if (is_counted) shmetrics_gauge_add(active, -1);

  setenv("SHMETRICS_SEGMENT", shmetrics_path(registry), 1);
  standard = shmetrics_default_registry(&error);
  CHECK(standard == registry && error.code == SHMETRICS_OK);
}

static void normalize_routes(void) {
  char route[32];
  CHECK(shmetrics_normalize_route("/users/123?x=1", 14, route, sizeof route) == 10);
  CHECK(strcmp(route, "/users/:id") == 0);
  CHECK(shmetrics_normalize_route("/users", 6, route, 4) == 6 && strcmp(route, "/us") == 0);
  CHECK(shmetrics_normalize_route("/users", 6, NULL, 0) == 6);
}

static void misuse(shmetrics_registry* registry) {
  shmetrics_error error;
  struct {
    shmetrics_options known;
    uint64_t of_tomorrow;
  } newer;
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  const shmetrics_counter inert = {{0, 0, NULL}};
  shmetrics_counter_family* refused_counter;
  shmetrics_gauge_family* refused_gauge;
  shmetrics_histogram_family* refused_histogram;
  const shmetrics_native_buckets too_fine = {.low = 1, .high = 4, .factor = 0.5};
  double bounds[65];
  size_t i;
  for (i = 0; i < 65; ++i) bounds[i] = (double)i;

  refused_counter = shmetrics_declare_counter(registry, "app_hits", "Hits", SHMETRICS_NO_LABELS, NULL, &error);
  CHECK(error.code == SHMETRICS_INVALID_ARGUMENT && strstr(error.message, "app_hits_total") != NULL);
  CHECK(refused_counter != NULL); /* its updates are counted as dropped */
  CHECK(shmetrics_is_overflow(shmetrics_find(refused_counter, SHMETRICS_NO_LABELS)));
  shmetrics_counter_inc(shmetrics_counter_with(refused_counter, SHMETRICS_NO_LABELS));
  refused_gauge =
      shmetrics_declare_gauge(registry, "app_requests_total", "X", SHMETRICS_NO_LABELS, SHMETRICS_SUM, NULL, &error);
  CHECK(error.code != SHMETRICS_OK && refused_gauge != NULL);
  shmetrics_gauge_set(shmetrics_gauge_with(refused_gauge, SHMETRICS_NO_LABELS), 1);
  CHECK(shmetrics_gauge_add(shmetrics_gauge_with(refused_gauge, SHMETRICS_NO_LABELS), 1) == 0);
  refused_histogram =
      shmetrics_declare_histogram(registry, "app_x", "X", SHMETRICS_NO_LABELS, bounds, 65, NULL, &error);
  CHECK(error.code == SHMETRICS_INVALID_ARGUMENT && refused_histogram != NULL);
  refused_histogram =
      shmetrics_declare_native_histogram(registry, "app_x", "X", SHMETRICS_NO_LABELS, too_fine, NULL, &error);
  CHECK(error.code == SHMETRICS_INVALID_ARGUMENT && refused_histogram != NULL);
  shmetrics_histogram_observe(shmetrics_histogram_with(refused_histogram, SHMETRICS_NO_LABELS), 1);
  shmetrics_declare_gauge(registry, "app_y", "Y", SHMETRICS_NO_LABELS, (enum shmetrics_gauge_mode)77, NULL, &error);
  CHECK(error.code == SHMETRICS_INVALID_ARGUMENT);
  CHECK(shmetrics_declare_counter(registry, NULL, NULL, SHMETRICS_NO_LABELS, NULL, NULL) != NULL);
  CHECK(shmetrics_declare_counter(registry, "app_routes_total", "Routes", SHMETRICS_LABELS("method"), NULL, &error) !=
        NULL);
  CHECK(error.code == SHMETRICS_INCOMPATIBLE && strstr(error.message, "in this process") != NULL);
  CHECK(lines_heard == 2); /* rule and same_process */
  CHECK(shmetrics_declare_counter(NULL, "app_a_total", "A", SHMETRICS_NO_LABELS, NULL, &error) == NULL);
  CHECK(error.code == SHMETRICS_NOT_READY);
  CHECK(shmetrics_path(NULL)[0] == 0);
  CHECK(shmetrics_declare_counter(registry, "app_n_total", "N", NULL, 2, NULL, &error) != NULL);
  CHECK(error.code == SHMETRICS_INVALID_ARGUMENT);
  shmetrics_counter_inc(shmetrics_counter_with(NULL, NULL, 2));

  options.path = shmetrics_path(registry);
  options.start = 77;
  CHECK(shmetrics_open(&options, &error) == NULL && error.code == SHMETRICS_INVALID_ARGUMENT);
  options.start = SHMETRICS_ATTACH;
  options.path = "/nonexistent/folder/x.seg";
  CHECK(shmetrics_open(&options, &error) == NULL && error.code != SHMETRICS_OK && error.message[0] != 0);
  options.size = 0;
  CHECK(shmetrics_open(&options, &error) == NULL && error.code == SHMETRICS_INVALID_ARGUMENT);
  memset(&newer, 0, sizeof newer);
  newer.known.size = sizeof newer;
  newer.known.path = shmetrics_path(registry);
  CHECK(shmetrics_open(&newer.known, NULL) == registry); /* longer, and says nothing there */
  newer.of_tomorrow = 1;
  CHECK(shmetrics_open(&newer.known, &error) == NULL && error.code == SHMETRICS_INVALID_ARGUMENT);

  errno = 4711;
  CHECK(shmetrics_is_overflow(inert.series));
  shmetrics_counter_inc(inert);
  shmetrics_counter_inc(shmetrics_counter_with(NULL, SHMETRICS_LABELS("x")));
  shmetrics_histogram_observe(shmetrics_histogram_with(NULL, SHMETRICS_NO_LABELS), 1);
  shmetrics_gauge_set(shmetrics_gauge_with(NULL, SHMETRICS_NO_LABELS), 1);
  CHECK(shmetrics_gauge_add(shmetrics_gauge_with(NULL, SHMETRICS_NO_LABELS), 1) == 0);
  CHECK(errno == 4711);
}

static void keep_exemplars(shmetrics_registry* registry) {
  const char* names[] = {"tenant"};
  const char* values[] = {"a"};
  const shmetrics_exemplar exemplar = {"trace", NULL, names, values, 1};
  shmetrics_family_options options = SHMETRICS_FAMILY_OPTIONS_INIT;
  shmetrics_counter_family* hits;
  shmetrics_float_counter_family* cost;
  shmetrics_histogram_family* times;
  const char *many_names[60], *many_values[60];
  shmetrics_exemplar many = {NULL, NULL, many_names, many_values, 60};
  shmetrics_exemplar missing = {"missing", NULL, NULL, NULL, 3};
  char room[60][3];
  int i;
  options.exemplars = 1;
  hits = shmetrics_declare_counter(registry, "app_traced_total", "Traced", SHMETRICS_NO_LABELS, &options, NULL);
  cost = shmetrics_declare_float_counter(registry, "app_paid_total", "Paid", SHMETRICS_NO_LABELS, &options, NULL);
  times = shmetrics_declare_histogram(registry, "app_traced_seconds", "Traced", SHMETRICS_NO_LABELS, NULL, 0, &options,
                                      NULL);
  shmetrics_counter_add_exemplar(shmetrics_counter_with(hits, SHMETRICS_NO_LABELS), 2, &exemplar);
  shmetrics_counter_add_exemplar(shmetrics_counter_with(hits, SHMETRICS_NO_LABELS), 1, NULL);
  shmetrics_float_counter_add_exemplar(shmetrics_float_counter_with(cost, SHMETRICS_NO_LABELS), 0.5, &exemplar);
  shmetrics_histogram_observe_exemplar(shmetrics_histogram_with(times, SHMETRICS_NO_LABELS), 0.3, &exemplar);
  shmetrics_histogram_observe_exemplar(shmetrics_histogram_with(NULL, SHMETRICS_NO_LABELS), 0.3, &exemplar);
  /* An empty value takes no room, and what does not fit is dropped as a whole. */
  for (i = 0; i < 60; ++i) {
    room[i][0] = (char)('a' + i / 10);
    room[i][1] = (char)('0' + i % 10);
    room[i][2] = 0;
    many_names[i] = room[i];
    many_values[i] = i == 59 ? "x" : i == 58 ? NULL : "";
  }
  hits = shmetrics_declare_counter(registry, "app_many_total", "Many", SHMETRICS_NO_LABELS, &options, NULL);
  shmetrics_counter_add_exemplar(shmetrics_counter_with(hits, SHMETRICS_NO_LABELS), 1, &many);
  for (i = 0; i < 60; ++i) many_values[i] = i < 30 ? "" : "x";
  shmetrics_counter_add_exemplar(shmetrics_counter_with(hits, SHMETRICS_NO_LABELS), 1, &many);
  hits = shmetrics_declare_counter(registry, "app_missing_total", "Missing", SHMETRICS_NO_LABELS, &options, NULL);
  shmetrics_counter_add_exemplar(shmetrics_counter_with(hits, SHMETRICS_NO_LABELS), 1, &missing);
}

/* What a process declares with two schemas is a mistake, unless it said that its code changes while it lives. */
static void swap_code(const char* path) {
  char other[4096];
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error error;
  shmetrics_registry* registry;
  snprintf(other, sizeof other, "%s.swapped", path);
  options.path = other;
  options.code_changes = 1;
  registry = shmetrics_open(&options, NULL);
  CHECK(shmetrics_declare_counter(registry, "app_a_total", "A", SHMETRICS_LABELS("a"), NULL, NULL) != NULL);
  shmetrics_declare_counter(registry, "app_a_total", "A", SHMETRICS_LABELS("a", "b"), NULL, &error);
  CHECK(error.code == SHMETRICS_OK);
  shmetrics_declare_counter(registry, "app_a_total", "A", SHMETRICS_LABELS("a"), NULL, &error);
  CHECK(error.code == SHMETRICS_OK);
}

static void count_in_children(shmetrics_registry* registry) {
  shmetrics_counter_family* forks =
      shmetrics_declare_counter(registry, "app_forks_total", "Forks", SHMETRICS_LABELS("who"), NULL, NULL);
  const shmetrics_counter kept = shmetrics_counter_with(forks, SHMETRICS_LABELS("child"));
  int i;
  for (i = 0; i < 3; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      shmetrics_counter_inc(kept);
      shmetrics_counter_inc(shmetrics_counter_with(forks, SHMETRICS_LABELS("child")));
      exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
  }
  shmetrics_counter_inc(shmetrics_counter_with(forks, SHMETRICS_LABELS("too", "many"))); /* dropped, and counted */
}

/* A thread that is cancelled ends at its own points of cancellation, not in here. */
static void* ask_for_descriptor(void* registry) {
  pthread_cancel(pthread_self());
  CHECK(shmetrics_descriptor(registry) >= 0);
  pthread_testcancel();
  return NULL;
}

static void cancel(shmetrics_registry* registry) {
  pthread_t thread;
  void* result = NULL;
  close(shmetrics_descriptor(registry)); /* the next one is opened by the next question */
  CHECK(pthread_create(&thread, NULL, ask_for_descriptor, registry) == 0 && pthread_join(thread, &result) == 0);
  CHECK(result == PTHREAD_CANCELED);
}

int main(int argc, char** argv) {
  shmetrics_registry* registry;
  if (argc != 2) return 2;
  registry = opened(argv[1]);
  count_every_kind(registry);
  count_as_a_server(registry);
  normalize_routes();
  misuse(registry);
  keep_exemplars(registry);
  swap_code(argv[1]);
  count_in_children(registry);
  cancel(registry);
  return failures == 0 ? 0 : 1;
}
