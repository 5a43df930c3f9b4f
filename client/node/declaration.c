/* Opening, declaring and finding: once a process, family and series. */
#include "client/node/addon.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The longest label value and a bit, so that a longer one is still too long when N-API has cut it at a character. */
#define VALUE_BYTES (1024 + 8)

static napi_value string_of(napi_env env, const char* text) {
  napi_value made = NULL;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &made);
  return made;
}

/* A copy of a JavaScript string; NULL if it is none. */
static char* copy_text(napi_env env, napi_value value) {
  size_t size = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok) return NULL;
  char* text = malloc(size + 1);
  if (text != NULL) napi_get_value_string_utf8(env, value, text, size + 1, &size);
  return text;
}

/* open([path]) -> index of the segment; throws. The library's words on stderr are not wanted: JavaScript warns. */
napi_value addon_open(napi_env env, napi_callback_info info) {
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error error = {0, ""};
  Environment* environment = environment_of(env);
  napi_value path = NULL, answer = NULL;
  size_t count = 1;
  uint32_t index = 0;
  napi_get_cb_info(env, info, &count, &path, NULL, NULL);
  char* text = count > 0 ? copy_text(env, path) : NULL;
  options.quiet = 1;
  options.path = text;
  shmetrics_registry* registry = shmetrics_open(&options, &error);
  free(text);
  if (registry == NULL) return throw_error(env, error.message);
  while (index < environment->registry_count && environment->registries[index] != registry) ++index;
  if (index == MOST_SEGMENTS) return throw_error(env, "a process opens at most 8 segments");
  environment->registries[index] = registry;
  if (index == environment->registry_count) ++environment->registry_count;
  napi_create_uint32(env, index, &answer);
  return answer;
}

/* setProgram(name): what the worker table calls this process. The first counts: the library keeps a copy of each, and
 * each worker_thread says it anew. */
napi_value addon_set_program(napi_env env, napi_callback_info info) {
  static atomic_flag is_named = ATOMIC_FLAG_INIT;
  napi_value name = NULL;
  size_t count = 1;
  if (atomic_flag_test_and_set(&is_named)) return NULL;
  napi_get_cb_info(env, info, &count, &name, NULL, NULL);
  char* text = copy_text(env, name);
  shmetrics_set_program(text);
  free(text);
  return NULL;
}

typedef struct {
  char *kind, *name, *help, *labels[MOST_LABELS];
  uint32_t label_count, bound_count, mode, segment;
  double bounds[SHMETRICS_MAX_BOUNDS + 1]; /* with one more than there may be, so that too many are refused */
  shmetrics_family_options options;
} Declaration;

static void free_declaration(Declaration* wanted) {
  free(wanted->kind);
  free(wanted->name);
  free(wanted->help);
  for (uint32_t i = 0; i < wanted->label_count; ++i) free(wanted->labels[i]);
}

/* The arguments (kind, name, help, labels, bounds, mode, series limit, segment). */
static int read_declaration(napi_env env, napi_callback_info info, Declaration* wanted) {
  napi_value arguments[8], element;
  size_t count = 8;
  uint32_t labels = 0;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  wanted->kind = copy_text(env, arguments[0]);
  wanted->name = copy_text(env, arguments[1]);
  wanted->help = copy_text(env, arguments[2]);
  if (wanted->kind == NULL || wanted->name == NULL || wanted->help == NULL) return 0;
  napi_get_array_length(env, arguments[3], &labels);
  if (labels > MOST_LABELS) return 0;
  for (; wanted->label_count < labels; ++wanted->label_count) {
    if (napi_get_element(env, arguments[3], wanted->label_count, &element) != napi_ok) return 0;
    wanted->labels[wanted->label_count] = copy_text(env, element);
    if (wanted->labels[wanted->label_count] == NULL) return 0;
  }
  napi_get_array_length(env, arguments[4], &wanted->bound_count);
  if (wanted->bound_count > SHMETRICS_MAX_BOUNDS) wanted->bound_count = SHMETRICS_MAX_BOUNDS + 1;
  for (uint32_t i = 0; i < wanted->bound_count; ++i) {
    if (napi_get_element(env, arguments[4], i, &element) != napi_ok) return 0;
    napi_get_value_double(env, element, &wanted->bounds[i]);
  }
  napi_get_value_uint32(env, arguments[5], &wanted->mode);
  napi_get_value_uint32(env, arguments[6], &wanted->options.series_limit);
  napi_get_value_uint32(env, arguments[7], &wanted->segment);
  wanted->options.naming = SHMETRICS_LENIENT; /* names are prom-client's business */
  return 1;
}

