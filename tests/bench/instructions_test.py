#!/usr/bin/env python3
"""Each kind of update, and a scrape, takes no more instructions than its budget says.

usage: instructions_test.py PROGRAM BUDGETS

Callgrind counts what measured_by_callgrind() of bench/instructions.cpp executes. A budget that has become much too
large is an error too: it would let the next change give away what this one won.
"""
import json
import re
import subprocess
import sys
import tempfile

SLACK = 0.8  # of a budget that must be used


def instructions(program, work):
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured_by_callgrind",
                   f"--callgrind-out-file={folder}/out", program, work]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or collected is None:
        sys.exit(f"{work}: exit code {run.returncode}\n{run.stdout}{run.stderr}")
    return int(collected.group(1)) / int(run.stdout)


def main(program, budgets):
    failed = False
    with open(budgets) as file:
        expected = json.load(file)["instructions"]
    for work, budget in expected.items():
        seen = instructions(program, work)
        verdict = "ok"
        if seen > budget:
            verdict = "over its budget"
        elif seen < SLACK * budget:
            verdict = "far below its budget: lower it"
        failed |= verdict != "ok"
        print(f"{work}: {seen:.1f} instructions an operation, budget {budget}: {verdict}")
    return 1 if failed else 0


sys.exit(main(*sys.argv[1:]))
