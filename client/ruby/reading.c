/* Reading the segment back: all workers' values, merged. Other threads run while a look is taken. */
#include "client/ruby/core.h"

#include <ruby/thread.h>
#include <shmetrics/reader.h>
#include <stdlib.h>
#include <unistd.h>

/* One look; and as text, which families are wanted: all if `names` is NULL. */
typedef struct {
  int descriptor;
  const char** names;
  long name_count;
  shmetrics_reading* reading;
  shmetrics_reader_error error;
  char* bytes;
  size_t size, room;
} Look;

static void* take_look(void* data) {
  Look* look = data;
  look->reading = shmetrics_read_descriptor(look->descriptor, &look->error);
  return NULL;
}

static int is_wanted(void* context, const char* name) {
  const Look* look = context;
  for (long i = 0; i < look->name_count; ++i) {
    if (strcmp(look->names[i], name) == 0) return 1;
  }
  return 0;
}

static int append(void* context, const char* bytes, size_t size) {
  Look* look = context;
  if (look->size + size > look->room) {
    const size_t room = (look->size + size) * 2;
    char* grown = realloc(look->bytes, room);
    if (grown == NULL) return 1;
    look->bytes = grown;
    look->room = room;
  }
  memcpy(look->bytes + look->size, bytes, size);
  look->size += size;
  return 0;
}

static void* render(void* data) {
  Look* look = data;
  take_look(look);
  if (look->reading == NULL) return NULL;
  if (shmetrics_reading_render(look->reading, SHMETRICS_TEXT, look->names == NULL ? NULL : is_wanted, look, append,
                               look, &look->error) > 0) {
    look->error = (shmetrics_reader_error){SHMETRICS_FULL, "no memory left for the text of the segment"};
  }
  return NULL;
}

/* Ends a look by the interpreter's means. */
static void end(Look* look) {
  shmetrics_reading_free(look->reading);
  free(look->bytes);
  free(look->names);
  if (look->error.code != 0) raise_error(look->error.message);
}

/* text(names = nil): the text format 0.0.4 of these families, or of all. */
VALUE segment_text(int count, VALUE* arguments, VALUE self) {
  Look look = {.descriptor = shmetrics_descriptor(registry_of(self))};
  VALUE names = Qnil, text = Qnil;
  rb_scan_args(count, arguments, "01", &names);
  if (!NIL_P(names)) {
    Check_Type(names, T_ARRAY);
    for (long i = 0; i < RARRAY_LEN(names); ++i) {
      VALUE name = RARRAY_AREF(names, i);
      StringValueCStr(name); /* raises before anything is allocated */
    }
    look.names = malloc(((size_t)RARRAY_LEN(names) + 1) * sizeof *look.names);
    if (look.names == NULL) rb_memerror();
    for (; look.name_count < RARRAY_LEN(names); ++look.name_count) {
      look.names[look.name_count] = RSTRING_PTR(RARRAY_AREF(names, look.name_count));
    }
  }
  rb_thread_call_without_gvl(render, &look, NULL, NULL);
  if (look.error.code == 0) text = text_of(look.bytes, look.size);
  end(&look);
  RB_GC_GUARD(names);
  return text;
}

/* ---- one family as values ---- */

typedef struct {
  const char* family;
  VALUE found;
  const shmetrics_sample* sample;
  int state; /* of an exception */
} Walk;

static VALUE labels_of(const shmetrics_sample* sample, size_t count) {
  VALUE labels = rb_hash_new();
  for (size_t i = 0; i < count; ++i) {
    VALUE value = text_of(sample->label_values[i], strlen(sample->label_values[i]));
    rb_hash_aset(labels, ID2SYM(rb_intern(sample->label_names[i])), value);
  }
  return labels;
}

/* {labels => number}, or, of a histogram and summary, {labels => {"0.5" => number, "+Inf" => , "sum" => , "count" => }}
 */
static VALUE take(VALUE data) {
  Walk* walk = (Walk*)data;
  const shmetrics_sample* sample = walk->sample;
  VALUE value = rb_float_new(sample->value);
  const int is_bucket = sample->type[0] == 'h' && sample->label_count > 0 &&
                        strcmp(sample->label_names[sample->label_count - 1], "le") == 0;
  if (sample->type[0] != 'h' && sample->type[0] != 's') {
    rb_hash_aset(walk->found, labels_of(sample, sample->label_count), value);
    return Qnil;
  }
  VALUE labels = labels_of(sample, sample->label_count - (size_t)is_bucket);
  VALUE parts = rb_hash_lookup2(walk->found, labels, Qnil);
  if (NIL_P(parts)) {
    parts = rb_hash_new();
    rb_hash_aset(walk->found, labels, parts);
  }
  const char* part = is_bucket ? sample->label_values[sample->label_count - 1]
                               : sample->name + strlen(sample->family) + 1; /* behind the `_` */
  rb_hash_aset(parts, text_of(part, strlen(part)), value);
  return Qnil;
}

/* An exception of Ruby must not pass through the reader's frames. */
static int visit(void* context, const shmetrics_sample* sample) {
  Walk* walk = context;
  if (strcmp(sample->family, walk->family) != 0) return 0;
  walk->sample = sample;
  rb_protect(take, (VALUE)walk, &walk->state);
  return walk->state;
}

VALUE segment_values(VALUE self, VALUE name) {
  Look look = {.descriptor = shmetrics_descriptor(registry_of(self))};
  Walk walk = {.family = StringValueCStr(name), .found = rb_hash_new()};
  rb_thread_call_without_gvl(take_look, &look, NULL, NULL);
  if (look.reading != NULL) shmetrics_reading_walk(look.reading, visit, &walk, &look.error);
  if (walk.state != 0) look.error.code = 0;
  end(&look);
  if (walk.state != 0) rb_jump_tag(walk.state);
  RB_GC_GUARD(name);
  return walk.found;
}

/* ---- this process among the workers ---- */

static int visit_worker(void* context, const shmetrics_worker* worker) {
  int* found = context;
  if (strcmp(worker->state, "live") != 0 || (pid_t)worker->pid != getpid()) return 0;
  *found = (int)worker->worker;
  return 1;
}

/* The number that the label `worker` has for this process; nil if it has updated nothing. */
VALUE segment_worker(VALUE self) {
  Look look = {.descriptor = shmetrics_descriptor(registry_of(self))};
  int found = -1;
  rb_thread_call_without_gvl(take_look, &look, NULL, NULL);
  if (look.reading != NULL) shmetrics_reading_workers(look.reading, visit_worker, &found);
  end(&look);
  return found < 0 ? Qnil : INT2NUM(found);
}
