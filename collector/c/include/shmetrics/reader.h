/* Reading a segment back, in C: any worker can answer with the truth of all. C99, 64-bit Linux. Link
 * libshmetrics_reader; it needs nothing of the client, and no C++ runtime.
 *
 * A reading is what a segment held at one moment, merged over all workers. It is made by one call, never changes, and
 * belongs to whoever made it. Any number of threads may make readings, and use the same one, at the same time; it is
 * freed once. Nothing is kept between readings. A child that is forked while another thread reads keeps that reading's
 * memory and descriptor, and must not use or free it: read in a process that does not fork, or not at that moment.
 *
 * Made for use within a worker: no signal handler is installed, no thread started, no lock taken that an update takes;
 * memory that no worker has allocated is not touched. Only a file that somebody cuts short while it is read ends the
 * process by SIGBUS, as it would end an update. A reading takes some milliseconds for 10,000 series, at most 5 s, and
 * holds a copy of all values. Bytes of the segment are trusted no more than by the exporter. Nothing here throws,
 * aborts or sets errno. */
#ifndef SHMETRICS_READER_H
#define SHMETRICS_READER_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && defined(__linux__)
#define SHMETRICS_READER_API __attribute__((visibility("default")))
#else
#error "shmetrics needs GCC or Clang on 64-bit Linux"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a reading ---- */

/* Wherever a function takes a pointer to one, it may be NULL; else it is always written. */
typedef struct shmetrics_reader_error {
  int code;          /* 0, or one of enum shmetrics_code in <shmetrics/shmetrics.h> */
  char message[508]; /* one line, "" when there is no error */
} shmetrics_reader_error;

typedef struct shmetrics_reading shmetrics_reading;

/* Reads the segment at `path`; NULL: $SHMETRICS_SEGMENT, else the default path. It needs read permission. Returns NULL
 * on error. */
SHMETRICS_READER_API shmetrics_reading* shmetrics_read(const char* path, shmetrics_reader_error* error);
/* Reads the segment that `descriptor` is open for reading at, and leaves the descriptor as it is. A worker that has
 * dropped its privileges reads in this way: shmetrics_descriptor() of the client gives it one. */
SHMETRICS_READER_API shmetrics_reading* shmetrics_read_descriptor(int descriptor, shmetrics_reader_error* error);
/* Of NULL nothing. */
SHMETRICS_READER_API void shmetrics_reading_free(shmetrics_reading* reading);

/* ---- as text ---- */

enum shmetrics_format {
  SHMETRICS_TEXT = 0,        /* text/plain; version=0.0.4 */
  SHMETRICS_OPENMETRICS = 1, /* application/openmetrics-text; version=1.0.0 */
  SHMETRICS_JSON = 2,        /* as `shmetrics dump --format json` */
  /* application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited */
  SHMETRICS_PROTOBUF = 3
};

/* Whether a family, or one of the names of its samples, is wanted: not 0. */
typedef int (*shmetrics_wanted)(void* context, const char* name);
/* Takes the next bytes. Not 0: no more. */
typedef int (*shmetrics_sink)(void* context, const char* bytes, size_t size);

/* Gives the families that are wanted (NULL: all), by name, to `sink`, one call a family; JSON in one call. Returns 0,
 * what `sink` returned, or -1 and the error. */
SHMETRICS_READER_API int shmetrics_reading_render(const shmetrics_reading* reading, enum shmetrics_format format,
                                                  shmetrics_wanted wanted, void* wanted_context, shmetrics_sink sink,
                                                  void* sink_context, shmetrics_reader_error* error);

/* ---- as values ---- */

/* One line of the text format. All pointers are valid during the call only. */
typedef struct shmetrics_sample {
  const char *family, *type, *help, *unit; /* type: counter gauge histogram summary info; unit: "" without one */
  const char* mode;                        /* of a gauge, else "" */
  const char* name;                        /* of the sample: with _bucket, _sum, _count */
  size_t label_count;
  const char *const *label_names, *const *label_values; /* `le` and `worker` last */
  double value;
  uint64_t whole; /* `value` in all its digits, where is_whole is 1 */
  int is_whole;
} shmetrics_sample;

/* Not 0: no more. */
typedef int (*shmetrics_visit)(void* context, const shmetrics_sample* sample);
/* Gives all samples to `visit`, in the order of the text format. Returns as shmetrics_reading_render() does. */
SHMETRICS_READER_API int shmetrics_reading_walk(const shmetrics_reading* reading, shmetrics_visit visit, void* context,
                                                shmetrics_reader_error* error);
/* The value of the sample with this name and just these labels, in any order. Returns 1, or 0 when there is none. */
SHMETRICS_READER_API int shmetrics_reading_value(const shmetrics_reading* reading, const char* name,
                                                 const char* const* label_names, const char* const* label_values,
                                                 size_t label_count, double* value);

/* ---- workers ---- */

typedef struct shmetrics_worker {
  uint32_t worker;   /* number of the entry; label `worker` of a gauge */
  const char* state; /* live dead released */
  uint64_t pid;      /* as the worker saw it: another container may have the same */
  const char* program;
  uint64_t started_unix_ns, adopted, deaths, slots;
} shmetrics_worker;

/* Gives all workers, by number, to `visit`. Returns 0, or what `visit` returned. */
SHMETRICS_READER_API int shmetrics_reading_workers(const shmetrics_reading* reading,
                                                   int (*visit)(void* context, const shmetrics_worker* worker),
                                                   void* context);

#ifdef __cplusplus
}
#endif

#endif
