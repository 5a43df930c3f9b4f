/* The module shmetrics._core: an update of a series, with as little between Python and the cell as CPython allows. The
 * names that users know are made of it in shmetrics/__init__.py.
 *
 * Stable ABI: one build serves CPython 3.10 and all later ones. The interpreter's lock is held throughout: an update
 * takes less than to release it, and thus no signal handler or destructor written in Python runs within one. */
#include "client/python/core.h"

/* Whether `self` is a series that can be updated. */
static int is_series(PyObject* self) {
  if (((Metric*)self)->label_names == NULL) return 1;
  PyErr_SetString(PyExc_ValueError, "metric is missing label values: call labels() first");
  return 0;
}

/* What a refused family counts in is known when it could be declared again, which its look-ups try once a second. */
static shmetrics_series series_of(PyObject* self) {
  const Metric* metric = (Metric*)self;
  return metric->is_refused ? shmetrics_find(metric->family, NULL, 0) : metric->series;
}

/* One number, positional or by its name, and perhaps an exemplar. */
typedef struct {
  const char* name;
  int is_required;
  int has_exemplar;
  int takes_text; /* "5" too, as float() does */
} Signature;

static int refuse_arguments(const Signature* signature) {
  PyErr_Format(PyExc_TypeError, "takes %s%s%s", signature->is_required ? "" : "at most ", signature->name,
               signature->has_exemplar ? " and an exemplar" : "");
  return -1;
}

static int read_number(PyObject* const* args, Py_ssize_t count, PyObject* keywords, const Signature* signature,
                       double* number, PyObject** exemplar) {
  PyObject* given = count > 0 ? args[0] : NULL;
  const Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
  if (count > 1 + signature->has_exemplar) return refuse_arguments(signature);
  if (count > 1) *exemplar = args[1];
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* keyword = PyTuple_GetItem(keywords, i);
    if (given == NULL && PyUnicode_CompareWithASCIIString(keyword, signature->name) == 0) {
      given = args[count + i];
    } else if (!signature->has_exemplar || count > 1 || PyUnicode_CompareWithASCIIString(keyword, "exemplar") != 0) {
      return refuse_arguments(signature);
    } else {
      *exemplar = args[count + i];
    }
  }
  if (given == NULL) return signature->is_required ? refuse_arguments(signature) : 0;
  PyObject* parsed = signature->takes_text ? PyNumber_Float(given) : Py_NewRef(given);
  *number = parsed == NULL ? -1 : PyFloat_AsDouble(parsed);
  Py_XDECREF(parsed);
  return *number == -1 && PyErr_Occurred() != NULL ? -1 : 0;
}

/* ---- series ---- */

/* The value that labels() was given for a label; a borrowed reference, NULL when there is none. */
static PyObject* find_value(PyObject* name, PyObject* const* values, PyObject* keywords) {
  const Py_ssize_t count = PyTuple_Size(keywords);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* keyword = PyTuple_GetItem(keywords, i);
    if (keyword == name || PyUnicode_Compare(keyword, name) == 0) return values[i];
  }
  return NULL;
}

/* str(value) in UTF-8. It lives as long as `*held`, or as `value` where that is a str. What is no UTF-8, as paths may
 * be, becomes what the library knows to be none: it shares the family's overflow series. */
static int read_value(PyObject* value, PyObject** held, shmetrics_string* text) {
  Py_ssize_t size = 0;
  *held = NULL;
  if (!PyUnicode_CheckExact(value)) {
    value = *held = PyObject_Str(value);
    if (value == NULL) return -1;
  }
  text->data = PyUnicode_AsUTF8AndSize(value, &size);
  text->size = (size_t)size;
  if (text->data != NULL) return 0;
  if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
    Py_CLEAR(*held);
    return -1;
  }
  PyErr_Clear();
  text->data = "\xff";
  text->size = 1;
  return 0;
}

typedef PyObject* (*Use)(Metric* family, const shmetrics_string* values, size_t count);

