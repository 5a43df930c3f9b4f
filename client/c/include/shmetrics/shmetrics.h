/* shmetrics in C: counters, gauges and histograms of prefork workers, in shared memory. C99, GCC or Clang, 64-bit
 * Linux.
 *
 * Everything that <shmetrics/shmetrics.hpp> says of threads, processes, lifetime, cost and failure holds here: any
 * function from any thread; declare before fork or after it; families and handles live until the process ends and are
 * never freed; an update of a known series is a load, an add and a store.
 *
 * Nothing here aborts, throws or sets errno. A NULL registry or family, or a handle of zero bytes, is inert: what is
 * declared in it is NULL, and its updates do nothing. So a server may ignore every error and run on.
 *
 * Link libshmetrics (`pkg-config shmetrics`) or, where no C++ runtime is wanted, libshmetrics_c (`pkg-config
 * shmetrics-c`). Not both in one program. */
#ifndef SHMETRICS_SHMETRICS_H
#define SHMETRICS_SHMETRICS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <shmetrics/dlopened.h>

#if defined(SHMETRICS_STUB)
#define SHMETRICS_C_API static inline /* <shmetrics/stub.h> has the bodies: they do nothing, and succeed */
#elif defined(__GNUC__) && defined(__linux__)
#define SHMETRICS_C_API __attribute__((visibility("default")))
#else
#error "shmetrics needs GCC or Clang on 64-bit Linux; SHMETRICS_STUB makes it compile elsewhere, and do nothing"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

/* What went wrong, sorted by its remedy; the values of shmetrics::Errc. */
enum shmetrics_code {
  SHMETRICS_OK = 0,
  SHMETRICS_NOT_READY = 1,    /* not there yet: try again later */
  SHMETRICS_INCOMPATIBLE = 2, /* another layout, machine or schema: restart the others, upgrade, take another path */
  SHMETRICS_FULL = 3,         /* space or a limit is used up: raise it */
  SHMETRICS_DAMAGED = 4,      /* not the bytes of a segment: remove the file */
  SHMETRICS_INVALID_ARGUMENT = 5, /* the caller's mistake: the message names the right spelling */
  SHMETRICS_REFUSED = 6,          /* permission, owner, kind of file or of file system */
  SHMETRICS_IO = 7                /* the kernel said no for another reason */
};

/* Wherever a function takes a pointer to one, it may be NULL; else it is always written. */
typedef struct shmetrics_error {
  int code;            /* of enum shmetrics_code */
  const char* message; /* one line with the particulars, "" when there is no error; valid until the process ends */
} shmetrics_error;

/* ---- opening ---- */

typedef struct shmetrics_registry shmetrics_registry;

enum shmetrics_start {
  SHMETRICS_ATTACH = 0, /* go on with the numbers of a segment that is there */
  SHMETRICS_FRESH = 1   /* replace it by an empty one: only for a master, before it forks */
};

/* Make it with SHMETRICS_OPTIONS_INIT, which stores the size that this program knows: a program that was built before a
 * field was added goes on working. A field that is 0 has its default. */
typedef struct shmetrics_options {
  size_t size;
  const char* path;           /* NULL or "": $SHMETRICS_SEGMENT, then as shmetrics::Options::path */
  uint32_t start;             /* of enum shmetrics_start */
  uint32_t workers;           /* processes at once, up to 1,024; 256 */
  uint32_t slots;             /* threads at once, up to 16,384; 1,024 */
  uint32_t cells;             /* 8-byte cells a slot, a multiple of 2,048 up to 16 Mi; 65,536 */
  uint64_t directory_bytes;   /* names and labels, a multiple of 4,096 up to 1 GiB; 16 MiB */
  uint32_t mode;              /* permission bits of a new file; $SHMETRICS_MODE (octal), then 0600 */
  uint32_t series_per_family; /* label sets of a family before they share its overflow series; 1,000 */
  uint32_t has_group;         /* 1: `group` is meant */
  uint32_t group;             /* group id of a new file, and whose files this process accepts; else $SHMETRICS_GROUP */
  uint32_t quiet;             /* 1, or $SHMETRICS_QUIET=1: mistakes are not said on stderr, one line a cause */
  uint32_t code_changes;      /* 1: code is swapped while this process lives, as PHP's is: what it declares again with
                                 other labels, bounds or mode is a new generation, not a mistake */
  void (*on_error)(const char* line); /* takes such a line instead; must not use shmetrics */
} shmetrics_options;
#define SHMETRICS_OPTIONS_INIT \
  { .size = sizeof(shmetrics_options) }