static const void* declare(shmetrics_registry* registry, const Declaration* wanted, shmetrics_error* error) {
  const char *name = wanted->name, *help = wanted->help, *const *labels = (const char*const*)wanted->labels;
  const size_t count = wanted->label_count;
  switch (wanted->kind[0]) {
    case 'c':
      return shmetrics_declare_float_counter(registry, name, help, labels, count, &wanted->options, error);
    case 'g':
      return shmetrics_declare_gauge(registry, name, help, labels, count, (enum shmetrics_gauge_mode)wanted->mode,
                                     &wanted->options, error);
    case 'h':
      return shmetrics_declare_histogram(registry, name, help, labels, count, wanted->bounds, wanted->bound_count,
                                         &wanted->options, error);
    default:
      return shmetrics_declare_summary(registry, name, help, labels, count, &wanted->options, error);
  }
}

/* Makes room for one more element of `size` bytes. */
static int grow(void** elements, size_t size, uint32_t count, uint32_t* room) {
  if (count < *room) return 1;
  const uint32_t wider = *room == 0 ? 64 : *room * 2;
  void* grown = realloc(*elements, size * wider);
  if (grown == NULL) return 0;
  *elements = grown;
  *room = wider;
  return 1;
}

/* declare(...) -> [index of the family, code, message] */
napi_value addon_declare(napi_env env, napi_callback_info info) {
  Declaration wanted = {.options = SHMETRICS_FAMILY_OPTIONS_INIT};
  Environment* environment = environment_of(env);
  shmetrics_error error = {SHMETRICS_FULL, "no memory left"};
  napi_value answer = NULL, element = NULL;
  const uint32_t index = environment->family_count;
  if (!read_declaration(env, info, &wanted) || wanted.segment >= environment->registry_count) {
    free_declaration(&wanted);
    return throw_error(env, "kind, name, help and at most 16 labels are texts, and the segment is one that is open");
  }
  if (grow((void**)&environment->families, sizeof *environment->families, index, &environment->family_room)) {
    environment->families[environment->family_count++] =
        declare(environment->registries[wanted.segment], &wanted, &error);
  }
  free_declaration(&wanted);
  napi_create_array_with_length(env, 3, &answer);
  napi_create_uint32(env, index, &element);
  napi_set_element(env, answer, 0, element);
  napi_create_int32(env, error.code, &element);
  napi_set_element(env, answer, 1, element);
  napi_set_element(env, answer, 2, string_of(env, error.message));
  return answer;
}

/* A label set of a family, and whether it is kept. */
typedef struct {
  const void* family;
  char texts[MOST_LABELS][VALUE_BYTES];
  shmetrics_string values[MOST_LABELS];
  uint32_t count;
  bool is_kept;
} LabelSet;

/* The arguments (family, values[, kept]). */
static int read_label_set(napi_env env, napi_callback_info info, LabelSet* set) {
  napi_value arguments[3], element;
  size_t argument_count = 3;
  uint32_t family = 0;
  const Environment* environment = environment_of(env);
  set->count = 0;
  set->is_kept = false;
  napi_get_cb_info(env, info, &argument_count, arguments, NULL, NULL);
  napi_get_value_uint32(env, arguments[0], &family);
  napi_get_array_length(env, arguments[1], &set->count);
  napi_get_value_bool(env, arguments[2], &set->is_kept);
  if (family >= environment->family_count || set->count > MOST_LABELS) {
    throw_error(env, "no such family");
    return 0;
  }
  set->family = environment->families[family];
  for (uint32_t i = 0; i < set->count; ++i) {
    set->values[i].data = set->texts[i];
    set->values[i].size = 0;
    if (napi_get_element(env, arguments[1], i, &element) != napi_ok) return 0;
    napi_get_value_string_utf8(env, element, set->texts[i], VALUE_BYTES, &set->values[i].size);
  }
  return 1;
}

/* find(family, values, kept) -> index of the series; 0, until the next find, if it is not kept or only overflow */
napi_value addon_find(napi_env env, napi_callback_info info) {
  LabelSet set;
  uint32_t index = 0;
  napi_value answer = NULL;
  Environment* environment = environment_of(env);
  if (!read_label_set(env, info, &set)) return NULL;
  const shmetrics_series found = shmetrics_find_strings(set.family, set.values, set.count);
  if (set.is_kept && !shmetrics_is_overflow(found) &&
      grow((void**)&environment->series, sizeof *environment->series, environment->series_count,
           &environment->series_room)) {
    index = environment->series_count++;
  }
  environment->series[index] = found;
  napi_create_uint32(env, index, &answer);
  return answer;
}

napi_value addon_gauge_remove(napi_env env, napi_callback_info info) {
  LabelSet set;
  if (read_label_set(env, info, &set)) shmetrics_gauge_remove(set.family, set.values, set.count);
  return NULL;
}
