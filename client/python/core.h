/* What the two halves of the module shmetrics._core share. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030a0000
#include <Python.h>

#include <shmetrics/shmetrics.h>

#define MOST_LABELS 16

/* A family, or a series of it. */
typedef struct {
  PyObject_HEAD const void* family; /* NULL: the declaration failed, and updates do nothing */
  shmetrics_series series;          /* inert in a family with labels */
  PyObject* label_names;            /* a tuple, of a family whose labels() has to be called; else NULL */
  int is_refused;                   /* of such a family, without labels: each update looks for its series anew */
  int only_set;                     /* a gauge that shows the most recent value: what is added to it means nothing */
} Metric;

/* declaration.c; what they take is in shmetrics/_core.pyi. */
PyObject* core_open(PyObject* module, PyObject* args);
PyObject* core_path(PyObject* module, PyObject* handle);
PyObject* core_info(PyObject* module, PyObject* args);
PyObject* metric_declare(PyObject* self, PyObject* args);

/* declaration.c; of use to both. */
const char* text_of(PyObject* object);
Py_ssize_t texts_of(PyObject* tuple, const char** texts, Py_ssize_t most);
int registry_of(PyObject* handle, shmetrics_registry** registry);

/* exemplar.c. What was read lives as long as `items`, which the caller drops; it begins as zeros. */
#define MOST_EXEMPLAR_LABELS 32
typedef struct {
  PyObject* items;
  const char* names[MOST_EXEMPLAR_LABELS];
  const char* values[MOST_EXEMPLAR_LABELS];
  shmetrics_exemplar exemplar;
} ExemplarLabels;
/* -1 and an exception: it is no exemplar. NULL, None and an empty one are none, and no mistake. */
int read_exemplar(PyObject* given, ExemplarLabels* labels);

/* reading.c */
PyObject* core_render(PyObject* module, PyObject* args);
PyObject* core_value(PyObject* module, PyObject* args);
PyObject* core_samples(PyObject* module, PyObject* handle);
