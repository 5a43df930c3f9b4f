#!/usr/bin/python3
"""client_python in multiprocess mode at the work of bench/peers: see run.sh.

usage: client_python.py update|scrape|churn      with an empty PROMETHEUS_MULTIPROC_DIR
"""
import gc
import os
import sys
import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

LOOKED_UP, SCRAPED, PROCESSES, DEAD_WORKERS, DEAD_SERIES = 1000, 10_000, 8, 1000, 100
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
NAMES = ("method", "route", "status_code")
FOLDER = os.environ["PROMETHEUS_MULTIPROC_DIR"]


def label_sets(count):
    methods, statuses = ("GET", "POST", "PUT", "DELETE"), ("200", "201", "404", "500", "503")
    return [(methods[i % 4], f"/api/v1/resource/{i // 20}", statuses[i // 4 % 5]) for i in range(count)]


def least_seconds(rounds, run):
    least = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - begin)
    return least


def say(name, value):
    print(name, f"{value:.6g}", flush=True)


def require(holds, what):
    if not holds:
        sys.exit(f"wrong result: {what}")


def sum_of(text, series):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series))


def scraped():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry).decode()


def requests():
    return Counter("http_requests_total", "Requests", NAMES, registry=CollectorRegistry())


def in_child(body):
    pid = os.fork()
    if pid == 0:
        body()
        os._exit(0)
    require(os.waitpid(pid, 0)[1] == 0, "a worker")
    return pid


def update():
    rounds, updates = 7, 50_000
    held = Counter("held_total", "Held", registry=CollectorRegistry())
    histogram = Histogram("duration_seconds", "Duration", buckets=BOUNDS, registry=CollectorRegistry())
    family, sets = requests(), label_sets(LOOKED_UP)
    values = [0.001 * 10 ** (4.8 * (k * 397 % 1024) / 1024) for k in range(1000)]

    def count():
        for _ in range(updates):
            held.inc()

    def look_up():
        for _ in range(updates // LOOKED_UP):
            for method, route, status in sets:
                family.labels(method, route, status).inc()

    def observe():
        for _ in range(updates // len(values)):
            for value in values:
                histogram.observe(value)

    gc.disable()
    for name, run in (("counter_ns", count), ("lookup_ns", look_up), ("histogram_ns", observe)):
        say(name, least_seconds(rounds, run) / updates * 1e9)
    text = scraped()
    for series in ("held_total", "http_requests_total", "duration_seconds_count"):
        require(sum_of(text, series) == rounds * updates, series)


def scrape():
    def count():
        family = requests()
        for i, labels in enumerate(label_sets(SCRAPED)):
            family.labels(*labels).inc(i)

    for _ in range(PROCESSES):
        in_child(count)
    say("scrape_ms", least_seconds(5, scraped) * 1e3)
    text = scraped()
    require(sum_of(text, "http_requests_total") == PROCESSES * SCRAPED * (SCRAPED - 1) / 2, "scrape")
    say("text_bytes", len(text))
    say("bytes_per_series", folder_bytes() / (PROCESSES * SCRAPED))


def churn():
    def count():
        family = requests()
        for labels in label_sets(DEAD_SERIES):
            family.labels(*labels).inc()

    for worker in range(1, DEAD_WORKERS + 1):
        mark_process_dead(in_child(count))
        if worker in (1, DEAD_WORKERS):
            name = "churn_one" if worker == 1 else "churn"
            say(f"{name}_ms", least_seconds(5, scraped) * 1e3)
            say(f"{name}_bytes", folder_bytes())
    require(sum_of(scraped(), "http_requests_total") == DEAD_WORKERS * DEAD_SERIES, "counts of dead workers")


def folder_bytes():
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(FOLDER))


{"update": update, "scrape": scrape, "churn": churn}[sys.argv[1]]()