/* Opens the segment, or creates it; at most 8 a process. NULL options: the default. NULL on error. The same file gives
 * the same registry again. Options that are larger than this library knows, and say something there, are refused. With
 * `error` NULL a failure is said on stderr, once a process. */
SHMETRICS_C_API shmetrics_registry* shmetrics_open(const shmetrics_options* options, shmetrics_error* error);
/* The segment of default options, opened at first use; while that fails, NULL, and tried again once a second. */
SHMETRICS_C_API shmetrics_registry* shmetrics_default_registry(shmetrics_error* error);
/* Says that this process ends in order, in all its segments: call it right before `_exit`. exit() and quick_exit() do
 * it by themselves; a worker that ends otherwise counts as a death. A signal handler may call it. Counters, histograms
 * and summaries go on counting after it; gauges are those of a worker that has ended. */
SHMETRICS_C_API void shmetrics_release_worker(void);
/* Takes that back, for a process that goes on because its `exec` has failed: gauges show again. */
SHMETRICS_C_API void shmetrics_resume_worker(void);
/* What the worker table calls this process, once it takes part; call it before the first update. For a script, whose
 * executable is that of its language. NULL: as the executable is called. */
SHMETRICS_C_API void shmetrics_set_program(const char* name);
/* The file in use; "" of NULL. */
SHMETRICS_C_API const char* shmetrics_path(const shmetrics_registry* registry);

/* The library's own descriptor of the file, for shmetrics_read_descriptor() of <shmetrics/reader.h>: also a worker that
 * has dropped its privileges can read its segment. Not the caller's to close. -1: of NULL, or the program has closed it
 * and may not open the file again. */
SHMETRICS_C_API int shmetrics_descriptor(const shmetrics_registry* registry);

/* ---- declaring ---- */

typedef struct shmetrics_counter_family shmetrics_counter_family;
typedef struct shmetrics_float_counter_family shmetrics_float_counter_family;
typedef struct shmetrics_gauge_family shmetrics_gauge_family;
typedef struct shmetrics_histogram_family shmetrics_histogram_family;
typedef struct shmetrics_summary_family shmetrics_summary_family;

/* How the processes' values of a gauge become one; docs/merge-rules.md. */
enum shmetrics_gauge_mode {
  SHMETRICS_LIVESUM = 0, /* of living workers only */
  SHMETRICS_LIVEMIN = 1,
  SHMETRICS_LIVEMAX = 2,
  SHMETRICS_LIVEALL = 3,
  SHMETRICS_LIVEMOSTRECENT = 4,
  SHMETRICS_SUM = 5, /* of dead workers too */
  SHMETRICS_MIN = 6,
  SHMETRICS_MAX = 7,
  SHMETRICS_MOSTRECENT = 8,
  SHMETRICS_ALL = 9,
  SHMETRICS_SHARED = 10 /* one value of all processes: set in one, added to in another */
};

enum shmetrics_naming {
  SHMETRICS_STRICT = 0, /* a counter in `_total`, a gauge not, a help */
  SHMETRICS_LENIENT = 1 /* names as other libraries allow them, `process_*` and an empty help too */
};

/* What few families need; NULL where none of it is. Made with SHMETRICS_FAMILY_OPTIONS_INIT, as shmetrics_options. */
typedef struct shmetrics_family_options {
  size_t size;
  const char* unit;      /* for OpenMetrics, such as "seconds"; the name (without `_total`) must end in it */
  uint32_t series_limit; /* label sets before they share the overflow series; 0: series_per_family */
  uint32_t naming;       /* of enum shmetrics_naming */
  uint32_t exemplars; /* 1, of a counter or histogram: 16 cells more for it, or each of its buckets, in every series */
  uint32_t reserved;
} shmetrics_family_options;
#define SHMETRICS_FAMILY_OPTIONS_INIT \
  { .size = sizeof(shmetrics_family_options) }

