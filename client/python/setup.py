"""Builds the extension by CMake, from a checkout or from what an sdist carries. It needs cmake, a C++ compiler and the
headers of Boost, xxHash, nlohmann-json and protozero; where one is missing, CMake says which package has it.

With SHMETRICS_STUB=1 in the environment it needs none of them and runs anywhere, and counts nothing: for a laptop.
"""
import os
import pathlib
import shutil
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
CARRIED = HERE / "source"
SOURCE = CARRIED if CARRIED.is_dir() else HERE.parents[1]
NEEDED = ("CMakeLists.txt", "shm", "client", "collector", "tools/requirements.cmake", "tools/hardening.cmake")
NOT_NEEDED = ("build", "source", "node", "testing", "*.egg-info", "__pycache__")


class BuildByCMake(build_ext):
    def build_extension(self, extension):
        if extension.sources:
            super().build_extension(extension)
            return
        directory = pathlib.Path(self.build_temp).resolve()
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []  # make may be missing
        self.run_step("cmake", "-S", SOURCE, "-B", directory, *generator, "-DCMAKE_BUILD_TYPE=Release",
                      "-DSHMETRICS_CLIENT_ONLY=ON", "-DSHMETRICS_PYTHON=ON", "-DSHMETRICS_INSTALL=OFF",
                      "-DSHMETRICS_TESTS=OFF", f"-DPython3_EXECUTABLE={sys.executable}")
        self.run_step("cmake", "--build", directory, "--parallel", str(os.cpu_count()), "--target", "shmetrics_python")
        built = pathlib.Path(self.get_ext_fullpath(extension.name))
        built.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(directory / "python/shmetrics/_core.abi3.so", built)
        self.run_step("strip", "--strip-unneeded", built)

    @staticmethod
    def run_step(*command):
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError:
            sys.exit(f"shmetrics is built by {command[0]}, which is not there: install it")
        except subprocess.CalledProcessError:
            sys.exit("shmetrics was not built: see above; SHMETRICS_STUB=1 makes a package that counts nothing")


class WithSources(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        for name in NEEDED:
            target = pathlib.Path(base_dir, "source", name)
            if (SOURCE / name).is_dir():
                shutil.copytree(SOURCE / name, target, ignore=shutil.ignore_patterns(*NOT_NEEDED))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(SOURCE / name, target)


def extension():
    if os.environ.get("SHMETRICS_STUB", "") in ("", "0"):
        return Extension("shmetrics._core", [], py_limited_api=True)
    relative = pathlib.Path(os.path.relpath(SOURCE, HERE))  # setuptools wants it so
    return Extension("shmetrics._core", [str(relative / "client/python" / name)
                                         for name in ("core.c", "declaration.c", "exemplar.c", "reading.c")],
                     include_dirs=[str(relative), str(relative / "client/c/include")],
                     define_macros=[("SHMETRICS_STUB", None)], py_limited_api=True)


setup(ext_modules=[extension()], cmdclass={"build_ext": BuildByCMake, "sdist": WithSources},
      options={"bdist_wheel": {"py_limited_api": "cp310"}})
