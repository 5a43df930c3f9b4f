/* The module shmetrics_core: an update of a series, with as little between Ruby and the cell as MRI allows. What users
 * know is made of it in lib/. */
#include "client/ruby/core.h"

static VALUE error_class;

void raise_error(const char* message) {
  rb_raise(error_class, "%s", message);
}

VALUE text_of(const char* text, size_t size) {
  return rb_utf8_str_new(text, (long)size);
}

static void mark_family(void* data) {
  const Family* family = data;
  rb_gc_mark(family->labels);
}

const rb_data_type_t kFamilyType = {
    .wrap_struct_name = "Shmetrics::Family",
    .function = {.dmark = mark_family, .dfree = RUBY_DEFAULT_FREE},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY,
};

static const Family* family_of(VALUE self) {
  return rb_check_typeddata(self, &kFamilyType);
}

/* ---- updates: whether the kind has such a one ---- */

static int add(char kind, shmetrics_series series, double n) {
  if (kind == 'c') {
    const shmetrics_float_counter counter = {series};
    shmetrics_float_counter_add(counter, n);
  } else if (kind == 'g') {
    const shmetrics_gauge gauge = {series};
    shmetrics_gauge_add(gauge, n);
  }
  return kind == 'c' || kind == 'g';
}

static int set(char kind, shmetrics_series series, double value) {
  const shmetrics_gauge gauge = {series};
  if (kind != 'g' && kind != 'r') return 0;
  shmetrics_gauge_set(gauge, value);
  return 1;
}

static int observe(char kind, shmetrics_series series, double value) {
  if (kind == 'h') {
    const shmetrics_histogram histogram = {series};
    shmetrics_histogram_observe(histogram, value);
  } else if (kind == 's') {
    const shmetrics_summary summary = {series};
    shmetrics_summary_observe(summary, value);
  }
  return kind == 'h' || kind == 's';
}

typedef int (*Change)(char kind, shmetrics_series series, double value);

/* ---- a family, and the labels as a hash: nothing is kept, so that label values without bound cost no memory ---- */

/* Whether `given` has the family's labels, and no others; then their series. */
static int find(const Family* family, VALUE given, shmetrics_series* series) {
  shmetrics_string values[MOST_LABELS];
  VALUE texts[MOST_LABELS];
  Check_Type(given, T_HASH);
  if (family->label_count < 0) {
    *series = shmetrics_find_strings(family->family, NULL, 0);
    return 1;
  }
  if (RHASH_SIZE(given) != (size_t)family->label_count) return 0;
  for (long i = 0; i < family->label_count; ++i) {
    VALUE value = rb_hash_lookup2(given, RARRAY_AREF(family->labels, i), Qundef);
    if (value == Qundef) return 0;
    texts[i] = RB_TYPE_P(value, T_STRING) ? value : rb_obj_as_string(value);
  }
  for (long i = 0; i < family->label_count; ++i) { /* from here on no Ruby runs that could change a text */
    values[i].data = RSTRING_PTR(texts[i]);
    values[i].size = (size_t)RSTRING_LEN(texts[i]);
  }
  *series = shmetrics_find_strings(family->family, values, (size_t)family->label_count);
  for (long i = 0; i < family->label_count; ++i) RB_GC_GUARD(texts[i]);
  return 1;
}

/* add(labels, n), and so for the others -> whether the family has these labels and such an update; else nothing
 * happens. */
static VALUE update(VALUE self, VALUE labels, VALUE value, Change change) {
  const Family* family = family_of(self);
  const double number = NUM2DBL(value);
  shmetrics_series series;
  return find(family, labels, &series) && change(family->kind, series, number) ? Qtrue : Qfalse;
}

static VALUE family_add(VALUE self, VALUE labels, VALUE n) {
  return update(self, labels, n, add);
}

static VALUE family_set(VALUE self, VALUE labels, VALUE value) {
  return update(self, labels, value, set);
}

