/* Opening a segment and declaring in it: once a process and family. */
#include "client/ruby/core.h"

/* A registry is never closed: it stays open for the length of the process, also in its children. */
static const rb_data_type_t kSegmentType = {
    .wrap_struct_name = "Shmetrics::Segment",
    .function = {.dfree = NULL},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY,
};
static VALUE family_class;

shmetrics_registry* registry_of(VALUE segment) {
  return rb_check_typeddata(segment, &kSegmentType);
}

/* Segment.open(path = nil): that of $SHMETRICS_SEGMENT, or the default one. */
static VALUE segment_open(int count, VALUE* arguments, VALUE class) {
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error error = {0, ""};
  VALUE path = Qnil;
  rb_scan_args(count, arguments, "01", &path);
  if (!NIL_P(path)) options.path = StringValueCStr(path);
  shmetrics_registry* registry = shmetrics_open(&options, &error);
  if (registry == NULL) raise_error(error.message);
  RB_GC_GUARD(path);
  return TypedData_Wrap_Struct(class, &kSegmentType, registry);
}

static VALUE segment_path(VALUE self) {
  const char* path = shmetrics_path(registry_of(self));
  return text_of(path, strlen(path));
}

typedef struct {
  const char *kind, *name, *help;
  const char* labels[MOST_LABELS + 1]; /* with one more than there may be, so that too many are refused */
  double bounds[SHMETRICS_MAX_BOUNDS + 1];
  size_t label_count, bound_count;
  int mode;
  shmetrics_family_options options;
} Declaration;

static const void* declare(shmetrics_registry* registry, const Declaration* wanted) {
  switch (wanted->kind[0]) {
    case 'c':
      return shmetrics_declare_float_counter(registry, wanted->name, wanted->help, wanted->labels, wanted->label_count,
                                             &wanted->options, NULL);
    case 'g':
      return shmetrics_declare_gauge(registry, wanted->name, wanted->help, wanted->labels, wanted->label_count,
                                     (enum shmetrics_gauge_mode)wanted->mode, &wanted->options, NULL);
    case 'h':
      return shmetrics_declare_histogram(registry, wanted->name, wanted->help, wanted->labels, wanted->label_count,
                                         wanted->bounds, wanted->bound_count, &wanted->options, NULL);
    default:
      return shmetrics_declare_summary(registry, wanted->name, wanted->help, wanted->labels, wanted->label_count,
                                       &wanted->options, NULL);
  }
}

/* declare(kind, name, help, labels, bounds, mode, series_limit) -> Family. Names as client_ruby allows them. What the
 * segment refuses is said on stderr by the library, and its updates are counted as dropped. */
static VALUE segment_declare(VALUE self, VALUE kind, VALUE name, VALUE help, VALUE labels, VALUE bounds, VALUE mode,
                             VALUE series_limit) {
  Declaration wanted = {.options = SHMETRICS_FAMILY_OPTIONS_INIT};
  VALUE texts = rb_ary_new();
  Check_Type(labels, T_ARRAY);
  Check_Type(bounds, T_ARRAY);
  wanted.kind = StringValueCStr(kind);
  wanted.name = StringValueCStr(name);
  wanted.help = StringValueCStr(help);
  wanted.mode = NUM2INT(mode);
  wanted.options.series_limit = NUM2UINT(series_limit);
  wanted.options.naming = SHMETRICS_LENIENT;
  for (; wanted.label_count < (size_t)RARRAY_LEN(labels) && wanted.label_count <= MOST_LABELS; ++wanted.label_count) {
    VALUE label = RARRAY_AREF(labels, (long)wanted.label_count);
    Check_Type(label, T_SYMBOL);
    VALUE text = rb_sym2str(label);
    rb_ary_push(texts, text);
    wanted.labels[wanted.label_count] = StringValueCStr(text);
  }
  for (; wanted.bound_count < (size_t)RARRAY_LEN(bounds) && wanted.bound_count <= SHMETRICS_MAX_BOUNDS;
       ++wanted.bound_count) {
    wanted.bounds[wanted.bound_count] = NUM2DBL(RARRAY_AREF(bounds, (long)wanted.bound_count));
  }
  Family* family;
  VALUE made = TypedData_Make_Struct(family_class, Family, &kFamilyType, family);
  family->labels = rb_ary_freeze(rb_ary_dup(labels));
  family->kind = wanted.kind[0];
  if (family->kind == 'g' && (wanted.mode == SHMETRICS_MOSTRECENT || wanted.mode == SHMETRICS_LIVEMOSTRECENT)) {
    family->kind = 'r';
  }
  family->label_count = wanted.label_count > MOST_LABELS ? -1 : (long)wanted.label_count;
  family->family = declare(registry_of(self), &wanted);
  RB_GC_GUARD(texts);
  return made;
}

void define_segment(VALUE module, VALUE class_of_families) {
  VALUE class = rb_define_class_under(module, "Segment", rb_cObject);
  family_class = class_of_families;
  rb_gc_register_mark_object(family_class);
  rb_undef_alloc_func(class);
  rb_define_singleton_method(class, "open", segment_open, -1);
  rb_define_method(class, "path", segment_path, 0);
  rb_define_method(class, "declare", segment_declare, 7);
  rb_define_method(class, "text", segment_text, -1);
  rb_define_method(class, "values", segment_values, 1);
}
