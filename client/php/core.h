/* What the parts of the extension share. */
#ifndef SHMETRICS_PHP_CORE_H
#define SHMETRICS_PHP_CORE_H

#include <php.h>
#include <shmetrics/shmetrics.h>

/* One schema of a metric, kept for the length of the process. Code is swapped under a process that lives, so a name may
 * have several. */
typedef struct Family {
  const void* family;
  char kind; /* c, g, h or s: the first letter of its type; n: a native histogram, whose bounds are low, high, factor */
  int mode;  /* of a gauge */
  uint32_t label_count, bound_count;
  zend_string** labels;
  double* bounds;
  struct Family* older;
} Family;

/* What a caller says of a metric, checked as far as updates need it. */
typedef struct {
  zend_string *name, *help;
  char kind;
  int mode;
  HashTable* labels;
  HashTable* bounds; /* NULL: the default ones */
} Schema;

ZEND_BEGIN_MODULE_GLOBALS(shmetrics)
char *segment, *group, *mode;
zend_long series_limit;
shmetrics_registry* registry;
double retry_at; /* not opened before */
HashTable families;
ZEND_END_MODULE_GLOBALS(shmetrics)
ZEND_EXTERN_MODULE_GLOBALS(shmetrics)
#define SHMETRICS_G(name) ZEND_MODULE_GLOBALS_ACCESSOR(shmetrics, name)
#ifdef ZTS /* each thread of the server has its own: it opens the same segment, and gets a slot of its own */
ZEND_TSRMLS_CACHE_EXTERN()
#endif

/* segment.c: opened at the first call, in the worker. NULL: said in the log, and tried again after a second. */
shmetrics_registry* opened_segment(void);
/* For each request of a process that has opened it: an end by SIGTERM is in order, unless the program handles it. */
void release_at_sigterm(void);

/* declaration.c */
extern const char* const kModes[]; /* in the order of enum shmetrics_gauge_mode; ends in NULL */
/* NULL: there is no segment, or something else than strings without NUL and numbers was given. */
const Family* family_of(const Schema* schema);
/* Of a number or its text; else an exception, so that no handler of the program runs in between. */
double number_of(const zval* value);
void free_family(zval* entry);

/* update.c */
PHP_FUNCTION(shmetrics_update);
PHP_FUNCTION(shmetrics_counter);
PHP_FUNCTION(shmetrics_gauge);
PHP_FUNCTION(shmetrics_histogram);
PHP_FUNCTION(shmetrics_native_histogram);
PHP_FUNCTION(shmetrics_summary);
PHP_METHOD(Family, inc);
PHP_METHOD(Family, add);
PHP_METHOD(Family, set);
PHP_METHOD(Family, observe);
void register_family(const zend_function_entry* methods);

/* reading.c */
PHP_FUNCTION(shmetrics_render);
PHP_FUNCTION(shmetrics_families);

#endif
