"""Runs programs of Node with the package, and its peer if npm could bring it.

usage: NAME_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "python"))
PEERS = pathlib.Path(sys.argv.pop(3)).resolve()

import segments  # noqa: E402: reads the other two arguments
from segments import deaths_in, free_port, get  # noqa: E402, F401: for the tests

MODULES = segments.PACKAGE / "node_modules"
NODE = os.environ.get("SHMETRICS_TEST_NODE") or shutil.which("node") or shutil.which("nodejs")


def skip_without(*wanted):
    """Ends a test program that cannot run here, and says why."""
    why = None
    if NODE is None:
        why = "node is not here"
    for name in wanted:
        if not (PEERS / name).exists():
            why = f"npm did not bring {name} when CMake configured"
    if why:
        print(f"skipped: {why}")
        sys.exit(77)


def environment(segment, **more):
    return {**os.environ, "SHMETRICS_SEGMENT": str(segment), "NODE_PATH": f"{MODULES}:{PEERS}", **more}


def path_without(name):
    """NODE_PATH with all peers but this one: the package looks for prom-client before its successor."""
    others = segments.new_directory()
    for peer in PEERS.iterdir():
        if peer.name != name:
            (others / peer.name).symlink_to(peer)
    return f"{MODULES}:{others}"


def start(segment, *arguments, flags=(), **more):
    return subprocess.Popen([NODE, *flags, *map(str, arguments)], env=environment(segment, **more), text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(segment, *arguments, flags=(), **more):
    """(what a program wrote, its warnings)."""
    done = subprocess.run([NODE, *flags, *map(str, arguments)], env=environment(segment, **more), text=True,
                          capture_output=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout, done.stderr


def evaluate(segment, program, **more):
    """What `async client => { PROGRAM }` returns, by JSON, and its warnings."""
    source = ("const client = require('@shmetrics/prom-client');\n"
              f"(async () => {{ {program} }})().then(result => console.log(JSON.stringify(result ?? null)));")
    written, warnings = run(segment, "-e", source, **more)
    return json.loads(written), warnings
