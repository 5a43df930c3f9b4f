"""A segment of its own for each test program, and what Prometheus would read from it."""
import atexit
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

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


def forked(function):
    """A child that runs the function and leaves as a worker of gunicorn does, with 0 if nothing was raised."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return child


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


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def exporter_of(test, segment):
    """Where the exporter serves the segment."""
    port = free_port()
    process = subprocess.Popen([PROGRAMS / "shmetrics-exporter", "--segment", segment, "--log.level", "error",
                                "--web.listen-address", f"127.0.0.1:{port}"])
    test.addCleanup(process.wait)
    test.addCleanup(process.terminate)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return f"http://127.0.0.1:{port}/metrics"
        time.sleep(0.02)
    raise AssertionError("the exporter does not listen")


def exported(url, prefix):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return samples_of(answer.read().decode(), prefix)


def deaths(url):
    """Those that were counted, and those that will be once another worker takes the entry over."""
    found = exported(url, "shmetrics_worker")
    return found["shmetrics_worker_deaths_total"] + found['shmetrics_workers{state="dead"}']


def get(port, path, timeout=10):
    """The answer's text; None if the worker is gone. A connection that a killed worker was given never answers. While
    no worker is there, nobody listens."""
    for _ in range(300):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().read().decode()
        except ConnectionRefusedError:
            time.sleep(0.1)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
    raise AssertionError("no worker comes back")


def deaths_in(segment, *flags):
    """Of the workers that ended: those before whose entries were taken over, and those that nobody has followed. The
    table shows no entry that a program has claimed at its start, and not used since; so the exporter has to say."""
    port = free_port()
    exporter = subprocess.Popen([PROGRAMS / "shmetrics-exporter", "--segment", segment, "--web.listen-address",
                                 f"127.0.0.1:{port}", *flags], stderr=subprocess.DEVNULL)
    try:
        shown = samples_of(get(port, "/metrics"), "shmetrics_worker")
    finally:
        exporter.terminate()
        exporter.wait()
    return shown["shmetrics_worker_deaths_total"] + shown['shmetrics_workers{state="dead"}']
