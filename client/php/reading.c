/* Reading the segment back: all workers' values, merged. */
#include "client/php/core.h"

#include <shmetrics/reader.h>
#include <zend_exceptions.h>
#include <zend_smart_str.h>

/* NULL: an exception says why. */
static shmetrics_reading* take_reading(void) {
  shmetrics_registry* registry = opened_segment();
  shmetrics_reader_error error;
  if (registry == NULL) {
    zend_throw_exception(NULL, "shmetrics: there is no segment; the log says why", 0);
    return NULL;
  }
  shmetrics_reading* reading = shmetrics_read_descriptor(shmetrics_descriptor(registry), &error);
  if (reading == NULL) zend_throw_exception(NULL, error.message, 0);
  return reading;
}

/* Memory of malloc: for want of the request's own it would end here, as below. */
static int append(void* context, const char* bytes, size_t size) {
  smart_str_appendl_ex(context, bytes, size, 1);
  return 0;
}

/* render(): string, the text format 0.0.4 of the whole segment. */
PHP_FUNCTION(shmetrics_render) {
  ZEND_PARSE_PARAMETERS_NONE();
  smart_str text = {0};
  shmetrics_reader_error error;
  shmetrics_reading* reading = take_reading();
  if (reading == NULL) RETURN_THROWS();
  const int failed = shmetrics_reading_render(reading, SHMETRICS_TEXT, NULL, NULL, append, &text, &error);
  shmetrics_reading_free(reading);
  if (failed != 0) {
    zend_throw_exception(NULL, error.message, 0);
  } else {
    RETVAL_STRINGL(text.s == NULL ? "" : ZSTR_VAL(text.s), text.s == NULL ? 0 : ZSTR_LEN(text.s));
  }
  smart_str_free_ex(&text, 1);
}

static void add_number(zval* to, const shmetrics_sample* sample) {
  if (sample->is_whole && sample->whole <= (uint64_t)ZEND_LONG_MAX) {
    add_assoc_long(to, "value", (zend_long)sample->whole);
  } else {
    add_assoc_double(to, "value", sample->value);
  }
}

typedef struct {
  HashTable* families;
  int has_ended; /* the request, for want of memory */
} Walk;

static void take(HashTable* families, const shmetrics_sample* sample) {
  zval *family = zend_hash_str_find(families, sample->family, strlen(sample->family)), made, labels;
  if (family == NULL) {
    array_init(&made);
    add_assoc_string(&made, "name", sample->family);
    add_assoc_string(&made, "type", sample->type);
    add_assoc_string(&made, "help", sample->help);
    zval samples;
    array_init(&samples);
    add_assoc_zval(&made, "samples", &samples);
    family = zend_hash_str_update(families, sample->family, strlen(sample->family), &made);
  }
  array_init(&made);
  add_assoc_string(&made, "name", sample->name);
  array_init(&labels);
  for (size_t i = 0; i < sample->label_count; ++i) {
    add_assoc_string(&labels, sample->label_names[i], sample->label_values[i]);
  }
  add_assoc_zval(&made, "labels", &labels);
  add_number(&made, sample);
  add_next_index_zval(zend_hash_str_find(Z_ARRVAL_P(family), "samples", sizeof "samples" - 1), &made);
}

/* The end of a request must not jump through the reader's frames. */
static int visit(void* context, const shmetrics_sample* sample) {
  Walk* walk = context;
  zend_try {
    take(walk->families, sample);
  }
  zend_catch {
    walk->has_ended = 1;
  }
  zend_end_try();
  return walk->has_ended;
}

/* families(): array, by name; each with name, type, help and samples, whose labels have `le` and `worker` last. */
PHP_FUNCTION(shmetrics_families) {
  ZEND_PARSE_PARAMETERS_NONE();
  shmetrics_reader_error error;
  shmetrics_reading* reading = take_reading();
  if (reading == NULL) RETURN_THROWS();
  array_init(return_value);
  Walk walk = {.families = Z_ARRVAL_P(return_value)};
  const int failed = shmetrics_reading_walk(reading, visit, &walk, &error);
  shmetrics_reading_free(reading);
  if (walk.has_ended) zend_bailout();
  if (failed != 0) zend_throw_exception(NULL, error.message, 0);
}
