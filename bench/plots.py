#!/usr/bin/env python3
"""What was measured -> SVG: a scrape's cost against series, slots, dead workers, and its floor; a soak over time.

usage: plots.py SCRAPE_JSON SOAK_CSV FOLDER

SCRAPE_JSON: of scrape_bench --benchmark_out=FILE --benchmark_out_format=json; SOAK_CSV: what soak printed
"""
import csv
import json
import math
import pathlib
import re
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 320, 70, 50, 40, 35
COLOURS = {"shmetrics": "#1f6f8b", "floor": "#b0593a"}


def points(runs, pattern):
    """{x: least processor time in ms} of the runs whose name matches; its group is x."""
    least = {}
    for run in runs:
        found = re.fullmatch(pattern, run["run_name"])
        if found and run["run_type"] == "iteration" and "error_occurred" not in run:
            x = int(found.group(1))
            least[x] = min(run["cpu_time"], least.get(x, math.inf))
    return sorted(least.items())


def decades(values):
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**e for e in range(low, max(high, low + 1) + 1)]


class Plot:
    """Both axes logarithmic: what is linear has the slope 1, what is flat has none."""

    def __init__(self, title, x_label, series):
        xs = [x for line in series.values() for x, _ in line]
        ys = [y for line in series.values() for _, y in line]
        self.x_ticks, self.y_ticks = decades(xs), decades(ys)
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                      f'font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
                      self.text(WIDTH / 2, 20, title, "middle", 14),
                      self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, "middle"),
                      self.text(LEFT, TOP - 8, "ms of processor time", "middle")]
        for tick in self.x_ticks:
            self.line(self.x(tick), TOP, self.x(tick), HEIGHT - BOTTOM, "#ddd")
            self.parts.append(self.text(self.x(tick), HEIGHT - BOTTOM + 16, f"{tick:,.0f}", "middle"))
        for tick in self.y_ticks:
            self.line(LEFT, self.y(tick), WIDTH - RIGHT, self.y(tick), "#ddd")
            self.parts.append(self.text(LEFT - 6, self.y(tick) + 4, f"{tick:g}", "end"))
        for row, (name, line) in enumerate(series.items()):
            colour = COLOURS[name]
            path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in line)
            self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            self.parts += [f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{colour}"/>'
                           for x, y in line]
            self.parts.append(self.text(LEFT + 12, TOP + 16 + 16 * row, name, "start", 12, colour))

    def x(self, value):
        return self.place(value, self.x_ticks, LEFT, WIDTH - RIGHT)

    def y(self, value):
        return self.place(value, self.y_ticks, HEIGHT - BOTTOM, TOP)

    @staticmethod
    def place(value, ticks, begin, end):
        low, high = math.log10(ticks[0]), math.log10(ticks[-1])
        return begin + (math.log10(value) - low) / (high - low) * (end - begin)

    @staticmethod
    def text(x, y, content, anchor, size=12, colour="#222"):
        return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
                f"{content}</text>")

    def line(self, x1, y1, x2, y2, colour):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')

    def svg(self):
        return "\n".join(self.parts + ["</svg>", ""])


def soak_svg(rows):
    """A strip a figure, each from 0 on: what is flat in it does not grow."""
    figures = {"resident_kb": "reader's memory, KiB", "descriptors": "its descriptors", "file_kb": "the file, KiB",
               "scrape_us": "a scrape, us of processor time"}
    strip = 90
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {strip * len(figures) + 40}" '
             f'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{strip * len(figures) + 40}" fill="white"/>']
    for place, (name, title) in enumerate(figures.items()):
        values = [float(row[name]) for row in rows]
        bottom, high = strip * (place + 1), max(values) * 1.1
        path = " ".join(f"{LEFT + (WIDTH - LEFT - RIGHT) * i / max(len(values) - 1, 1):.1f},"
                        f"{bottom - (strip - 25) * value / high:.1f}" for i, value in enumerate(values))
        parts += [f'<line x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}" stroke="#ddd"/>',
                  f'<polyline points="{path}" fill="none" stroke="{COLOURS["shmetrics"]}"/>',
                  Plot.text(LEFT, bottom - strip + 18, f"{title}: {min(values):,.0f} to {max(values):,.0f}", "start")]
    parts.append(Plot.text(WIDTH / 2, strip * len(figures) + 25, f"{len(rows)} seconds", "middle"))
    return "\n".join(parts + ["</svg>", ""])


def main(results, soak, folder):
    with open(results) as file:
        runs = json.load(file)["benchmarks"]
    plots = {
        "scrape-series.svg": Plot("A scrape of 8 slots", "series", {
            "shmetrics": points(runs, r"counters/slots:8/series:(\d+)"),
            "floor": points(runs, r"floor/slots:8/series:(\d+)")}),
        "scrape-slots.svg": Plot("A scrape of 10,000 counters", "slots", {
            "shmetrics": points(runs, r"counters/slots:(\d+)/series:10000"),
            "floor": points(runs, r"floor/slots:(\d+)/series:10000")}),
        "scrape-churn.svg": Plot("A scrape of 100 counters", "dead workers before it", {
            "shmetrics": points(runs, r"churn/dead:(\d+)/iterations:\d+")}),
    }
    for name, plot in plots.items():
        (pathlib.Path(folder) / name).write_text(plot.svg())
    with open(soak) as file:
        (pathlib.Path(folder) / "soak.svg").write_text(soak_svg(list(csv.DictReader(file))))


main(*sys.argv[1:])
