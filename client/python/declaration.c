/* Opening and declaring: once a process and family. */
#include "client/python/core.h"

/* A mistake in the program is an exception. What depends on the machine and the other workers must not keep this one
 * from its work: a warning, and the family is inert. */
static int report(const shmetrics_error* error) {
  if (error->code == SHMETRICS_OK) return 0;
  if (error->code != SHMETRICS_INVALID_ARGUMENT) return PyErr_WarnEx(PyExc_RuntimeWarning, error->message, 2);
  PyErr_SetString(PyExc_ValueError, error->message);
  return -1;
}

/* The UTF-8 of a str without NUL, which lives as long as `object`; else NULL and an exception. */
const char* text_of(PyObject* object) {
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == NULL || strlen(text) == (size_t)size) return text;
  PyErr_SetString(PyExc_ValueError, "embedded null character");
  return NULL;
}

/* Texts of a tuple of at most so many; -1 and an exception. */
Py_ssize_t texts_of(PyObject* tuple, const char** texts, Py_ssize_t most) {
  const Py_ssize_t count = PyTuple_Size(tuple);
  if (count > most) {
    PyErr_Format(PyExc_ValueError, "%zd labels: at most %zd", count, most);
    return -1;
  }
  for (Py_ssize_t i = 0; i < count; ++i) {
    texts[i] = text_of(PyTuple_GetItem(tuple, i));
    if (texts[i] == NULL) return -1;
  }
  return count;
}

static const char kHandle[] = "shmetrics registry";

/* The segment of default options. What is wrong with it is said once, by a warning and not on stderr as well; while it
 * cannot be opened, that is tried once a second. */
static int default_registry(shmetrics_registry** registry) {
  static shmetrics_registry* opened = NULL;
  static time_t failed_at = 0;
  static int is_said = 0;
  if (opened == NULL && failed_at != time(NULL)) {
    shmetrics_options options = SHMETRICS_OPTIONS_INIT;
    shmetrics_error error = {0, ""};
    options.quiet = 1;
    opened = shmetrics_open(&options, &error);
    if (opened == NULL) failed_at = time(NULL);
    if (opened == NULL && !is_said++ && report(&error) != 0) return -1;
  }
  *registry = opened;
  return 0;
}

/* Of a capsule or None. 0 and the registry, or NULL after a warning where there is none; -1 and an exception. */
int registry_of(PyObject* handle, shmetrics_registry** registry) {
  if (handle != Py_None) {
    *registry = (shmetrics_registry*)PyCapsule_GetPointer(handle, kHandle);
    return *registry == NULL ? -1 : 0;
  }
  return default_registry(registry);
}

/* An int of 32 bits without sign, where "I" would let the bits beyond go and take -1 for no limit. */
static int read_uint32(PyObject* object, void* number) {
  const long long value = PyLong_AsLongLong(object);
  if (value == -1 && PyErr_Occurred() != NULL) return 0;
  if (value < 0 || value > UINT32_MAX) {
    PyErr_Format(PyExc_ValueError, "%lld: give a number from 0 to 4294967295", value);
    return 0;
  }
  *(uint32_t*)number = (uint32_t)value;
  return 1;
}

PyObject* core_open(PyObject* module, PyObject* args) {
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error error = {0, ""};
  PyObject* path = NULL;
  int fresh = 0;
  long long directory_bytes = 0, group = -1;
  (void)module;
  if (!PyArg_ParseTuple(args, "O&pO&O&O&LO&LO&", PyUnicode_FSConverter, &path, &fresh, read_uint32, &options.workers,
                        read_uint32, &options.slots, read_uint32, &options.cells, &directory_bytes, read_uint32,
                        &options.mode, &group, read_uint32, &options.series_per_family))
    return NULL;
  if (group < -1 || group > UINT32_MAX) {
    PyErr_Format(PyExc_ValueError, "group %lld: give the id of a group", group);
    Py_DECREF(path);
    return NULL;
  }
  options.path = PyBytes_AsString(path);
  options.start = fresh ? SHMETRICS_FRESH : SHMETRICS_ATTACH;
  options.directory_bytes = (uint64_t)directory_bytes;
  options.has_group = group >= 0;
  options.group = (uint32_t)group;
  options.quiet = 1; /* a RuntimeWarning says it */
  shmetrics_registry* registry = shmetrics_open(&options, &error);
  Py_DECREF(path);
  if (error.code == SHMETRICS_OK) return PyCapsule_New(registry, kHandle, NULL);
  PyErr_SetString(error.code == SHMETRICS_INVALID_ARGUMENT ? PyExc_ValueError : PyExc_OSError, error.message);
  return NULL;
}

PyObject* core_path(PyObject* module, PyObject* handle) {
  shmetrics_registry* registry = NULL;
  (void)module;
  return registry_of(handle, &registry) == 0 ? PyUnicode_DecodeFSDefault(shmetrics_path(registry)) : NULL;
}

