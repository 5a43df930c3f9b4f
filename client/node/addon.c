/* The addon: an update of a series, with as little between JavaScript and the cell as N-API allows. The classes that
 * users know are made of it in lib/.
 *
 * N-API 8: one build serves Node 16 and all later ones. */
#include "client/node/addon.h"

#include <stdlib.h>

Environment* environment_of(napi_env env) {
  void* data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

napi_value throw_error(napi_env env, const char* message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

/* ---- updates: (index, number); without a number 1. The environment comes with the call, which is faster than to
 * look for it. ---- */

typedef struct {
  shmetrics_series series;
  double number;
} Update;

static Update update_of(napi_env env, napi_callback_info info) {
  Update update = {{0, 0, NULL}, 1};
  napi_value arguments[2];
  size_t count = 2;
  uint32_t index = 0;
  void* data = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, &data);
  const Environment* environment = data;
  if (count > 0) napi_get_value_uint32(env, arguments[0], &index);
  if (count > 1) napi_get_value_double(env, arguments[1], &update.number);
  if (index < environment->series_count) update.series = environment->series[index];
  return update;
}

#define UPDATE(name, Handle, update_by)                           \
  static napi_value name(napi_env env, napi_callback_info info) { \
    const Update update = update_of(env, info);                   \
    const Handle handle = {update.series};                        \
    update_by(handle, update.number);                             \
    return NULL;                                                  \
  }
UPDATE(counter_add, shmetrics_float_counter, shmetrics_float_counter_add)
UPDATE(gauge_add, shmetrics_gauge, shmetrics_gauge_add)
UPDATE(gauge_set, shmetrics_gauge, shmetrics_gauge_set)
UPDATE(histogram_observe, shmetrics_histogram, shmetrics_histogram_observe)
UPDATE(summary_observe, shmetrics_summary, shmetrics_summary_observe)

static napi_value release_worker(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  shmetrics_release_worker();
  return NULL;
}

/* ---- the module ---- */

static void free_environment(napi_env env, void* data, void* hint) {
  Environment* environment = data;
  (void)env;
  (void)hint;
  free(environment->families);
  free(environment->series);
  free(environment);
}

#define FUNCTION(name, callback) \
  { name, NULL, callback, NULL, NULL, NULL, napi_enumerable, environment }

NAPI_MODULE_INIT() {
  Environment* environment = calloc(1, sizeof *environment);
  if (environment != NULL) environment->series = calloc(64, sizeof *environment->series);
  if (environment == NULL || environment->series == NULL) {
    free(environment);
    return throw_error(env, "no memory left");
  }
  environment->series_count = 1;
  environment->series_room = 64;
  const napi_property_descriptor functions[] = {
      FUNCTION("open", addon_open),
      FUNCTION("setProgram", addon_set_program),
      FUNCTION("declare", addon_declare),
      FUNCTION("find", addon_find),
      FUNCTION("render", addon_render),
      FUNCTION("counterAdd", counter_add),
      FUNCTION("gaugeAdd", gauge_add),
      FUNCTION("gaugeSet", gauge_set),
      FUNCTION("gaugeRemove", addon_gauge_remove),
      FUNCTION("histogramObserve", histogram_observe),
      FUNCTION("summaryObserve", summary_observe),
      FUNCTION("releaseWorker", release_worker),
  };
  napi_set_instance_data(env, environment, free_environment, NULL);
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
