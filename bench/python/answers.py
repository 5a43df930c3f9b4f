"""What it costs to ask a worker for /metrics, and what its other requests see of it: the package for Python beside
client_python in multiprocess mode.

usage: answers.py DIRECTORY_OF_BUILD    (as in: /usr/bin/python3 bench/python/answers.py build/release)

First so many workers have come and gone, each of which has counted all routes. Then one worker of gunicorn with four
threads serves app.py. One thread asks it for a page every 5 ms, first alone, then while another asks for /metrics again
and again.
"""
import importlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from peers import HERE, OURS, ROUTES, THEIRS, environment, free_port, get

GONE = (4, 1000)
PAGES = 600


def come_and_go(count):
    """Workers that count as app.py does, and end as those of gunicorn."""
    app = importlib.import_module("app")
    for _ in range(count):
        child = os.fork()
        if child == 0:
            for route in ROUTES:
                app.app({"PATH_INFO": route}, lambda *_: None)
            if app.client.__name__ == OURS:
                importlib.import_module("shmetrics._core").release_worker()
            os._exit(0)
        os.waitpid(child, 0)
        if app.client.__name__ == THEIRS:
            importlib.import_module("prometheus_client.multiprocess").mark_process_dead(child)


def milliseconds(port, path):
    begin = time.perf_counter()
    size = len(get(port, path))
    return (time.perf_counter() - begin) * 1000, size


def scrapes(port):
    """Of /metrics, for some seconds: the median, and the bytes."""
    times, end = [], time.monotonic() + 10
    while len(times) < 3 or len(times) < 101 and time.monotonic() < end:
        times.append(milliseconds(port, "/metrics"))
    return statistics.median(taken for taken, _ in times), times[0][1]


def pages(port):
    """The times of pages, one every 5 ms."""
    times = []
    for number in range(PAGES):
        times.append(milliseconds(port, ROUTES[number % len(ROUTES)])[0])
        time.sleep(0.005)
    return times


def quantiles(times):
    cuts = statistics.quantiles(times, n=100)
    return f"{cuts[49]:>8.2f} {cuts[98]:>8.2f}"


def measure(build, client, gone):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        around = environment(build, directory, client)
        subprocess.run([sys.executable, __file__, build, "--gone", str(gone)], check=True, env=around)
        port = free_port()
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--workers", "1", "--threads", "4", "--bind", f"127.0.0.1:{port}",
             "--timeout", "300", "--log-level", "error", "--chdir", HERE, "app:app"], env=around)
        try:
            while True:
                try:
                    get(port, ROUTES[0])
                    break
                except OSError:
                    time.sleep(0.05)
            median, size = scrapes(port)
            alone, enough = pages(port), threading.Event()

            def scrape():
                while not enough.is_set():
                    get(port, "/metrics")
            scraper = threading.Thread(target=scrape)
            scraper.start()
            beside = pages(port)
            enough.set()
            scraper.join()
        finally:
            server.terminate()
            server.wait()
    print(f"{client:<18} {gone:>6} {median:>10.2f} {size:>8}  {quantiles(alone)}   {quantiles(beside)}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[2:3] == ["--gone"]:
        come_and_go(int(sys.argv[3]))
    else:
        print("                    gone  /metrics, ms   bytes   page alone, ms       beside scrapes, ms")
        print("                    workers   median              median    99 %       median    99 %")
        for name in (OURS, THEIRS):
            for number in GONE:
                measure(pathlib.Path(sys.argv[1]).resolve(), name, number)
