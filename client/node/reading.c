/* Reading the segment back: all workers' values, merged, beside the event loop. */
#include "client/node/addon.h"

#include <shmetrics/reader.h>
#include <stdlib.h>

/* One look at the segment: made and rendered by a thread of libuv's pool, handed over by the event loop's. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  int descriptor;
  enum shmetrics_format format;
  shmetrics_reader_error error;
  char* bytes;
  size_t size, room;
  size_t* ends; /* of each family's text */
  uint32_t count, count_room;
} Scrape;

static int append(void* context, const char* bytes, size_t size) {
  Scrape* scrape = context;
  if (scrape->size + size > scrape->room) {
    const size_t room = (scrape->size + size) * 2;
    char* grown = realloc(scrape->bytes, room);
    if (grown == NULL) return 1;
    scrape->bytes = grown;
    scrape->room = room;
  }
  if (scrape->count == scrape->count_room) {
    const uint32_t room = scrape->count_room * 2 + 64;
    size_t* grown = realloc(scrape->ends, room * sizeof *grown);
    if (grown == NULL) return 1;
    scrape->ends = grown;
    scrape->count_room = room;
  }
  memcpy(scrape->bytes + scrape->size, bytes, size);
  scrape->size += size;
  scrape->ends[scrape->count++] = scrape->size;
  return 0;
}

static void execute(napi_env env, void* data) {
  Scrape* scrape = data;
  (void)env;
  shmetrics_reading* reading = shmetrics_read_descriptor(scrape->descriptor, &scrape->error);
  if (reading == NULL) return;
  if (shmetrics_reading_render(reading, scrape->format, NULL, NULL, append, scrape, &scrape->error) > 0) {
    scrape->error = (shmetrics_reader_error){SHMETRICS_FULL, "no memory left for the text of the segment"};
  }
  shmetrics_reading_free(reading);
}

static void reject(napi_env env, const Scrape* scrape) {
  napi_value message, problem;
  if (napi_create_string_utf8(env, scrape->error.message, NAPI_AUTO_LENGTH, &message) != napi_ok) return;
  if (napi_create_error(env, NULL, message, &problem) != napi_ok) return;
  napi_reject_deferred(env, scrape->deferred, problem);
}

static void resolve(napi_env env, const Scrape* scrape) {
  napi_value texts, text;
  size_t begin = 0;
  if (napi_create_array_with_length(env, scrape->count, &texts) != napi_ok) return;
  for (uint32_t i = 0; i < scrape->count; ++i) {
    if (napi_create_string_utf8(env, scrape->bytes + begin, scrape->ends[i] - begin, &text) != napi_ok) return;
    napi_set_element(env, texts, i, text);
    begin = scrape->ends[i];
  }
  napi_resolve_deferred(env, scrape->deferred, texts);
}

static void free_scrape(napi_env env, Scrape* scrape) {
  if (scrape->work != NULL) napi_delete_async_work(env, scrape->work);
  free(scrape->bytes);
  free(scrape->ends);
  free(scrape);
}

/* A worker_thread that ends takes its promises along: then nothing here succeeds, and only memory is given back. */
static void complete(napi_env env, napi_status status, void* data) {
  Scrape* scrape = data;
  if (status == napi_ok && scrape->error.code != 0) {
    reject(env, scrape);
  } else if (status == napi_ok) {
    resolve(env, scrape);
  }
  free_scrape(env, scrape);
}

/* render(format, segment) -> a promise of texts, one a family */
napi_value addon_render(napi_env env, napi_callback_info info) {
  napi_value arguments[2], name, promise = NULL;
  size_t count = 2;
  uint32_t format = SHMETRICS_TEXT, segment = 0;
  const Environment* environment = environment_of(env);
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  napi_get_value_uint32(env, arguments[0], &format);
  napi_get_value_uint32(env, arguments[1], &segment);
  if (segment >= environment->registry_count) return throw_error(env, "the segment is not open");
  Scrape* scrape = calloc(1, sizeof *scrape);
  if (scrape == NULL) return throw_error(env, "no memory left");
  scrape->format = (enum shmetrics_format)format;
  scrape->descriptor = shmetrics_descriptor(environment->registries[segment]);
  napi_create_string_utf8(env, "shmetrics", NAPI_AUTO_LENGTH, &name);
  if (napi_create_promise(env, &scrape->deferred, &promise) != napi_ok ||
      napi_create_async_work(env, NULL, name, execute, complete, scrape, &scrape->work) != napi_ok ||
      napi_queue_async_work(env, scrape->work) != napi_ok) {
    free_scrape(env, scrape);
    return throw_error(env, "cannot read beside the event loop");
  }
  return promise;
}