static PyObject* with_values(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords, Use use) {
  Metric* family = (Metric*)self;
  const Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
  PyObject* names = family->label_names;
  const Py_ssize_t wanted = names == NULL ? 0 : PyTuple_Size(names);
  PyObject* held[MOST_LABELS];
  shmetrics_string values[MOST_LABELS];
  PyObject* result = NULL;
  if (wanted == 0 || count + named != wanted || (count > 0 && named > 0)) {
    PyErr_Format(PyExc_ValueError, "labels() takes %zd values, by position or by name", wanted);
    return NULL;
  }
  Py_INCREF(names); /* a __str__ below may declare the family anew */
  Py_ssize_t read = 0;
  for (; read < wanted; ++read) {
    PyObject* value = named == 0 ? args[read] : find_value(PyTuple_GetItem(names, read), args, keywords);
    if (value == NULL) PyErr_Format(PyExc_ValueError, "labels() misses %R", PyTuple_GetItem(names, read));
    if (value == NULL || read_value(value, &held[read], &values[read]) != 0) break;
  }
  if (read == wanted) result = use(family, values, (size_t)wanted);
  while (read > 0) Py_XDECREF(held[--read]);
  Py_DECREF(names);
  return result;
}

/* Nothing is kept here, so that label values without bound cost no memory: the library finds a known series again by a
 * hash and a compare. */
static PyObject* make_series(Metric* family, const shmetrics_string* values, size_t count) {
  Metric* series = (Metric*)PyType_GenericAlloc(Py_TYPE(family), 0);
  if (series == NULL) return NULL;
  series->family = family->family;
  series->only_set = family->only_set;
  series->series = shmetrics_find_strings(family->family, values, count);
  return (PyObject*)series;
}

static PyObject* metric_labels(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  return with_values(self, args, count, keywords, make_series);
}

static PyObject* counter_inc(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  static const Signature kSignature = {"amount", 0, 1, 0};
  const shmetrics_float_counter counter = {series_of(self)};
  double amount = 1;
  PyObject* exemplar = NULL;
  if (!is_series(self) || read_number(args, count, keywords, &kSignature, &amount, &exemplar) != 0) return NULL;
  if (amount < 0) {
    PyErr_SetString(PyExc_ValueError, "Counters can only be incremented by non-negative amounts.");
    return NULL;
  }
  if (exemplar == NULL) {
    shmetrics_float_counter_add(counter, amount);
    Py_RETURN_NONE;
  }
  /* What is wrong with an exemplar does not keep its update from counting. */
  ExemplarLabels labels = {0};
  const int is_sound = read_exemplar(exemplar, &labels) == 0;
  shmetrics_float_counter_add_exemplar(counter, amount, is_sound ? &labels.exemplar : NULL);
  Py_XDECREF(labels.items);
  return is_sound ? Py_NewRef(Py_None) : NULL;
}

static int is_addable(PyObject* self) {
  if (!((Metric*)self)->only_set) return is_series(self);
  PyErr_SetString(PyExc_RuntimeError, "inc must not be used with the mostrecent mode: use set()");
  return 0;
}

static PyObject* gauge_add(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords, double sign) {
  static const Signature kSignature = {"amount", 0, 0, 0};
  const shmetrics_gauge gauge = {series_of(self)};
  double amount = 1;
  if (!is_addable(self) || read_number(args, count, keywords, &kSignature, &amount, NULL) != 0) return NULL;
  shmetrics_gauge_add(gauge, sign * amount);
  Py_RETURN_NONE;
}

static PyObject* gauge_inc(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  return gauge_add(self, args, count, keywords, 1);
}

static PyObject* gauge_dec(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  return gauge_add(self, args, count, keywords, -1);
}

/* Adds 1 and says whether it counted; if not, it must not be taken off again. */
static PyObject* gauge_enter(PyObject* self, PyObject* unused) {
  const shmetrics_gauge gauge = {series_of(self)};
  (void)unused;
  return is_addable(self) ? PyBool_FromLong(shmetrics_gauge_add(gauge, 1)) : NULL;
}

