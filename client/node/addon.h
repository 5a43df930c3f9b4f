/* What the parts of the addon share. One environment is the main thread's or a worker_thread's: it has its own tables,
 * and no other thread uses them. */
#define NAPI_VERSION 8
#include <node_api.h>
#include <shmetrics/shmetrics.h>

#define MOST_LABELS 16
#define MOST_SEGMENTS 8 /* that a process opens */

/* Segments, families and series by the index that JavaScript holds: a number costs a call less than an object does.
 * Series 0 is for one update only: of a label set that is not kept. */
typedef struct {
  shmetrics_registry* registries[MOST_SEGMENTS];
  const void** families;
  shmetrics_series* series;
  uint32_t registry_count, family_count, family_room, series_count, series_room;
} Environment;

Environment* environment_of(napi_env env);
napi_value throw_error(napi_env env, const char* message);

/* declaration.c; what they take is in lib/addon.js. */
napi_value addon_open(napi_env env, napi_callback_info info);
napi_value addon_set_program(napi_env env, napi_callback_info info);
napi_value addon_declare(napi_env env, napi_callback_info info);
napi_value addon_find(napi_env env, napi_callback_info info);
napi_value addon_gauge_remove(napi_env env, napi_callback_info info);

/* reading.c */
napi_value addon_render(napi_env env, napi_callback_info info);
