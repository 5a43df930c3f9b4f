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
TWO_WRITERS = "WRITERS=2 HALTS=0 FAMILIES=1"
# Name: model, macros, what is expected.
CASES = {
    "gauges": ("claim", "GAUGES " + SMALL, HOLDS),
    "one_lock_byte": ("claim", "GAUGES ONE_LOCK_BYTE " + SMALL, FOUND),
    "cells": ("claim", SMALL, HOLDS),
    "torn_copies": ("claim", TWO_BUCKETS, HOLDS),
    "overlay_after_bound": ("claim", "OVERLAY_AFTER_BOUND " + TWO_BUCKETS, FOUND),
    "directory": ("directory", "WRITERS=2 HALTS=2 FAMILIES=2", HOLDS),
    "three_writers": ("directory", "NO_READER WRITERS=3 HALTS=0 FAMILIES=1", HOLDS),
    "publish_first": ("directory", "PUBLISH_FIRST " + TWO_WRITERS, FOUND),
    "stale_cell": ("directory", "STALE_CELL " + TWO_WRITERS, FOUND),
    "stale_limit": ("directory", "STALE_LIMIT " + TWO_WRITERS, FOUND),
    "spill_after": ("directory", "SPILL_AFTER " + TWO_WRITERS, FOUND),
    "spare_in_child": ("directory", "SPARE_IN_CHILD " + TWO_WRITERS, FOUND),
    "one_entry_of_memory": ("directory", "ONE_ENTRY_OF_MEMORY " + TWO_WRITERS, FOUND),
}


def need(program):
    found = shutil.which(program)
    if found is None:
        print(f"skipped: no {program}; tools/install-dependencies.sh test installs it")
        sys.exit(77)
    return found


def run(case):
    model, macros, expected = CASES[case]
    flags = ["-DSAFETY", "-DMEMLIM=3000", "-DCOLLAPSE"]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / f"{model}.pml", folder)
        subprocess.run([need("spin"), *("-D" + macro for macro in macros.split()), "-a", f"{model}.pml"], cwd=folder,
                       check=True, capture_output=True)
        subprocess.run([need("gcc"), "-w", "-O2", *flags, "-o", "pan", "pan.c"], cwd=folder, check=True)
        begin = time.monotonic()
        command = ["./pan", "-m1000000"]
        text = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    errors = int(re.search(r"errors: (\d+)", text).group(1))
    states = float(re.search(r"([\d.e+]+) states, stored", text).group(1))
    is_whole = "search not completed" not in text and "max search depth too small" not in text
    violation = re.search(r"assertion violated (.*) \(at depth", text)
    print(f"{case}: {states:.0f} states, {errors} errors, {time.monotonic() - begin:.1f} s")
    if expected == FOUND:
        print(f"found: {violation.group(1) if violation else 'no assertion is violated'}")
        return violation is not None
    return errors == 0 and is_whole and states > 1000


def names_exist():
    """Every `file`: `name`, `name` of the tables is in that file."""
    missing, count = [], 0
    for cell in re.findall(r"\| ([^|]+) \|$", (HERE / "README.md").read_text(), re.MULTILINE):
        for file, functions in re.findall(r"`([a-z_/]+\.[ch]pp)`: ((?:`\w+`(?:, )?)+)", cell):
            text = (ROOT / file).read_text() if (ROOT / file).is_file() else ""
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
