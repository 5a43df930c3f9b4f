/* Updates: by what promphp gives to its storage, and by Shmetrics\Family. */
#include "client/php/core.h"

#include <zend_exceptions.h>

#define MOST_LABELS 16

/* ---- updates ---- */

/* Finds the series. Returns 0 if another number of values was given than the family has labels, or one of them has no
 * text. An object's text is made by the program, which may change whatever was given by reference: all is held. */
static int find(const Family* family, HashTable* given, shmetrics_series* series) {
  shmetrics_string values[MOST_LABELS];
  zend_string* texts[MOST_LABELS];
  const uint32_t count = zend_hash_num_elements(given);
  if (count != family->label_count) {
    zend_value_error("the metric takes %u label values and was given %u", family->label_count, count);
    return 0;
  }
  if (count > MOST_LABELS) { /* refused when it was declared: counted as dropped */
    *series = shmetrics_find_strings(family->family, NULL, 0);
    return 1;
  }
  GC_TRY_ADDREF(given);
  uint32_t i = 0;
  zval* value;
  ZEND_HASH_FOREACH_VAL(given, value) {
    texts[i] = zval_get_string(value);
    values[i].data = ZSTR_VAL(texts[i]);
    values[i].size = ZSTR_LEN(texts[i]);
    ++i;
  }
  ZEND_HASH_FOREACH_END();
  if (EG(exception) == NULL) *series = shmetrics_find_strings(family->family, count == 0 ? NULL : values, count);
  for (uint32_t k = 0; k < i; ++k) zend_string_release(texts[k]);
  zend_array_release(given);
  return EG(exception) == NULL;
}

typedef enum { ADD, SET, OBSERVE } Change;

static void change(char kind, shmetrics_series series, Change how, double value) {
  if (kind == 'c' && how == ADD) {
    shmetrics_float_counter_add((shmetrics_float_counter){series}, value);
  } else if (kind == 'g' && how == ADD) {
    shmetrics_gauge_add((shmetrics_gauge){series}, value);
  } else if (kind == 'g' && how == SET) {
    shmetrics_gauge_set((shmetrics_gauge){series}, value);
  } else if ((kind == 'h' || kind == 'n') && how == OBSERVE) {
    shmetrics_histogram_observe((shmetrics_histogram){series}, value);
  } else if (kind == 's' && how == OBSERVE) {
    shmetrics_summary_observe((shmetrics_summary){series}, value);
  } else {
    zend_throw_error(NULL, "no such update of this kind of metric");
  }
}

static int mode_of(const char* word) {
  for (int mode = 0; kModes[mode] != NULL; ++mode) {
    if (strcmp(kModes[mode], word) == 0) return mode;
  }
  zend_value_error("no such mode of a gauge: %s", word);
  return -1;
}

/* ---- update(array $data, string $mode = 'shared'): what promphp gives to its storage ---- */

static zval* entry(HashTable* data, const char* name, size_t size, int type) {
  zval* found = zend_hash_str_find(data, name, size);
  if (found != NULL) ZVAL_DEREF(found);
  if (found != NULL && (type == IS_UNDEF || Z_TYPE_P(found) == type)) return found;
  zend_argument_value_error(1, "must have a fitting \"%s\"", name);
  return NULL;
}
#define ENTRY(name, type) entry(data, name, sizeof(name) - 1, type)