typedef struct {
  const char *kind, *name, *help, *unit;
  const char* labels[MOST_LABELS];
  size_t label_count;
  uint32_t series_limit, naming;
  int mode, exemplars;
  double bounds[SHMETRICS_MAX_BOUNDS + 1]; /* with one more than there may be, so that too many are refused; of native
                                              buckets low, high and factor */
  size_t bound_count;
} Declaration;

static int read_bounds(PyObject* tuple, Declaration* wanted) {
  const Py_ssize_t count = PyTuple_Size(tuple);
  for (Py_ssize_t i = 0; i < count && i <= SHMETRICS_MAX_BOUNDS; ++i) {
    wanted->bounds[i] = PyFloat_AsDouble(PyTuple_GetItem(tuple, i));
    wanted->bound_count = (size_t)i + 1;
  }
  return PyErr_Occurred() == NULL ? 0 : -1;
}

static const void* declare(shmetrics_registry* registry, const Declaration* wanted, shmetrics_error* error) {
  shmetrics_family_options options = SHMETRICS_FAMILY_OPTIONS_INIT;
  options.unit = wanted->unit;
  options.series_limit = wanted->series_limit;
  options.naming = wanted->naming;
  options.exemplars = (uint32_t)wanted->exemplars;
  const char *name = wanted->name, *help = wanted->help, *const *labels = wanted->labels;
  const size_t count = wanted->label_count;
  switch (wanted->kind[0]) {
    case 'c':
      return shmetrics_declare_float_counter(registry, name, help, labels, count, &options, error);
    case 'g':
      return shmetrics_declare_gauge(registry, name, help, labels, count, (enum shmetrics_gauge_mode)wanted->mode,
                                     &options, error);
    case 'h':
      return shmetrics_declare_histogram(registry, name, help, labels, count, wanted->bounds, wanted->bound_count,
                                         &options, error);
    case 'n': {
      const double* const of = wanted->bounds;
      const shmetrics_native_buckets buckets = {of[0], of[1], of[2] == 0 ? -1 : of[2]}; /* 0 would be the default */
      return shmetrics_declare_native_histogram(registry, name, help, labels, count, buckets, &options, error);
    }
    default:
      return shmetrics_declare_summary(registry, name, help, labels, count, &options, error);
  }
}

PyObject* metric_declare(PyObject* self, PyObject* args) {
  Metric* metric = (Metric*)self;
  Declaration wanted = {0};
  PyObject *handle, *labels, *bounds;
  shmetrics_registry* registry = NULL;
  shmetrics_error error = {0, ""};
  if (!PyArg_ParseTuple(args, "sOssO!sO&iO!I|p", &wanted.kind, &handle, &wanted.name, &wanted.help, &PyTuple_Type,
                        &labels, &wanted.unit, read_uint32, &wanted.series_limit, &wanted.mode, &PyTuple_Type, &bounds,
                        &wanted.naming, &wanted.exemplars))
    return NULL;
  const Py_ssize_t count = texts_of(labels, wanted.labels, MOST_LABELS);
  if (count < 0 || read_bounds(bounds, &wanted) != 0 || registry_of(handle, &registry) != 0) return NULL;
  wanted.label_count = (size_t)count;
  if (registry != NULL) {
    metric->family = declare(registry, &wanted, &error);
    if (report(&error) != 0) return NULL;
  }
  Py_XDECREF(metric->label_names);
  metric->label_names = count > 0 ? Py_NewRef(labels) : NULL;
  metric->only_set =
      wanted.kind[0] == 'g' && (wanted.mode == SHMETRICS_LIVEMOSTRECENT || wanted.mode == SHMETRICS_MOSTRECENT);
  if (count == 0) metric->series = shmetrics_find(metric->family, NULL, 0);
  metric->is_refused = count == 0 && error.code != SHMETRICS_OK;
  Py_RETURN_NONE;
}

PyObject* core_info(PyObject* module, PyObject* args) {
  const char *name, *help, *names[MOST_LABELS], *values[MOST_LABELS];
  PyObject *handle, *label_names, *label_values;
  shmetrics_registry* registry = NULL;
  shmetrics_error error = {0, ""};
  (void)module;
  if (!PyArg_ParseTuple(args, "OssO!O!", &handle, &name, &help, &PyTuple_Type, &label_names, &PyTuple_Type,
                        &label_values))
    return NULL;
  const Py_ssize_t count = texts_of(label_names, names, MOST_LABELS);
  if (count < 0 || texts_of(label_values, values, MOST_LABELS) != count || registry_of(handle, &registry) != 0)
    return NULL;
  if (registry != NULL) shmetrics_info(registry, name, help, names, values, (size_t)count, &error);
  if (report(&error) != 0) return NULL;
  Py_RETURN_NONE;
}
