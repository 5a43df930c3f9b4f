/* Exemplars as prometheus_client takes them: a mapping of label names to values, of any legal names. */
#include <string.h>

#include "client/python/core.h"

#define MOST_CHARACTERS 128 /* of all names and values: the limit of OpenMetrics */

/* As an identifier of ASCII, and without the beginning that Prometheus keeps. */
static int is_label_name(const char* name) {
  static const char kFirst[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  static const char kAny[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return name[0] != 0 && strchr(kFirst, name[0]) != NULL && name[strspn(name, kAny)] == 0 &&
         strncmp(name, "__", 2) != 0;
}

/* Item `at` of the list, which then holds it as a tuple: a mapping of any class may give something else. */
static PyObject* read_pair(PyObject* items, Py_ssize_t at) {
  PyObject* const pair = PySequence_Tuple(PyList_GetItem(items, at));
  if (pair == NULL || PyList_SetItem(items, at, pair) != 0) return NULL;
  if (PyTuple_Size(pair) == 2) return pair;
  PyErr_Format(PyExc_ValueError, "exemplar: %R is no name with a value", pair);
  return NULL;
}

static int read_label(PyObject* pair, ExemplarLabels* labels, Py_ssize_t* characters) {
  PyObject *name = PyTuple_GetItem(pair, 0), *value = PyTuple_GetItem(pair, 1);
  const char* const name_text = text_of(name);
  const char* const value_text = name_text == NULL ? NULL : text_of(value);
  if (value_text == NULL) return -1;
  if (!is_label_name(name_text)) {
    PyErr_Format(PyExc_ValueError, "exemplar: %R is no name of a label", name);
    return -1;
  }
  *characters += PyUnicode_GetLength(name) + PyUnicode_GetLength(value);
  /* An empty value takes no room. Of labels that cannot fit, those that show it are enough. */
  if (value_text[0] == 0 || labels->exemplar.label_count == MOST_EXEMPLAR_LABELS) return 0;
  labels->names[labels->exemplar.label_count] = name_text;
  labels->values[labels->exemplar.label_count++] = value_text;
  return 0;
}

int read_exemplar(PyObject* given, ExemplarLabels* labels) {
  const int is_given = given == NULL || given == Py_None ? 0 : PyObject_IsTrue(given);
  Py_ssize_t characters = 0;
  if (is_given <= 0) return is_given;
  labels->items = PyMapping_Items(given);
  if (labels->items == NULL) return -1;
  labels->exemplar.names = labels->names;
  labels->exemplar.values = labels->values;
  const Py_ssize_t count = PyList_Size(labels->items);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* const pair = read_pair(labels->items, i);
    if (pair == NULL || read_label(pair, labels, &characters) != 0) return -1;
  }
  if (characters <= MOST_CHARACTERS) return 0;
  PyErr_Format(PyExc_ValueError, "exemplar: names and values have %zd characters, at most %d are allowed", characters,
               MOST_CHARACTERS);
  return -1;
}
