/* The families that this process knows, by name and schema. A request of PHP starts with nothing, so each update brings
 * the whole schema along, and finds its family by it. */
#include "client/php/core.h"

const char* const kModes[] = {"livesum", "livemin", "livemax",    "liveall", "livemostrecent", "sum",
                              "min",     "max",     "mostrecent", "all",     "shared",         NULL};

double number_of(const zval* value) {
  ZVAL_DEREF(value);
  if (Z_TYPE_P(value) == IS_DOUBLE) return Z_DVAL_P(value);
  if (Z_TYPE_P(value) == IS_LONG) return (double)Z_LVAL_P(value);
  if (Z_TYPE_P(value) == IS_STRING) {
    zend_long whole;
    double number;
    const zend_uchar type = is_numeric_string(Z_STRVAL_P(value), Z_STRLEN_P(value), &whole, &number, false);
    if (type != 0) return type == IS_LONG ? (double)whole : number;
  }
  if (EG(exception) == NULL) zend_type_error("values and buckets have to be numbers");
  return 0;
}

static int is_same(const Family* known, const Schema* wanted) {
  if (known->kind != wanted->kind || known->mode != wanted->mode) return 0;
  if (known->label_count != zend_hash_num_elements(wanted->labels)) return 0;
  const uint32_t bounds = wanted->bounds == NULL ? 0 : zend_hash_num_elements(wanted->bounds);
  if (known->bound_count != bounds) return 0;
  zval* value;
  uint32_t i = 0;
  ZEND_HASH_FOREACH_VAL(wanted->labels, value) {
    ZVAL_DEREF(value);
    if (Z_TYPE_P(value) != IS_STRING || !zend_string_equals(Z_STR_P(value), known->labels[i++])) return 0;
  }
  ZEND_HASH_FOREACH_END();
  if (bounds == 0) return 1;
  i = 0;
  ZEND_HASH_FOREACH_VAL(wanted->bounds, value) {
    const double bound = number_of(value);
    if (memcmp(&bound, &known->bounds[i++], sizeof bound) != 0) return 0; /* by its bits a NaN is itself */
  }
  ZEND_HASH_FOREACH_END();
  return 1;
}

/* Else the library would know the metric by what stands before the NUL. */
static int is_whole(const zend_string* text) {
  if (strlen(ZSTR_VAL(text)) == ZSTR_LEN(text)) return 1;
  zend_value_error("a NUL follows '%s': names and help must not have one", ZSTR_VAL(text));
  return 0;
}

/* NULL: a label name is no string, or a bound no number, or a text has a NUL. */
static Family* copy_schema(const Schema* wanted) {
  zval* value;
  if (!is_whole(wanted->name) || !is_whole(wanted->help)) return NULL;
  ZEND_HASH_FOREACH_VAL(wanted->labels, value) {
    ZVAL_DEREF(value);
    if (Z_TYPE_P(value) != IS_STRING) {
      zend_type_error("a label name has to be a string");
      return NULL;
    }
    if (!is_whole(Z_STR_P(value))) return NULL;
  }
  ZEND_HASH_FOREACH_END();
  if (wanted->bounds != NULL) {
    ZEND_HASH_FOREACH_VAL(wanted->bounds, value) {
      number_of(value);
    }
    ZEND_HASH_FOREACH_END();
    if (EG(exception) != NULL) return NULL;
  }
  Family* family = pecalloc(1, sizeof *family, 1);
  family->kind = wanted->kind;
  family->mode = wanted->mode;
  family->labels = safe_pemalloc(zend_hash_num_elements(wanted->labels), sizeof *family->labels, 1, 1);
  ZEND_HASH_FOREACH_VAL(wanted->labels, value) {
    ZVAL_DEREF(value);
    family->labels[family->label_count++] = zend_string_init(Z_STRVAL_P(value), Z_STRLEN_P(value), 1);
  }
  ZEND_HASH_FOREACH_END();
  if (wanted->bounds == NULL) return family;
  family->bounds = safe_pemalloc(zend_hash_num_elements(wanted->bounds), sizeof *family->bounds, 1, 1);
  ZEND_HASH_FOREACH_VAL(wanted->bounds, value) {
    family->bounds[family->bound_count++] = number_of(value);
  }
  ZEND_HASH_FOREACH_END();
  return family;
}

/* What the segment refuses is said in the log by the library, and its updates are counted as dropped. */
static void declare(shmetrics_registry* registry, Family* made, const char* name, const char* help) {
  shmetrics_family_options options = SHMETRICS_FAMILY_OPTIONS_INIT;
  options.naming = SHMETRICS_LENIENT;
  const size_t count = made->label_count;
  const char** labels = safe_emalloc(count, sizeof *labels, 1);
  for (size_t i = 0; i < count; ++i) labels[i] = ZSTR_VAL(made->labels[i]);
  if (made->kind == 'c') {
    made->family = shmetrics_declare_float_counter(registry, name, help, labels, count, &options, NULL);
  } else if (made->kind == 'g') {
    const enum shmetrics_gauge_mode mode = (enum shmetrics_gauge_mode)made->mode;
    made->family = shmetrics_declare_gauge(registry, name, help, labels, count, mode, &options, NULL);
  } else if (made->kind == 'h') {
    made->family = shmetrics_declare_histogram(registry, name, help, labels, count, made->bounds, made->bound_count,
                                               &options, NULL);
  } else if (made->kind == 'n') {
    const shmetrics_native_buckets window = {made->bounds[0], made->bounds[1], made->bounds[2]};
    made->family = shmetrics_declare_native_histogram(registry, name, help, labels, count, window, &options, NULL);
  } else {
    made->family = shmetrics_declare_summary(registry, name, help, labels, count, &options, NULL);
  }
  efree(labels);
}

const Family* family_of(const Schema* schema) {
  Family* newest = zend_hash_find_ptr(&SHMETRICS_G(families), schema->name);
  for (const Family* known = newest; known != NULL; known = known->older) {
    if (is_same(known, schema)) return known;
  }
  if (EG(exception) != NULL) return NULL;
  shmetrics_registry* registry = opened_segment();
  if (registry == NULL) return NULL;
  Family* made = copy_schema(schema);
  if (made == NULL) return NULL;
  declare(registry, made, ZSTR_VAL(schema->name), ZSTR_VAL(schema->help));
  made->older = newest;
  zval* place = zend_hash_find(&SHMETRICS_G(families), schema->name);
  if (place != NULL) {
    Z_PTR_P(place) = made; /* an update of the table would free what is older */
  } else {
    zend_hash_str_add_new_ptr(&SHMETRICS_G(families), ZSTR_VAL(schema->name), ZSTR_LEN(schema->name), made);
  }
  return made;
}

void free_family(zval* entry) {
  for (Family *family = Z_PTR_P(entry), *older; family != NULL; family = older) {
    older = family->older;
    for (uint32_t i = 0; i < family->label_count; ++i) zend_string_release(family->labels[i]);
    pefree(family->labels, 1);
    if (family->bounds != NULL) pefree(family->bounds, 1);
    pefree(family, 1);
  }
}
