"""Runs Spin over one case of a model, or holds README.md's names against the code.

usage: model_test.py CASE     one of the cases below, or `names`
       model_test.py          lists them

Exits 77, which ctest takes for skipped, when spin or a C compiler is missing.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HOLDS, FOUND = "holds", "found"
SMALL = "WORKERS=2 ENTRIES=1 SLOTS=1 KILLS=1"
TWO_BUCKETS = "WORKERS=1 ENTRIES=1 SLOTS=1 KILLS=0 BUCKETS=2 OBSERVATIONS=3 SCRAPES=2"
ADOPTED = "WORKERS=3 ENTRIES=2 SLOTS=1 KILLS=1 SCRAPES=0"
# Name: model, macros, what is expected, search. `all`: every state; `bits`: as many as a bit table of 2^29 holds.
CASES = {
    "gauges": ("claim", "GAUGES " + SMALL, HOLDS, "all"),
    "one_lock_byte": ("claim", "GAUGES ONE_LOCK_BYTE " + SMALL, FOUND, "all"),
    "cells": ("claim", SMALL, HOLDS, "all"),
    "claimer_completes_redo": ("claim", "CLAIMER_COMPLETES_REDO " + ADOPTED, FOUND, "all"),
    "torn_copies": ("claim", TWO_BUCKETS, HOLDS, "all"),
    "overlay_after_bound": ("claim", "OVERLAY_AFTER_BOUND " + TWO_BUCKETS, FOUND, "all"),
    "directory": ("directory", "WORKERS=3 KILLS=2", HOLDS, "all"),
    "own_cell_word": ("directory", "OWN_CELL_WORD WORKERS=2 KILLS=1", FOUND, "all"),
    "commit_first": ("directory", "COMMIT_FIRST WORKERS=2 KILLS=1", FOUND, "all"),
    "no_lock": ("directory", "NO_LOCK WORKERS=2 KILLS=0", FOUND, "all"),
    # Long.
    "three_gauges": ("claim", "GAUGES WORKERS=3 ENTRIES=1 SLOTS=1 KILLS=2", HOLDS, "bits"),
    "two_entries": ("claim", "WORKERS=2 ENTRIES=2 SLOTS=1 KILLS=1", HOLDS, "bits"),
    "three_adopt": ("claim", ADOPTED, HOLDS, "bits"),
    "three_workers": ("claim", "WORKERS=3 ENTRIES=2 SLOTS=1 KILLS=2", HOLDS, "bits"),
}


def need(program):
    found = shutil.which(program)
    if found is None:
        print(f"skipped: no {program}; tools/install-dependencies.sh test installs it")
        sys.exit(77)
    return found


def run(case):
    model, macros, expected, search = CASES[case]
    flags = ["-DSAFETY", "-DMEMLIM=3000"] + (["-DBITSTATE"] if search == "bits" else ["-DCOLLAPSE"])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / f"{model}.pml", folder)
        subprocess.run([need("spin"), *("-D" + macro for macro in macros.split()), "-a", f"{model}.pml"], cwd=folder,
                       check=True, capture_output=True)
        subprocess.run([need("gcc"), "-w", "-O2", *flags, "-o", "pan", "pan.c"], cwd=folder, check=True)
        begin = time.monotonic()
        command = ["./pan", "-m1000000"] + (["-w29", "-k3"] if search == "bits" else [])
        text = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    errors = int(re.search(r"errors: (\d+)", text).group(1))
    states = float(re.search(r"([\d.e+]+) states, stored", text).group(1))
    is_whole = "search not completed" not in text and "max search depth too small" not in text
    print(f"{case}: {states:.0f} states, {errors} errors, {time.monotonic() - begin:.1f} s"
          f"{'' if search == 'all' else ', not all of them'}")
    if expected == FOUND:
        return errors > 0
    return errors == 0 and is_whole and states > 1000


def names_exist():
    """Every `file`: `name`, `name` of the tables is in that file."""
    missing, count = [], 0
    for cell in re.findall(r"\| ([^|]+) \|$", (HERE / "README.md").read_text(), re.MULTILINE):
        for file, functions in re.findall(r"`([a-z_/]+\.[ch]pp)`: ((?:`\w+`(?:, )?)+)", cell):
            text = (ROOT / file).read_text()
            for function in re.findall(r"`(\w+)`", functions):
                count += 1
                if not re.search(rf"\b{function}\b", text):
                    missing.append(f"{file}: {function}")
    print(f"{count} names, missing: {missing}")
    return not missing and count >= 20


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in [*CASES, "names"]:
        sys.exit(__doc__ + "\n" + "\n".join([*CASES, "names"]))
    sys.exit(0 if (names_exist() if sys.argv[1] == "names" else run(sys.argv[1])) else 1)
