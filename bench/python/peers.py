"""The package for Python beside client_python in multiprocess mode, and beside ctypes.

usage: peers.py DIRECTORY_OF_BUILD [WORKERS TO RECYCLE]    (as in: /usr/bin/python3 bench/python/peers.py build/release)

First what an update costs, then one application under gunicorn (4 workers, --preload, each of them serves 20 requests,
one for each route): scrape time over HTTP and room taken, with no worker recycled and with 1,000, and the counts beside
the answers.
"""
import ctypes
import functools
import http.client
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit

HERE = pathlib.Path(__file__).parent
ROUTES = [f"/route/{i}" for i in range(20)]
OURS, THEIRS = "shmetrics", "prometheus_client"
HOOK = "from prometheus_client import multiprocess\n\ndef child_exit(server, worker):\n    " \
       "multiprocess.mark_process_dead(worker.pid)\n"
COUNTED = re.compile(r"^app_http_requests_total\{.*\} (\S+)$", re.MULTILINE)


def nanoseconds(statement, names, number=200_000):
    repeat = functools.partial(timeit.repeat, timer=time.process_time, number=number, repeat=7)  # others may be busy
    loop = min(repeat("pass"))
    return (min(repeat(statement, globals=names)) - loop) / number * 1e9


def measure_updates(client):
    names = {"counter": client.Counter("c", "C", ["method", "route", "status_code"]),
             "plain": client.Counter("p", "P"), "histogram": client.Histogram("h", "H"),
             "gauge": client.Gauge("g", "G", multiprocess_mode="livesum")}
    for statement in ("plain.inc()", "plain.inc(0.5)", 'counter.labels("GET", "/", "200").inc()',
                      "histogram.observe(0.3)", "gauge.set(1)"):
        print(f"{statement}\t{nanoseconds(statement, names):.0f}")


def measure_ctypes(build):
    """The same counter by ctypes, which cannot reach the inline functions of the header."""
    class Series(ctypes.Structure):
        _fields_ = [("registry", ctypes.c_uint32), ("cell_plus_1", ctypes.c_uint32), ("family", ctypes.c_void_p)]
    library = ctypes.CDLL(str(build / "client/libshmetrics_c.so.0"))
    pointer = ctypes.c_void_p
    library.shmetrics_default_registry.restype = library.shmetrics_declare_float_counter.restype = pointer
    library.shmetrics_declare_float_counter.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p, pointer,
                                                        ctypes.c_size_t, pointer, pointer]
    library.shmetrics_find.restype, library.shmetrics_find.argtypes = Series, [pointer, pointer, ctypes.c_size_t]
    add = library.shmetrics_float_counter_add_slow
    add.restype, add.argtypes = None, [Series, ctypes.c_double]
    registry = library.shmetrics_default_registry(None)
    family = library.shmetrics_declare_float_counter(registry, b"c_total", b"C", None, 0, None, None)
    names = {"add": add, "series": library.shmetrics_find(family, None, 0)}
    print(f"plain.inc()\t{nanoseconds('add(series, 1.0)', names):.0f}")


def environment(build, directory, client):
    return {**os.environ, "CLIENT": client, "PYTHONPATH": str(build / "python"),
            "SHMETRICS_SEGMENT": f"{directory}/metrics.seg", "PROMETHEUS_MULTIPROC_DIR": str(directory)}


def part(build, name, client):
    """A part of the measurement, in an interpreter and with metrics of its own: {statement: nanoseconds}."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        output = subprocess.run([sys.executable, __file__, build, "--part", name], check=True, text=True,
                                stdout=subprocess.PIPE, env=environment(build, directory, client)).stdout
        return dict(line.split("\t") for line in output.splitlines())


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")
    return body


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """gunicorn with one client, and where it is scraped."""

    def __init__(self, build, directory, client):
        self.directory, self.port, self.answers = pathlib.Path(directory), free_port(), 0
        self.log = tempfile.NamedTemporaryFile("r")
        configuration = tempfile.NamedTemporaryFile("w", suffix=".py")
        configuration.write(HOOK if client == THEIRS else "")
        configuration.flush()
        command = [sys.executable, "-m", "gunicorn", "-c", configuration.name, "--preload", "--workers", "4",
                   "--max-requests", str(len(ROUTES)), "--bind", f"127.0.0.1:{self.port}", "--log-file", self.log.name,
                   "--chdir", HERE, "app:app"]
        self.programs = [subprocess.Popen(command, env=environment(build, directory, client))]
        self.scraped = (self.port, "/metrics")
        if client == OURS:
            self.scraped = (free_port(), "/metrics")
            self.programs.append(subprocess.Popen(
                [build / "bin/shmetrics-exporter", "--segment", f"{directory}/metrics.seg", "--log.level", "error",
                 "--web.listen-address", f"127.0.0.1:{self.scraped[0]}"]))
        for port in {self.port, self.scraped[0]}:
            self.wait_for(port)
        configuration.close()

    @staticmethod
    def wait_for(port):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("does not listen")

    def recycled(self):
        return pathlib.Path(self.log.name).read_text().count("Booting worker") - 4

    def serve(self, enough):
        """Asks from four threads for each route in turn, until `enough()`."""
        def ask():
            while not enough():
                for route in ROUTES:
                    get(self.port, route)
                    with lock:
                        self.answers += 1
        lock, threads = threading.Lock(), [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def row(self):
        """Scrape time in ms (median of 15), samples, KiB taken, files; and counted, answers."""
        times = []
        for _ in range(15):
            begin = time.perf_counter()
            text = get(*self.scraped).decode()
            times.append((time.perf_counter() - begin) * 1000)
        files = list(self.directory.iterdir())
        room = sum(file.stat().st_blocks for file in files) // 2
        counted = sum(float(value) for value in COUNTED.findall(text))
        return (f"{self.recycled():>8} {statistics.median(times):>10.1f} {room:>9} {len(files):>6} "
                f"{counted:>9.0f} {self.answers:>9}")

    def stop(self):
        for program in self.programs:
            program.terminate()
        for program in self.programs:
            program.wait()


def main(build, recycled):
    rows = {name: part(build, "updates", name) for name in (OURS, THEIRS)}
    rows["ctypes"] = part(build, "ctypes", OURS)
    print("ns an update" + " " * 27 + "".join(f"{name:>18}" for name in rows))
    for statement in rows[OURS]:
        print(f"{statement:<39}" + "".join(f"{row.get(statement, '-'):>18}" for row in rows.values()))
    print("\nclient            recycled  scrape ms  disk KiB  files   counted   answers")
    for client in (OURS, THEIRS):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            served = Served(build, directory, client)
            try:
                begin = time.monotonic()
                served.serve(lambda: time.monotonic() - begin > 0.2)
                print(f"{client:<17} {served.row()}", flush=True)
                served.serve(lambda: served.recycled() >= recycled)
                print(f"{client:<17} {served.row()}", flush=True)
            finally:
                served.stop()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tree = pathlib.Path(sys.argv[1]).resolve()
    if sys.argv[2:] == ["--part", "updates"]:
        import importlib
        measure_updates(importlib.import_module(os.environ["CLIENT"]))
    elif sys.argv[2:] == ["--part", "ctypes"]:
        measure_ctypes(tree)
    else:
        main(tree, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
