"""Runs programs of Ruby with the gem.

usage: NAME_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path += [str(HERE.parent / "python"), str(HERE.parent / "node")]

import segments  # noqa: E402: reads the arguments

CLIENT = os.environ.get("SHMETRICS_CLIENT_RUBY") or HERE / "stub"


def skip_without(*programs):
    """Ends a test program that cannot run here, and says why."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} is not here")
        sys.exit(77)


def environment(segment, **more):
    """With client_ruby, or its stand-in, in front of the gem of Debian that has the same name for its files."""
    folders = [segments.PACKAGE] + ([] if more.get("SHMETRICS_GEM") == "mmap" else [CLIENT])
    return {**os.environ, "SHMETRICS_SEGMENT": str(segment), "RUBYLIB": ":".join(map(str, folders)), **more}


def has_mmap():
    """Whether Debian's prometheus-client-mmap is here."""
    return subprocess.run(["ruby", "-e", "require 'shmetrics/client_mmap'"], capture_output=True,
                          env=environment(segments.SEGMENT, SHMETRICS_GEM="mmap")).returncode == 0


def run(segment, source, **more):
    """What a program wrote."""
    done = subprocess.run(["ruby", "-W:no-deprecated", "-e", source], env=environment(segment, **more), text=True,
                          capture_output=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def run_tests(name, **more):
    """The exit status of a test program of Ruby: 77 if it says why it cannot run here."""
    return subprocess.run(["ruby", "-W:no-deprecated", HERE / name], timeout=300,
                          env=environment(segments.SEGMENT, **more)).returncode
