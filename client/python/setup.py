"""The extension: from a checkout, and with libshmetrics_c and its header where the compiler looks."""
from setuptools import Extension, setup

setup(
    ext_modules=[Extension("shmetrics._core", ["core.c", "declaration.c"], include_dirs=["../.."],
                           libraries=["shmetrics_c"], py_limited_api=True)],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
