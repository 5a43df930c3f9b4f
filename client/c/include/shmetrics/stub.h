/* The bodies of all functions where SHMETRICS_STUB is defined. They do nothing and succeed: registries and families are
 * not NULL, so that a program takes the way that it takes on Linux. Included by <shmetrics/shmetrics.h>. */
#ifndef SHMETRICS_STUB_H
#define SHMETRICS_STUB_H

#if !defined(SHMETRICS_STUB)
#error "include <shmetrics/shmetrics.h>"
#endif

/* Parameters are not used here. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif

/* Handles to registries and families point to it; it is never read. */
static char shmetrics_stub_object_;

static inline void shmetrics_stub_succeed_(shmetrics_error* error) {
  if (error != NULL) {
    error->code = SHMETRICS_OK;
    error->message = "";
  }
}

SHMETRICS_C_API shmetrics_registry* shmetrics_open(const shmetrics_options* options, shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return (shmetrics_registry*)&shmetrics_stub_object_;
}

SHMETRICS_C_API shmetrics_registry* shmetrics_default_registry(shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return (shmetrics_registry*)&shmetrics_stub_object_;
}

SHMETRICS_C_API void shmetrics_release_worker(void) {}
SHMETRICS_C_API void shmetrics_resume_worker(void) {}
SHMETRICS_C_API void shmetrics_set_program(const char* name) {
  (void)name;
}

SHMETRICS_C_API const char* shmetrics_path(const shmetrics_registry* registry) {
  return "";
}

SHMETRICS_C_API int shmetrics_descriptor(const shmetrics_registry* registry) {
  return -1;
}

SHMETRICS_C_API shmetrics_counter_family* shmetrics_declare_counter(shmetrics_registry* registry, const char* name,
                                                                    const char* help, const char* const* labels,
                                                                    size_t label_count,
                                                                    const shmetrics_family_options* options,
                                                                    shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return registry == NULL ? NULL : (shmetrics_counter_family*)&shmetrics_stub_object_;
}

SHMETRICS_C_API shmetrics_float_counter_family* shmetrics_declare_float_counter(
    shmetrics_registry* registry, const char* name, const char* help, const char* const* labels, size_t label_count,
    const shmetrics_family_options* options, shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return registry == NULL ? NULL : (shmetrics_float_counter_family*)&shmetrics_stub_object_;
}

SHMETRICS_C_API shmetrics_gauge_family* shmetrics_declare_gauge(shmetrics_registry* registry, const char* name,
                                                                const char* help, const char* const* labels,
                                                                size_t label_count, enum shmetrics_gauge_mode mode,
                                                                const shmetrics_family_options* options,
                                                                shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return registry == NULL ? NULL : (shmetrics_gauge_family*)&shmetrics_stub_object_;
}

SHMETRICS_C_API shmetrics_histogram_family* shmetrics_declare_histogram(
    shmetrics_registry* registry, const char* name, const char* help, const char* const* labels, size_t label_count,
    const double* bounds, size_t bound_count, const shmetrics_family_options* options, shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return registry == NULL ? NULL : (shmetrics_histogram_family*)&shmetrics_stub_object_;
}

SHMETRICS_C_API shmetrics_histogram_family* shmetrics_declare_native_histogram(
    shmetrics_registry* registry, const char* name, const char* help, const char* const* labels, size_t label_count,
    shmetrics_native_buckets buckets, const shmetrics_family_options* options, shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return registry == NULL ? NULL : (shmetrics_histogram_family*)&shmetrics_stub_object_;
}

SHMETRICS_C_API shmetrics_summary_family* shmetrics_declare_summary(shmetrics_registry* registry, const char* name,
                                                                    const char* help, const char* const* labels,
                                                                    size_t label_count,
                                                                    const shmetrics_family_options* options,
                                                                    shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return registry == NULL ? NULL : (shmetrics_summary_family*)&shmetrics_stub_object_;
}

SHMETRICS_C_API int shmetrics_info(shmetrics_registry* registry, const char* name, const char* help,
                                   const char* const* labels, const char* const* values, size_t label_count,
                                   shmetrics_error* error) {
  shmetrics_stub_succeed_(error);
  return SHMETRICS_OK;
}

SHMETRICS_C_API size_t shmetrics_linear_buckets(double start, double width, size_t count, double* bounds) {
  if (count > SHMETRICS_MAX_BOUNDS) return 0;
  for (size_t i = 0; i < count; ++i) bounds[i] = start + (double)i * width;
  return count;
}

SHMETRICS_C_API size_t shmetrics_exponential_buckets(double start, double factor, size_t count, double* bounds) {
  if (count > SHMETRICS_MAX_BOUNDS) return 0;
  for (size_t i = 0; i < count; ++i, start *= factor) bounds[i] = start;
  return count;
}

SHMETRICS_C_API shmetrics_series shmetrics_find(const void* family, const char* const* values, size_t count) {
  const shmetrics_series inert = {0, 0, NULL};
  return inert;
}

SHMETRICS_C_API shmetrics_series shmetrics_find_strings(const void* family, const shmetrics_string* values,
                                                        size_t count) {
  const shmetrics_series inert = {0, 0, NULL};
  return inert;
}

SHMETRICS_C_API int shmetrics_is_overflow(shmetrics_series series) {
  return 0;
}

SHMETRICS_C_API void shmetrics_counter_add_slow(shmetrics_series series, int64_t n) {}

SHMETRICS_C_API void shmetrics_float_counter_add_slow(shmetrics_series series, double n) {}

SHMETRICS_C_API void shmetrics_gauge_set(shmetrics_gauge gauge, double value) {}

SHMETRICS_C_API int shmetrics_gauge_add(shmetrics_gauge gauge, double n) {
  return 1;
}

SHMETRICS_C_API void shmetrics_gauge_set_to_current_time(shmetrics_gauge gauge) {}

SHMETRICS_C_API void shmetrics_gauge_unset(shmetrics_gauge gauge) {}

SHMETRICS_C_API void shmetrics_gauge_remove(const shmetrics_gauge_family* family, const shmetrics_string* values,
                                            size_t count) {}

SHMETRICS_C_API int shmetrics_gauge_own(shmetrics_gauge gauge, double* value) {
  return 0;
}

SHMETRICS_C_API void shmetrics_histogram_observe(shmetrics_histogram histogram, double value) {}

SHMETRICS_C_API void shmetrics_summary_observe(shmetrics_summary summary, double value) {}

SHMETRICS_C_API void shmetrics_counter_add_exemplar(shmetrics_counter counter, int64_t n,
                                                    const shmetrics_exemplar* exemplar) {}

SHMETRICS_C_API void shmetrics_float_counter_add_exemplar(shmetrics_float_counter counter, double n,
                                                          const shmetrics_exemplar* exemplar) {}

SHMETRICS_C_API void shmetrics_histogram_observe_exemplar(shmetrics_histogram histogram, double value,
                                                          const shmetrics_exemplar* exemplar) {}

SHMETRICS_C_API double shmetrics_now(void) {
  return (double)time(NULL); /* in whole seconds: what every system has */
}

SHMETRICS_C_API size_t shmetrics_normalize_route(const char* path, size_t size, char* route, size_t capacity) {
  if (path == NULL) size = 0;
  if (capacity == 0) return size;
  const size_t written = size < capacity ? size : capacity - 1;
  if (written > 0) memcpy(route, path, written);
  route[written] = 0;
  return size;
}

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif
