"""A segment of its own for each test program, and what Prometheus would read from it."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import prometheus_client.parser

PACKAGE, PROGRAMS = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
sys.path.insert(0, str(PACKAGE))
del sys.argv[1:3]  # unittest reads the rest


def new_directory():
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = tempfile.mkdtemp(prefix="shmetrics-test.", dir=place)
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(directory, ignore_errors=True))
    return pathlib.Path(directory)


# What is declared without a registry.
SEGMENT = new_directory() / "test.seg"
os.environ["SHMETRICS_SEGMENT"] = str(SEGMENT)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PACKAGE)}


def dump(segment, form):
    return subprocess.run([PROGRAMS / "shmetrics", "dump", segment, "--format", form], capture_output=True, text=True,
                          check=True, timeout=60).stdout


def samples(segment=SEGMENT, prefix=""):
    """{'name{label="value"}': value} of the families whose names begin so, by prometheus_client's parser."""
    return samples_of(dump(segment, "text"), prefix)


def samples_of(text, prefix="", parse=prometheus_client.parser):
    found = {}
    for family in parse.text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            if sample.name.startswith(prefix):
                found[sample.name + ("{" + labels + "}" if labels else "")] = sample.value
    return found


def workers(segment=SEGMENT):
    return json.loads(dump(segment, "json"))["workers"]