PHP_FUNCTION(shmetrics_update) {
  HashTable* data;
  char* word = NULL;
  size_t word_size;
  ZEND_PARSE_PARAMETERS_START(1, 2)
  Z_PARAM_ARRAY_HT(data)
  Z_PARAM_OPTIONAL
  Z_PARAM_STRING(word, word_size)
  ZEND_PARSE_PARAMETERS_END();
  (void)word_size;
  zval *name, *help, *type, *names, *values, *value;
  if ((name = ENTRY("name", IS_STRING)) == NULL || (help = ENTRY("help", IS_STRING)) == NULL ||
      (type = ENTRY("type", IS_STRING)) == NULL || (names = ENTRY("labelNames", IS_ARRAY)) == NULL ||
      (values = ENTRY("labelValues", IS_ARRAY)) == NULL || (value = ENTRY("value", IS_UNDEF)) == NULL) {
    RETURN_THROWS();
  }
  const double number = number_of(value);
  if (EG(exception) != NULL) RETURN_THROWS();
  Schema schema = {Z_STR_P(name), Z_STR_P(help), Z_STRVAL_P(type)[0], 0, Z_ARRVAL_P(names), NULL};
  Change how = ADD;
  if (memchr("cghs", schema.kind, 4) == NULL) {
    zend_argument_value_error(1, "must have a fitting \"type\"");
    RETURN_THROWS();
  }
  if (schema.kind == 'h') {
    zval* bounds = ENTRY("buckets", IS_ARRAY);
    if (bounds == NULL) RETURN_THROWS();
    schema.bounds = Z_ARRVAL_P(bounds);
  }
  if (schema.kind == 'h' || schema.kind == 's') {
    how = OBSERVE;
  } else {
    zval* command = ENTRY("command", IS_LONG);
    if (command == NULL) RETURN_THROWS();
    if (Z_LVAL_P(command) == 3) how = SET; /* Adapter::COMMAND_SET */
  }
  if (schema.kind == 'g') {
    schema.mode = word == NULL ? SHMETRICS_SHARED : mode_of(word);
    if (schema.mode < 0) RETURN_THROWS();
  }
  const Family* family = family_of(&schema);
  shmetrics_series series;
  if (family != NULL && find(family, Z_ARRVAL_P(values), &series)) {
    change(family->kind, series, how, number);
  }
}

/* ---- Shmetrics\Family: for programs without promphp ---- */

typedef struct {
  const Family* family;
  zend_object object;
} FamilyObject;

static zend_class_entry* family_class;
static zend_object_handlers family_handlers;

static FamilyObject* object_of(zval* self) {
  return (FamilyObject*)((char*)Z_OBJ_P(self) - XtOffsetOf(FamilyObject, object));
}

static zend_object* create_family(zend_class_entry* class) {
  FamilyObject* made = zend_object_alloc(sizeof *made, class);
  zend_object_std_init(&made->object, class);
  object_properties_init(&made->object, class);
  made->object.handlers = &family_handlers;
  return &made->object;
}

static void return_family(zval* return_value, const Schema* schema) {
  const Family* family = family_of(schema);
  if (EG(exception) != NULL) return;
  object_init_ex(return_value, family_class);
  object_of(return_value)->family = family;
}

static HashTable* or_empty(HashTable* array) {
  return array == NULL ? (HashTable*)&zend_empty_array : array;
}

static void declare_plain(INTERNAL_FUNCTION_PARAMETERS, char kind) {
  Schema schema = {.kind = kind};
  ZEND_PARSE_PARAMETERS_START(2, 3)
  Z_PARAM_STR(schema.name)
  Z_PARAM_STR(schema.help)
  Z_PARAM_OPTIONAL
  Z_PARAM_ARRAY_HT(schema.labels)
  ZEND_PARSE_PARAMETERS_END();
  schema.labels = or_empty(schema.labels);
  return_family(return_value, &schema);
}

PHP_FUNCTION(shmetrics_counter) {
  declare_plain(INTERNAL_FUNCTION_PARAM_PASSTHRU, 'c');
}

PHP_FUNCTION(shmetrics_summary) {
  declare_plain(INTERNAL_FUNCTION_PARAM_PASSTHRU, 's');
}

