/* Reading the segment back: all workers' values, merged, in this worker. */
#include "client/python/core.h"

#if defined(SHMETRICS_STUB) /* nothing was counted */

PyObject* core_render(PyObject* module, PyObject* args) {
  (void)module;
  (void)args;
  return PyBytes_FromStringAndSize("", 0);
}

PyObject* core_value(PyObject* module, PyObject* args) {
  (void)module;
  (void)args;
  Py_RETURN_NONE;
}

PyObject* core_samples(PyObject* module, PyObject* handle) {
  (void)module;
  (void)handle;
  return PyList_New(0);
}

#else

#include <shmetrics/reader.h>
#include <stdlib.h>

static int raise_error(const shmetrics_reader_error* error) {
  PyErr_SetString(error->code == SHMETRICS_FULL ? PyExc_MemoryError : PyExc_OSError, error->message);
  return -1;
}

/* Looks at the segment, without the interpreter's lock; NULL and an exception. */
static shmetrics_reading* read_segment(PyObject* handle) {
  shmetrics_registry* registry = NULL;
  shmetrics_reader_error error = {0, ""};
  shmetrics_reading* reading = NULL;
  if (registry_of(handle, &registry) != 0) return NULL;
  if (registry == NULL) {
    PyErr_SetString(PyExc_OSError, "there is no segment: its declaration warned why");
    return NULL;
  }
  Py_BEGIN_ALLOW_THREADS;
  reading = shmetrics_read_descriptor(shmetrics_descriptor(registry), &error);
  Py_END_ALLOW_THREADS;
  if (reading == NULL) raise_error(&error);
  return reading;
}

/* Text that grows, made without the interpreter's lock. */
typedef struct {
  char* bytes;
  size_t size, room;
} Text;

static int append(void* context, const char* bytes, size_t size) {
  Text* text = context;
  if (text->size + size > text->room) {
    const size_t room = (text->size + size) * 2;
    char* grown = realloc(text->bytes, room);
    if (grown == NULL) return 1;
    text->bytes = grown;
    text->room = room;
  }
  memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
  return 0;
}

/* The names that are asked for, in UTF-8. */
typedef struct {
  const char** names;
  Py_ssize_t count;
} Wanted;

static int is_wanted(void* context, const char* name) {
  const Wanted* wanted = context;
  for (Py_ssize_t i = 0; i < wanted->count; ++i) {
    if (strcmp(wanted->names[i], name) == 0) return 1;
  }
  return 0;
}

PyObject* core_render(PyObject* module, PyObject* args) {
  PyObject *handle, *names, *rendered = NULL;
  int format = SHMETRICS_TEXT, result = 0;
  shmetrics_reader_error error = {0, ""};
  Text text = {NULL, 0, 0};
  (void)module;
  if (!PyArg_ParseTuple(args, "OiO!", &handle, &format, &PyTuple_Type, &names)) return NULL;
  Wanted wanted = {NULL, PyTuple_Size(names)};
  wanted.names = calloc((size_t)wanted.count + 1, sizeof *wanted.names);
  if (wanted.names == NULL) return PyErr_NoMemory();
  for (Py_ssize_t i = 0; i < wanted.count; ++i) {
    wanted.names[i] = text_of(PyTuple_GetItem(names, i));
    if (wanted.names[i] == NULL) goto done;
  }
  shmetrics_reading* reading = read_segment(handle);
  if (reading == NULL) goto done;
  Py_BEGIN_ALLOW_THREADS;
  result = shmetrics_reading_render(reading, (enum shmetrics_format)format, wanted.count > 0 ? is_wanted : NULL,
                                    &wanted, append, &text, &error);
  shmetrics_reading_free(reading);
  Py_END_ALLOW_THREADS;
  if (result > 0) PyErr_NoMemory();
  if (result < 0) raise_error(&error);
  if (result == 0) rendered = PyBytes_FromStringAndSize(text.bytes, (Py_ssize_t)text.size);
done:
  free(text.bytes);
  free(wanted.names);
  return rendered;
}

PyObject* core_value(PyObject* module, PyObject* args) {
  const char *name, *names[MOST_LABELS + 1], *values[MOST_LABELS + 1]; /* `le` or `worker` beside a family's own */
  PyObject *handle, *label_names, *label_values;
  double value = 0;
  int is_there = 0;
  (void)module;
  if (!PyArg_ParseTuple(args, "OsO!O!", &handle, &name, &PyTuple_Type, &label_names, &PyTuple_Type, &label_values))
    return NULL;
  const Py_ssize_t count = texts_of(label_names, names, MOST_LABELS + 1);
  if (count < 0 || texts_of(label_values, values, MOST_LABELS + 1) != count) return NULL;
  shmetrics_reading* reading = read_segment(handle);
  if (reading == NULL) return NULL;
  Py_BEGIN_ALLOW_THREADS; /* the tuples keep the texts */
  is_there = shmetrics_reading_value(reading, name, names, values, (size_t)count, &value);
  shmetrics_reading_free(reading);
  Py_END_ALLOW_THREADS;
  if (!is_there) Py_RETURN_NONE;
  return PyFloat_FromDouble(value);
}

static int append_sample(void* list, const shmetrics_sample* sample) {
  PyObject* labels = PyDict_New();
  for (size_t i = 0; labels != NULL && i < sample->label_count; ++i) {
    PyObject* value = PyUnicode_FromString(sample->label_values[i]);
    if (value == NULL || PyDict_SetItemString(labels, sample->label_names[i], value) != 0) Py_CLEAR(labels);
    Py_XDECREF(value);
  }
  if (labels == NULL) return 1;
  PyObject* row = Py_BuildValue("(sssssNd)", sample->family, sample->type, sample->help, sample->unit, sample->name,
                                labels, sample->value);
  const int is_kept = row != NULL && PyList_Append(list, row) == 0;
  Py_XDECREF(row);
  return !is_kept;
}

PyObject* core_samples(PyObject* module, PyObject* handle) {
  shmetrics_reader_error error = {0, ""};
  (void)module;
  shmetrics_reading* reading = read_segment(handle);
  if (reading == NULL) return NULL;
  PyObject* list = PyList_New(0);
  const int result = list == NULL ? 1 : shmetrics_reading_walk(reading, append_sample, list, &error);
  shmetrics_reading_free(reading);
  if (result == 0) return list;
  if (result < 0) raise_error(&error);
  Py_XDECREF(list);
  return NULL;
}

#endif