static PyObject* gauge_set(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  static const Signature kSignature = {"value", 1, 0, 1};
  const shmetrics_gauge gauge = {series_of(self)};
  double value = 0;
  if (!is_series(self) || read_number(args, count, keywords, &kSignature, &value, NULL) != 0) return NULL;
  shmetrics_gauge_set(gauge, value);
  Py_RETURN_NONE;
}

static PyObject* gauge_set_to_current_time(PyObject* self, PyObject* unused) {
  const shmetrics_gauge gauge = {series_of(self)};
  (void)unused;
  if (!is_series(self)) return NULL;
  shmetrics_gauge_set_to_current_time(gauge);
  Py_RETURN_NONE;
}

static PyObject* remove_series(Metric* family, const shmetrics_string* values, size_t count) {
  shmetrics_gauge_remove(family->family, values, count);
  Py_RETURN_NONE;
}

static PyObject* gauge_remove(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  return with_values(self, args, count, keywords, remove_series);
}

static PyObject* gauge_own_value(PyObject* self, PyObject* unused) {
  const shmetrics_gauge gauge = {series_of(self)};
  double value = 0;
  (void)unused;
  if (!is_series(self)) return NULL;
  if (!shmetrics_gauge_own(gauge, &value)) Py_RETURN_NONE;
  return PyFloat_FromDouble(value);
}

static PyObject* histogram_observe(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  static const Signature kSignature = {"amount", 1, 1, 0};
  const shmetrics_histogram histogram = {series_of(self)};
  double amount = 0;
  PyObject* exemplar = NULL;
  if (!is_series(self) || read_number(args, count, keywords, &kSignature, &amount, &exemplar) != 0) return NULL;
  if (exemplar == NULL) {
    shmetrics_histogram_observe(histogram, amount);
    Py_RETURN_NONE;
  }
  ExemplarLabels labels = {0};
  const int is_sound = read_exemplar(exemplar, &labels) == 0;
  shmetrics_histogram_observe_exemplar(histogram, amount, is_sound ? &labels.exemplar : NULL);
  Py_XDECREF(labels.items);
  return is_sound ? Py_NewRef(Py_None) : NULL;
}

static PyObject* summary_observe(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  static const Signature kSignature = {"amount", 1, 0, 0};
  const shmetrics_summary summary = {series_of(self)};
  double amount = 0;
  if (!is_series(self) || read_number(args, count, keywords, &kSignature, &amount, NULL) != 0) return NULL;
  shmetrics_summary_observe(summary, amount);
  Py_RETURN_NONE;
}

/* Else the default one would make an object that counts nowhere. */
static PyObject* metric_reduce(PyObject* self, PyObject* protocol) {
  (void)protocol;
  return PyErr_Format(PyExc_TypeError, "a metric cannot be pickled or copied: %R", (PyObject*)Py_TYPE(self));
}

static void metric_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(((Metric*)self)->label_names);
  ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

/* ---- the module ---- */

#define FAST(function) (PyCFunction)(void (*)(void)) function, METH_FASTCALL | METH_KEYWORDS

/* help() shows the signature, up to the two dashes, and the sentence. */
#define DOC(signature, sentence) PyDoc_STR(signature "\n--\n\n" sentence)
#define LABELS_DOC DOC("labels($self, *values, **named_values)", "The series with these label values: str() of each.")
#define INC_DOC DOC("inc($self, amount=1, exemplar=None)", "Adds amount, which is not negative.")
#define OBSERVE_DOC DOC("observe($self, amount, exemplar=None)", "Counts amount in its bucket.")

#define OF_ALL                                                                                   \
  {"_declare", metric_declare, METH_VARARGS, NULL}, {"labels", FAST(metric_labels), LABELS_DOC}, \
      {"__reduce_ex__", metric_reduce, METH_O, NULL}, {                                          \
    NULL, NULL, 0, NULL                                                                          \
  }