PHP_FUNCTION(shmetrics_gauge) {
  Schema schema = {.kind = 'g'};
  char* word = "shared";
  size_t word_size;
  ZEND_PARSE_PARAMETERS_START(2, 4)
  Z_PARAM_STR(schema.name)
  Z_PARAM_STR(schema.help)
  Z_PARAM_OPTIONAL
  Z_PARAM_ARRAY_HT(schema.labels)
  Z_PARAM_STRING(word, word_size)
  ZEND_PARSE_PARAMETERS_END();
  (void)word_size;
  schema.labels = or_empty(schema.labels);
  schema.mode = mode_of(word);
  if (schema.mode >= 0) return_family(return_value, &schema);
}

PHP_FUNCTION(shmetrics_histogram) {
  Schema schema = {.kind = 'h'};
  ZEND_PARSE_PARAMETERS_START(2, 4)
  Z_PARAM_STR(schema.name)
  Z_PARAM_STR(schema.help)
  Z_PARAM_OPTIONAL
  Z_PARAM_ARRAY_HT(schema.labels)
  Z_PARAM_ARRAY_HT_OR_NULL(schema.bounds)
  ZEND_PARSE_PARAMETERS_END();
  schema.labels = or_empty(schema.labels);
  return_family(return_value, &schema);
}

PHP_FUNCTION(shmetrics_native_histogram) {
  Schema schema = {.kind = 'n'};
  double low, high, factor = 1.1;
  zval window;
  ZEND_PARSE_PARAMETERS_START(5, 6)
  Z_PARAM_STR(schema.name)
  Z_PARAM_STR(schema.help)
  Z_PARAM_ARRAY_HT(schema.labels)
  Z_PARAM_DOUBLE(low)
  Z_PARAM_DOUBLE(high)
  Z_PARAM_OPTIONAL
  Z_PARAM_DOUBLE(factor)
  ZEND_PARSE_PARAMETERS_END();
  array_init_size(&window, 3);
  add_next_index_double(&window, low);
  add_next_index_double(&window, high);
  add_next_index_double(&window, factor);
  schema.bounds = Z_ARRVAL(window);
  return_family(return_value, &schema);
  zval_ptr_dtor(&window);
}

static void update(INTERNAL_FUNCTION_PARAMETERS, Change how, int has_value) {
  double value = 1;
  HashTable* labels = NULL;
  ZEND_PARSE_PARAMETERS_START(has_value, has_value + 1)
  if (has_value) {
    Z_PARAM_DOUBLE(value)
  }
  Z_PARAM_OPTIONAL
  Z_PARAM_ARRAY_HT(labels)
  ZEND_PARSE_PARAMETERS_END();
  const Family* family = object_of(ZEND_THIS)->family;
  shmetrics_series series;
  if (family != NULL && find(family, or_empty(labels), &series)) change(family->kind, series, how, value);
}

PHP_METHOD(Family, inc) {
  update(INTERNAL_FUNCTION_PARAM_PASSTHRU, ADD, 0);
}

PHP_METHOD(Family, add) {
  update(INTERNAL_FUNCTION_PARAM_PASSTHRU, ADD, 1);
}

PHP_METHOD(Family, set) {
  update(INTERNAL_FUNCTION_PARAM_PASSTHRU, SET, 1);
}

PHP_METHOD(Family, observe) {
  update(INTERNAL_FUNCTION_PARAM_PASSTHRU, OBSERVE, 1);
}

void register_family(const zend_function_entry* methods) {
  zend_class_entry made;
  INIT_NS_CLASS_ENTRY(made, "Shmetrics", "Family", methods);
  family_class = zend_register_internal_class(&made);
  family_class->ce_flags |= ZEND_ACC_FINAL | ZEND_ACC_NO_DYNAMIC_PROPERTIES | ZEND_ACC_NOT_SERIALIZABLE;
  family_class->create_object = create_family;
  memcpy(&family_handlers, &std_object_handlers, sizeof family_handlers);
  family_handlers.offset = XtOffsetOf(FamilyObject, object);
  family_handlers.clone_obj = NULL;
}