/* Label names and label values, as the two arguments that functions take them: an array of strings and its length. */
#define SHMETRICS_LABELS(...) \
  (const char* const[]){__VA_ARGS__}, sizeof((const char* const[]){__VA_ARGS__}) / sizeof(const char*)
#define SHMETRICS_NO_LABELS NULL, 0

/* A declaration finds the family or registers it, and waits at most 100 ms. On error (another type than living workers
 * have, another schema than this process has, a name that breaks a rule, no room) the family is inert and its updates
 * are counted as dropped; NULL without a registry or memory. Strings may go when it returns. */
SHMETRICS_C_API shmetrics_counter_family* shmetrics_declare_counter(shmetrics_registry* registry, const char* name,
                                                                    const char* help, const char* const* labels,
                                                                    size_t label_count,
                                                                    const shmetrics_family_options* options,
                                                                    shmetrics_error* error);
SHMETRICS_C_API shmetrics_float_counter_family* shmetrics_declare_float_counter(
    shmetrics_registry* registry, const char* name, const char* help, const char* const* labels, size_t label_count,
    const shmetrics_family_options* options, shmetrics_error* error);
SHMETRICS_C_API shmetrics_gauge_family* shmetrics_declare_gauge(shmetrics_registry* registry, const char* name,
                                                                const char* help, const char* const* labels,
                                                                size_t label_count, enum shmetrics_gauge_mode mode,
                                                                const shmetrics_family_options* options,
                                                                shmetrics_error* error);
/* `bounds`: 1 to 64 upper bounds, finite and increasing; +Inf comes on top. NULL: .005 .01 .025 .05 .1 .25 .5 1 2.5 5
 * 10. */
SHMETRICS_C_API shmetrics_histogram_family* shmetrics_declare_histogram(
    shmetrics_registry* registry, const char* name, const char* help, const char* const* labels, size_t label_count,
    const double* bounds, size_t bound_count, const shmetrics_family_options* options, shmetrics_error* error);
/* Buckets that grow by a factor, from low to high, both above 0: docs/native-histograms.md. Factor 0: 1.1. */
typedef struct shmetrics_native_buckets {
  double low;
  double high;
  double factor;
} shmetrics_native_buckets;
SHMETRICS_C_API shmetrics_histogram_family* shmetrics_declare_native_histogram(
    shmetrics_registry* registry, const char* name, const char* help, const char* const* labels, size_t label_count,
    shmetrics_native_buckets buckets, const shmetrics_family_options* options, shmetrics_error* error);
SHMETRICS_C_API shmetrics_summary_family* shmetrics_declare_summary(shmetrics_registry* registry, const char* name,
                                                                    const char* help, const char* const* labels,
                                                                    size_t label_count,
                                                                    const shmetrics_family_options* options,
                                                                    shmetrics_error* error);
/* A constant 1 with labels that tell something about the program; a name in `_info`. Returns the error's code. */
SHMETRICS_C_API int shmetrics_info(shmetrics_registry* registry, const char* name, const char* help,
                                   const char* const* labels, const char* const* values, size_t label_count,
                                   shmetrics_error* error);

#define SHMETRICS_MAX_BOUNDS 64
/* Writes `count` bounds: start, start + width, ... or start, start * factor, ...; returns `count`, or 0 when that makes
 * no valid bounds or more than SHMETRICS_MAX_BOUNDS. */
SHMETRICS_C_API size_t shmetrics_linear_buckets(double start, double width, size_t count, double* bounds);
SHMETRICS_C_API size_t shmetrics_exponential_buckets(double start, double factor, size_t count, double* bounds);

/* ---- series ---- */

/* Handles to series: small values to keep, copy and pass, also across fork. Zero bytes are an inert handle. The members
 * belong to this header. */
typedef struct shmetrics_series {
  uint32_t registry;
  uint32_t cell_plus_1;
  const void* family;
} shmetrics_series;
typedef struct {
  shmetrics_series series;
} shmetrics_counter;
typedef struct {
  shmetrics_series series;
} shmetrics_float_counter;
typedef struct {
  shmetrics_series series;
} shmetrics_gauge;
typedef struct {
  shmetrics_series series;
} shmetrics_histogram;
typedef struct {
  shmetrics_series series;
} shmetrics_summary;

