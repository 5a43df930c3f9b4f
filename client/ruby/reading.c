/* Reading the segment back: all workers' values, merged. Other threads run while a look is taken. */
#include "client/ruby/core.h"

#include <ruby/thread.h>
#include <shmetrics/reader.h>
#include <stdlib.h>

/* One look; and as text, which families are wanted. */
typedef struct Look {
  int descriptor;
  void* (*take)(void* look); /* without the interpreter's lock */
  VALUE (*use)(struct Look* look);
  void* context;     /* of `use` */
  const char* names; /* each with its NUL; NULL: all */
  const char* names_end;
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

static VALUE take_and_use(VALUE data) {
  Look* look = (Look*)data;
  rb_thread_call_without_gvl(look->take, look, NULL, NULL);
  return look->error.code == 0 ? look->use(look) : Qnil;
}

static VALUE release(VALUE data) {
  Look* look = (Look*)data;
  shmetrics_reading_free(look->reading);
  free(look->bytes);
  return Qnil;
}

/* What `use` makes of it. Nothing is lost when the thread is killed meanwhile, or is to raise. */
static VALUE result_of(Look* look) {
  VALUE result = rb_ensure(take_and_use, (VALUE)look, release, (VALUE)look);
  if (look->error.code != 0) raise_error(look->error.message);
  return result;
}

static int is_wanted(void* context, const char* name) {
  const Look* look = context;
  for (const char* wanted = look->names; wanted != look->names_end; wanted += strlen(wanted) + 1) {
    if (strcmp(wanted, name) == 0) return 1;
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

static VALUE rendered(Look* look) {
  return text_of(look->bytes, look->size);
}

/* text(names = nil): the text format 0.0.4 of these families, or of all. */
VALUE segment_text(int count, VALUE* arguments, VALUE self) {
  Look look = {.descriptor = shmetrics_descriptor(registry_of(self)), .take = render, .use = rendered};
  VALUE names = Qnil, text;
  /* Copies: other threads may change, and the collector may move, what the array holds. */
  VALUE copies = rb_str_buf_new(0);
  rb_scan_args(count, arguments, "01", &names);
  if (!NIL_P(names)) {
    Check_Type(names, T_ARRAY);
    for (long i = 0; i < RARRAY_LEN(names); ++i) {
      VALUE name = RARRAY_AREF(names, i);
      const char* wanted = StringValueCStr(name);
      rb_str_cat(copies, wanted, (long)strlen(wanted) + 1);
    }
    look.names = RSTRING_PTR(copies);
    look.names_end = look.names + RSTRING_LEN(copies);
  }
  text = result_of(&look);
  RB_GC_GUARD(copies);
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

static VALUE walked(Look* look) {
  Walk* walk = look->context;
  shmetrics_reading_walk(look->reading, visit, walk, &look->error);
  if (walk->state != 0) rb_jump_tag(walk->state);
  return walk->found;
}

VALUE segment_values(VALUE self, VALUE name) {
  Walk walk = {.found = rb_hash_new()};
  Look look = {
      .descriptor = shmetrics_descriptor(registry_of(self)), .take = take_look, .use = walked, .context = &walk};
  StringValue(name);
  name = rb_str_new_frozen(name); /* other threads may change theirs */
  walk.family = StringValueCStr(name);
  VALUE found = result_of(&look);
  RB_GC_GUARD(name);
  return found;
}