static VALUE family_observe(VALUE self, VALUE labels, VALUE value) {
  return update(self, labels, value, observe);
}

/* own(labels) -> what this process itself shows of the gauge; nil: nothing, or it is no gauge with these labels. */
static VALUE family_own(VALUE self, VALUE labels) {
  const Family* family = family_of(self);
  shmetrics_gauge gauge;
  double value;
  if ((family->kind != 'g' && family->kind != 'r') || !find(family, labels, &gauge.series)) return Qnil;
  return shmetrics_gauge_own(gauge, &value) ? rb_float_new(value) : Qnil;
}

/* ---- a series: a family whose labels are all given; its updates look nothing up ---- */

typedef struct {
  shmetrics_series series;
  char kind;
} Series;

static const rb_data_type_t kSeriesType = {
    .wrap_struct_name = "Shmetrics::Series",
    .function = {.dfree = RUBY_DEFAULT_FREE},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY,
};
static VALUE series_class;

/* nil: these are not the family's labels, or they have no series of their own, which may come: ask the family. */
static VALUE family_series(VALUE self, VALUE labels) {
  const Family* family = family_of(self);
  Series* series;
  VALUE made = TypedData_Make_Struct(series_class, Series, &kSeriesType, series);
  series->kind = family->kind;
  return find(family, labels, &series->series) && !shmetrics_is_overflow(series->series) ? made : Qnil;
}

/* add(labels, n), and so for the others, as a family has them: no labels are left. */
static VALUE update_series(VALUE self, VALUE labels, VALUE value, Change change) {
  const Series* series = rb_check_typeddata(self, &kSeriesType);
  const double number = NUM2DBL(value);
  Check_Type(labels, T_HASH);
  return RHASH_SIZE(labels) == 0 && change(series->kind, series->series, number) ? Qtrue : Qfalse;
}

static VALUE series_add(VALUE self, VALUE labels, VALUE n) {
  return update_series(self, labels, n, add);
}

static VALUE series_set(VALUE self, VALUE labels, VALUE value) {
  return update_series(self, labels, value, set);
}

static VALUE series_observe(VALUE self, VALUE labels, VALUE value) {
  return update_series(self, labels, value, observe);
}

static VALUE set_program(VALUE self, VALUE name) {
  (void)self;
  shmetrics_set_program(StringValueCStr(name));
  return name;
}

static VALUE release_worker(VALUE self) {
  (void)self;
  shmetrics_release_worker();
  return Qnil;
}

static VALUE resume_worker(VALUE self) {
  (void)self;
  shmetrics_resume_worker();
  return Qnil;
}

/* ---- the module ---- */

__attribute__((visibility("default"))) void Init_shmetrics_core(void) {
  VALUE module = rb_define_module("Shmetrics");
  VALUE family_class = rb_define_class_under(module, "Family", rb_cObject);
  error_class = rb_define_class_under(module, "Error", rb_eStandardError);
  series_class = rb_define_class_under(module, "Series", rb_cObject);
  rb_gc_register_mark_object(error_class);
  rb_gc_register_mark_object(series_class);
  rb_undef_alloc_func(family_class);
  rb_undef_alloc_func(series_class);
  define_segment(module, family_class);
  rb_define_method(family_class, "add", family_add, 2);
  rb_define_method(family_class, "set", family_set, 2);
  rb_define_method(family_class, "observe", family_observe, 2);
  rb_define_method(family_class, "series", family_series, 1);
  rb_define_method(family_class, "own", family_own, 1);
  rb_define_method(series_class, "add", series_add, 2);
  rb_define_method(series_class, "set", series_set, 2);
  rb_define_method(series_class, "observe", series_observe, 2);
  rb_define_module_function(module, "program=", set_program, 1);
  rb_ext_ractor_safe(true); /* for what follows: exit! and exec call it, and any Ractor may call those */
  rb_define_module_function(module, "release_worker", release_worker, 0);
  rb_define_module_function(module, "resume_worker", resume_worker, 0);
}
