"""The extension: from a checkout, and with libshmetrics_c, libshmetrics_reader and their headers where the compiler
looks.

With SHMETRICS_STUB=1 in the environment it needs no library and runs anywhere, and counts nothing: for a laptop.
"""
import os

from setuptools import Extension, setup

stub = os.environ.get("SHMETRICS_STUB", "") not in ("", "0")
setup(
    ext_modules=[Extension("shmetrics._core", ["core.c", "declaration.c", "reading.c"],
                           include_dirs=["../.."] + (["../c/include"] if stub else []),
                           define_macros=[("SHMETRICS_STUB", None)] if stub else [],
                           libraries=[] if stub else ["shmetrics_c", "shmetrics_reader"], py_limited_api=True)],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
