#!/usr/bin/env python3
"""Results of bench/peers/run.sh -> one table on stdout, and the figures as JSON.

usage: table.py RESULTS VERSIONS JSON      RESULTS: lines of `program name value`; the least value counts
"""
import json
import os
import platform
import sys

PEERS = ("prometheus_cpp", "client_python", "client_mmap", "prom_client")
THEIRS = {"native_ns": "histogram_ns"}  # where they have no such thing: what they have instead
ROWS = (
    ("held counter, ns", "counter_ns", "floor_counter_ns"),
    ("counter by 3 labels, ns", "lookup_ns", "floor_lookup_ns"),
    ("histogram of 12 buckets, ns", "histogram_ns", "floor_histogram_ns"),
    ("native histogram of 180 cells beside the classic one, ns", "native_ns", "floor_histogram_ns"),
    ("scrape of 8 x 10,000 counters, ms", "scrape_ms", "floor_scrape_ms"),
    ("scrape after 1 dead worker, ms", "churn_one_ms", None),
    ("scrape after 1,000 dead workers, ms", "churn_ms", None),
    ("bytes after 1,000 dead workers", "churn_bytes", None),
    ("bytes a worker and series", "bytes_per_series", None),
)


def read(results):
    figures = {}
    for line in open(results):
        program, name, value = line.split()
        known = figures.setdefault(program, {})
        known[name] = min(float(value), known.get(name, float("inf")))
    return figures


def shown(value):
    return "-" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cell(ours, theirs):
    return "-" if theirs is None else f"{shown(theirs)} ({theirs / ours:.3g} x)"


def main(results, versions, out):
    figures = read(results)
    ours = figures["ours"]
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    conditions = (f"{os.cpu_count()} CPUs, {cpu}, {platform.system()} {platform.release()}, "
                  f"load average {os.getloadavg()[0]:.1f} at the end")
    print("| work | floor | ours | " + " | ".join(PEERS) + " |")
    print("| --- " * (3 + len(PEERS)) + "|")
    for title, name, floor in ROWS:
        cells = [shown(ours.get(floor)), shown(ours[name])]
        cells += [cell(ours[name], figures.get(peer, {}).get(THEIRS.get(name, name))) for peer in PEERS]
        print(f"| {title} | " + " | ".join(cells) + " |")
    print(f"\n{conditions}; the least of all runs. In brackets: theirs divided by ours.")
    print("prometheus_cpp knows one process: its scrape merges nothing. client_mmap has no handles: its counter and "
          "its histogram are looked up without labels. prom_client loses what dead workers counted.")
    named = dict(line.rstrip("\n").split(" ", 1) for line in open(versions))
    print("Versions: " + "; ".join(f"{program} {version}" for program, version in named.items()))
    with open(out, "w") as file:
        json.dump({"conditions": conditions, "versions": named, "figures": figures}, file, indent=1)


main(*sys.argv[1:])