/* A label value that does not end in a zero byte, as servers have them. */
typedef struct shmetrics_string {
  const char* data;
  size_t size;
} shmetrics_string;

/* The series with these label values, in the order of the label names; a NULL value counts as "". Known to the process:
 * one hash, one compare. Else it is registered, which waits at most 100 ms for other threads. With another number of
 * values than the family has labels, updates are dropped and counted. Beyond the limits: the overflow series. */
SHMETRICS_C_API shmetrics_series shmetrics_find(const void* family, const char* const* values, size_t count);
SHMETRICS_C_API shmetrics_series shmetrics_find_strings(const void* family, const shmetrics_string* values,
                                                        size_t count);
/* 1 while the label set has no series of its own: its updates go to the overflow series, or are dropped. Who keeps
 * handles looks such a one up again, since what it lacks may come: memory, or the end of a worker of another type. */
SHMETRICS_C_API int shmetrics_is_overflow(shmetrics_series series);

#define SHMETRICS_DEFINE_WITH_(kind)                                                                             \
  static inline shmetrics_##kind shmetrics_##kind##_with(const shmetrics_##kind##_family* family,                \
                                                         const char* const* values, size_t count) {              \
    shmetrics_##kind found;                                                                                      \
    found.series = shmetrics_find(family, values, count);                                                        \
    return found;                                                                                                \
  }                                                                                                              \
  static inline shmetrics_##kind shmetrics_##kind##_with_strings(const shmetrics_##kind##_family* family,        \
                                                                 const shmetrics_string* values, size_t count) { \
    shmetrics_##kind found;                                                                                      \
    found.series = shmetrics_find_strings(family, values, count);                                                \
    return found;                                                                                                \
  }
/* shmetrics_counter shmetrics_counter_with(family, SHMETRICS_LABELS("GET", "/")), and so for each kind; without labels
 * shmetrics_counter_with(family, SHMETRICS_NO_LABELS). */
SHMETRICS_DEFINE_WITH_(counter)
SHMETRICS_DEFINE_WITH_(float_counter)
SHMETRICS_DEFINE_WITH_(gauge)
SHMETRICS_DEFINE_WITH_(histogram)
SHMETRICS_DEFINE_WITH_(summary)
#undef SHMETRICS_DEFINE_WITH_

/* ---- updates ---- */

/* The thread's slot of each segment, shared with the C++ half of the library. `limit` is 0 until a slot is claimed. */
struct shmetrics_thread_slot {
  uint64_t* cells;
  uint32_t limit;
};
#if defined(SHMETRICS_STUB)
static const struct shmetrics_thread_slot shmetrics_thread_slots[8] = {{0, 0}};
#else
extern SHMETRICS_C_API __thread struct shmetrics_thread_slot shmetrics_thread_slots[8] __asm__(
    "_ZN9shmetrics6detail12thread_slotsE") SHMETRICS_TLS;
#endif
SHMETRICS_C_API void shmetrics_counter_add_slow(shmetrics_series series, int64_t n);
SHMETRICS_C_API void shmetrics_float_counter_add_slow(shmetrics_series series, double n);

/* Whether the series has a cell in the thread's slot, and which; without, an update has to go the slow way. */
static inline int shmetrics_is_own_(shmetrics_series series) {
  return __builtin_expect(series.cell_plus_1 - 1 < shmetrics_thread_slots[series.registry].limit, 1) != 0;
}
static inline uint64_t* shmetrics_own_cell_(shmetrics_series series) {
  return shmetrics_thread_slots[series.registry].cells + (series.cell_plus_1 - 1);
}

/* Adds n. A negative n is refused and counted in shmetrics_values_refused_total. */
static inline void shmetrics_counter_add(shmetrics_counter counter, int64_t n) {
  if (!shmetrics_is_own_(counter.series) || __builtin_expect(n < 0, 0)) {
    shmetrics_counter_add_slow(counter.series, n);
  } else {
    /* The thread is the cell's only writer: a load and a store lose nothing, and no reader sees half of the sum. */
    uint64_t* cell = shmetrics_own_cell_(counter.series);
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + (uint64_t)n, __ATOMIC_RELAXED);
  }
}
static inline void shmetrics_counter_inc(shmetrics_counter counter) {
  shmetrics_counter_add(counter, 1);
}