static PyMethodDef kCounterMethods[] = {{"inc", FAST(counter_inc), INC_DOC}, OF_ALL};
static PyMethodDef kGaugeMethods[] = {
    {"inc", FAST(gauge_inc), DOC("inc($self, amount=1)", "Adds amount.")},
    {"dec", FAST(gauge_dec), DOC("dec($self, amount=1)", "Takes amount away.")},
    {"set", FAST(gauge_set), DOC("set($self, value)", "Is value from now on.")},
    {"set_to_current_time", gauge_set_to_current_time, METH_NOARGS,
     DOC("set_to_current_time($self)", "Is the time in seconds since 1970.")},
    {"_enter", gauge_enter, METH_NOARGS, NULL},
    {"_remove", FAST(gauge_remove), NULL},
    {"own_value", gauge_own_value, METH_NOARGS, DOC("own_value($self)", "What this process itself has set, or None.")},
    OF_ALL};
static PyMethodDef kHistogramMethods[] = {{"observe", FAST(histogram_observe), OBSERVE_DOC}, OF_ALL};
static PyMethodDef kSummaryMethods[] = {
    {"observe", FAST(summary_observe), DOC("observe($self, amount)", "Adds amount to the sum, and 1 to the number.")},
    OF_ALL};

static int add_type(PyObject* module, const char* name, PyMethodDef* methods) {
  PyType_Slot slots[] = {{Py_tp_methods, methods}, {Py_tp_dealloc, (void*)metric_dealloc}, {0, NULL}};
  PyType_Spec spec = {name, sizeof(Metric), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  PyObject* type = PyType_FromSpec(&spec);
  const int added = type == NULL ? -1 : PyModule_AddObjectRef(module, strrchr(name, '.') + 1, type);
  Py_XDECREF(type);
  return added;
}

static int add_types(PyObject* module) {
  return add_type(module, "shmetrics._core.Counter", kCounterMethods) != 0 ||
                 add_type(module, "shmetrics._core.Gauge", kGaugeMethods) != 0 ||
                 add_type(module, "shmetrics._core.Histogram", kHistogramMethods) != 0 ||
                 add_type(module, "shmetrics._core.Summary", kSummaryMethods) != 0
             ? -1
             : 0;
}

static PyObject* core_release_worker(PyObject* module, PyObject* unused) {
  (void)module;
  (void)unused;
  shmetrics_release_worker();
  Py_RETURN_NONE;
}

static PyObject* core_resume_worker(PyObject* module, PyObject* unused) {
  (void)module;
  (void)unused;
  shmetrics_resume_worker();
  Py_RETURN_NONE;
}

static PyObject* core_set_program(PyObject* module, PyObject* name) {
  const char* text = text_of(name);
  (void)module;
  if (text == NULL) return NULL;
  shmetrics_set_program(text);
  Py_RETURN_NONE;
}

static PyMethodDef kFunctions[] = {{"open", core_open, METH_VARARGS, NULL},
                                   {"release_worker", core_release_worker, METH_NOARGS, NULL},
                                   {"resume_worker", core_resume_worker, METH_NOARGS, NULL},
                                   {"set_program", core_set_program, METH_O, NULL},
                                   {"path", core_path, METH_O, NULL},
                                   {"info", core_info, METH_VARARGS, NULL},
                                   {"render", core_render, METH_VARARGS, NULL},
                                   {"value", core_value, METH_VARARGS, NULL},
                                   {"samples", core_samples, METH_O, NULL},
                                   {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot kSlots[] = {{Py_mod_exec, (void*)add_types}, {0, NULL}};
static struct PyModuleDef kModule = {PyModuleDef_HEAD_INIT, .m_name = "shmetrics._core", .m_methods = kFunctions,
                                     .m_slots = kSlots};

PyMODINIT_FUNC PyInit__core(void) {
  return PyModuleDef_Init(&kModule);
}