/* Adds n. Negative, NaN and infinite n are refused and counted. A sum beyond the largest double is shown as that, and
 * counted with the infinite ones. */
static inline void shmetrics_float_counter_add(shmetrics_float_counter counter, double n) {
  if (!shmetrics_is_own_(counter.series) || !(n >= 0 && n <= __DBL_MAX__)) {
    shmetrics_float_counter_add_slow(counter.series, n);
  } else {
    uint64_t* cell = shmetrics_own_cell_(counter.series);
    uint64_t bits = __atomic_load_n(cell, __ATOMIC_RELAXED);
    double sum;
    memcpy(&sum, &bits, sizeof sum);
    sum += n;
    memcpy(&bits, &sum, sizeof bits);
    __atomic_store_n(cell, bits, __ATOMIC_RELAXED);
  }
}

/* Threads of one process share a gauge, in the mode shared all processes: the last set wins, inc and dec (a negative n)
 * add up. */
SHMETRICS_C_API void shmetrics_gauge_set(shmetrics_gauge gauge, double value);
/* Returns 1 when it counted, 0 when it was dropped (and counted as such): then do not take it off again. */
SHMETRICS_C_API int shmetrics_gauge_add(shmetrics_gauge gauge, double n);
/* Seconds since 1970, as _timestamp_seconds metrics have it. */
SHMETRICS_C_API void shmetrics_gauge_set_to_current_time(shmetrics_gauge gauge);
/* This process shows no value any more, until it sets one; see shmetrics::Gauge::unset. */
SHMETRICS_C_API void shmetrics_gauge_unset(shmetrics_gauge gauge);
/* The same of a label set. What was never set stays unshown. It is not registered either, except in the mode shared,
 * where another process may have set it. */
SHMETRICS_C_API void shmetrics_gauge_remove(const shmetrics_gauge_family* family, const shmetrics_string* values,
                                            size_t count);
/* What this process itself shows of the gauge, whatever its mode makes of many: 1 and the value, or 0 when it has set
 * none, and in the mode shared, where none is its own; nor is one of a counter, whose cells pass to later workers. */
SHMETRICS_C_API int shmetrics_gauge_own(shmetrics_gauge gauge, double* value);

/* Counts `value`, in the family's unit. NaN is refused and counted; infinities count. All-or-nothing under kill -9. */
SHMETRICS_C_API void shmetrics_histogram_observe(shmetrics_histogram histogram, double value);
SHMETRICS_C_API void shmetrics_summary_observe(shmetrics_summary summary, double value);

/* Which trace an update was made in, as shmetrics::Exemplar: of families with the option `exemplars`. What is NULL or
 * "" is left out. */
typedef struct shmetrics_exemplar {
  const char* trace_id; /* as the tracing system shows it, so mostly 32 hexadecimal digits */
  const char* span_id;
  const char* const* names; /* of other labels, */
  const char* const* values;
  size_t label_count;
} shmetrics_exemplar;
/* The updates above, which keep where they were made as the newest example, of its bucket for a histogram. An exemplar
 * that cannot be kept is counted in shmetrics_exemplars_dropped_total; the update counts. NULL: none. */
SHMETRICS_C_API void shmetrics_counter_add_exemplar(shmetrics_counter counter, int64_t n,
                                                    const shmetrics_exemplar* exemplar);
SHMETRICS_C_API void shmetrics_float_counter_add_exemplar(shmetrics_float_counter counter, double n,
                                                          const shmetrics_exemplar* exemplar);
SHMETRICS_C_API void shmetrics_histogram_observe_exemplar(shmetrics_histogram histogram, double value,
                                                          const shmetrics_exemplar* exemplar);

/* ---- time and routes ---- */

/* Seconds of the monotonic clock: observe the difference of two of them. */
SHMETRICS_C_API double shmetrics_now(void);

/* "/users/123?x" -> "/users/:id": keeps label values few; what becomes `:id` is said at shmetrics::normalize_route.
 * Writes at most `capacity` bytes with the final zero, and returns the whole length without it, as snprintf does. */
SHMETRICS_C_API size_t shmetrics_normalize_route(const char* path, size_t size, char* route, size_t capacity);

#if defined(SHMETRICS_STUB)
#include <shmetrics/stub.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
