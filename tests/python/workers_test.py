"""What many processes' values become: the cases that client_python describes for its multiprocess mode, and ours.

usage: workers_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

import segments

from shmetrics import Counter, Gauge, Histogram, Registry, Summary

WORKER = pathlib.Path(__file__).parent / "worker.py"
GAUGES = "; ".join(f"{mode} = Gauge('g_{mode}_value', 'A gauge', multiprocess_mode='{mode}')" for mode in
                   "livesum livemin livemax liveall livemostrecent sum min max mostrecent all shared".split())


class Worker:
    """A process with an interpreter of its own, which does lines of Python."""

    def __init__(self, test, segment):
        self.process = subprocess.Popen([sys.executable, WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(segment)})
        test.addCleanup(self.end)

    def does(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            raise AssertionError(f"the worker did not do {line!r}")

    def sets(self, value):
        self.does(GAUGES)
        self.does(f"[gauge.set({value}) for gauge in list(globals().values()) if isinstance(gauge, Gauge)]")

    def end(self, kill=False):
        if kill:
            self.process.kill()
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def wait(child):
    return os.waitpid(child, 0)[1]


class PythonGaugeModes(unittest.TestCase):
    longMessage = False
    maxDiff = None

    def setUp(self):
        self.segment = segments.new_directory() / "gauges.seg"

    def shown(self):
        return {name.removeprefix("g_").replace("_value", ""): value
                for name, value in segments.samples(self.segment, "g_").items()}

    def test_each_mode_over_two_workers_a_death_and_a_new_worker(self):
        first, second = Worker(self, self.segment), Worker(self, self.segment)
        first.sets(5)
        second.sets(2)
        self.assertEqual({
            "livesum": 7, "livemin": 2, "livemax": 5, 'liveall{worker="0"}': 5, 'liveall{worker="1"}': 2,
            "livemostrecent": 2, "sum": 7, "min": 2, "max": 5, 'all{worker="0"}': 5, 'all{worker="1"}': 2,
            "mostrecent": 2, "shared": 2}, self.shown())
        second.end(kill=True)
        dead = {"sum": 7, "min": 2, "max": 5, "mostrecent": 2, "shared": 2}
        self.assertEqual({
            "livesum": 5, "livemin": 5, "livemax": 5, 'liveall{worker="0"}': 5, "livemostrecent": 5,
            'all{worker="0"}': 5, 'all{worker="1"}': 2, **dead}, self.shown())
        third = Worker(self, self.segment)
        third.sets(9)
        self.assertEqual({
            "livesum": 14, "livemin": 5, "livemax": 9, 'liveall{worker="0"}': 5, 'liveall{worker="1"}': 9,
            "livemostrecent": 9, "sum": 14, "min": 2, "max": 9, 'all{worker="0"}': 5, 'all{worker="1"}': 9,
            "mostrecent": 9, "shared": 9}, self.shown())

    def test_inc_in_one_worker_and_dec_in_another_add_up_over_deaths(self):
        first, second = Worker(self, self.segment), Worker(self, self.segment)
        for worker in (first, second):
            worker.does("g = Gauge('g_queue', 'Queue', ['x'], multiprocess_mode='sum').labels('a')")
        first.does("g.inc(10)")
        second.does("g.dec(3)")
        first.end(kill=True)
        second.does("g.dec()")
        self.assertEqual({'queue{x="a"}': 6}, self.shown())

    def test_what_one_worker_sets_another_changes_in_the_mode_shared(self):
        first, second = Worker(self, self.segment), Worker(self, self.segment)
        for worker in (first, second):
            worker.does("g = Gauge('g_queue', 'Queue', multiprocess_mode='shared')")
        first.does("g.set(10)")
        second.does("g.dec(3)")
        first.end(kill=True)
        second.does("g.dec(7)")
        self.assertEqual({"queue": 0}, self.shown())

    def test_a_worker_that_leaves_takes_its_live_gauges_along_without_a_hook(self):
        gauge = "g = Gauge('g_live', 'Live', ['x'], multiprocess_mode='{}').labels('a'); g.set(1)"
        for mode in ("livesum", "liveall"):
            worker = Worker(self, self.segment)
            worker.does(gauge.replace("g_live", "g_" + mode).format(mode))
            worker.end()
        self.assertEqual({'livesum{x="a"}': 0}, self.shown())


class PythonWorkers(unittest.TestCase):
    longMessage = False

    def test_counters_summaries_and_histograms_of_workers_add_up(self):
        segment = segments.new_directory() / "sums.seg"
        for value in (1, 2):
            worker = Worker(self, segment)
            worker.does("c = Counter('c', 'C', ['x'], namespace='n', subsystem='s', unit='u')")
            worker.does(f"c.labels('a').inc({value}); c.labels('only {value}').inc()")
            worker.does(f"Summary('s', 'S').observe({value}); h = Histogram('h', 'H', buckets=[1, 2, 5])")
            worker.does(f"h.observe({value}); h.observe({value * 3})")
        self.assertEqual({
            'n_s_c_u_total{x="a"}': 3, 'n_s_c_u_total{x="only 1"}': 1, 'n_s_c_u_total{x="only 2"}': 1, "s_count": 2,
            "s_sum": 3, 'h_bucket{le="1"}': 1, 'h_bucket{le="2"}': 2, 'h_bucket{le="5"}': 3, 'h_bucket{le="+Inf"}': 4,
            "h_sum": 12, "h_count": 4}, segments.samples(segment))

    def test_releases_with_other_labels_and_buckets_add_up_side_by_side(self):
        segment = segments.new_directory() / "releases.seg"
        old, new = Worker(self, segment), Worker(self, segment)
        old.does("c = Counter('jobs', 'J', ['queue']); h = Histogram('h', 'H', buckets=[1, 2])")
        new.does("c = Counter('jobs', 'J', ['queue', 'kind']); h = Histogram('h', 'H', buckets=[1, 4])")
        old.does("c.labels('mail').inc(); h.observe(1); h.observe(3)")
        new.does("c.labels('mail', '').inc(2); c.labels('mail', 'x').inc(3); h.observe(3)")
        wanted = {'jobs_total{queue="mail"}': 3, 'jobs_total{kind="x",queue="mail"}': 3, 'h_bucket{le="1"}': 1,
                  'h_bucket{le="2"}': 1, 'h_bucket{le="4"}': 2, 'h_bucket{le="+Inf"}': 3, "h_sum": 7, "h_count": 3}
        self.assertEqual(wanted, segments.samples(segment))
        old.end(kill=True)
        self.assertEqual(wanted, segments.samples(segment), "nothing goes back when the old ones are gone")

    def test_another_type_is_a_warning_while_a_worker_lives_and_taken_when_none_does(self):
        segment = segments.new_directory() / "types.seg"
        old, new = Worker(self, segment), Worker(self, segment)
        old.does("Summary('size', 'S').observe(1)")
        new.does("import warnings; caught = warnings.catch_warnings(record=True); said = caught.__enter__()")
        new.does("g = Gauge('size', 'S', ['x'], multiprocess_mode='max'); g.labels('a').set(1)")
        new.does("assert 'as another type (summary)' in str(said[-1].message), said")
        self.assertEqual({"size_sum": 1, "size_count": 1}, segments.samples(segment))
        old.end()
        new.does("Gauge('size', 'S', ['x'], multiprocess_mode='max').labels('a').set(2)")
        self.assertEqual({'size{x="a"}': 2}, segments.samples(segment))

    def test_children_count_in_what_was_declared_and_labelled_before_fork(self):
        family, plain = Counter("forked", "Forked", ["x"]), Counter("forked_plain", "Forked")
        kept = family.labels("kept")
        histogram = Histogram("forked_seconds", "Forked")
        gauge = Gauge("forked_now", "Now", multiprocess_mode="livesum")
        gauge.set(100)

        def count():
            for i in range(1000):
                kept.inc()
                plain.inc()
                family.labels(i % 3).inc()
                histogram.observe(0.5)
            gauge.set(1)
        self.assertEqual([0] * 8, [wait(child) for child in [segments.forked(count) for _ in range(8)]])
        kept.inc()
        found = segments.samples(prefix="forked")
        self.assertEqual((8001, 8000, 8000, 100),
                         (found['forked_total{x="kept"}'], found["forked_plain_total"],
                          found["forked_seconds_count"], found["forked_now"]))
        self.assertEqual({'forked_total{x="kept"}': 8001, 'forked_total{x="0"}': 8 * 334,
                          'forked_total{x="1"}': 8 * 333, 'forked_total{x="2"}': 8 * 333},
                         {name: value for name, value in found.items() if name.startswith("forked_total")},
                         "eight that register at once, and nothing in the overflow series")

    def test_children_forked_while_threads_count_lose_nothing(self):
        counter = Counter("threaded", "Threaded", ["x"])
        stop, counted = threading.Event(), [0] * 4

        def count(me):
            while not stop.is_set():
                counter.labels(f"thread {counted[me] % 7}").inc()
                counted[me] += 1
        threads = [threading.Thread(target=count, args=(i,)) for i in range(4)]

        def count_in_child():
            for i in range(500):
                counter.labels(f"thread {i % 9}").inc()
        for thread in threads:
            thread.start()
        children = [segments.forked(count_in_child) for _ in range(10)]
        statuses = [wait(child) for child in children]
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual([0] * 10, statuses)
        self.assertEqual(sum(counted) + 5000, sum(segments.samples(prefix="threaded").values()))

    def test_hundreds_of_recycled_workers_cost_what_a_few_do(self):
        registry = Registry(segments.new_directory() / "recycled.seg")
        counter = Counter("recycled", "Recycled", ["x"], registry=registry)
        gauge = Gauge("recycled_gauge", "Recycled", ["x"], registry=registry)
        histogram = Histogram("recycled_seconds", "Recycled", ["x"], registry=registry)

        meet = multiprocessing.get_context("fork").Barrier(4)

        def work():
            for i in range(20):
                counter.labels(i).inc()
                histogram.labels(i).observe(i)
                gauge.labels(i).set(i)
            meet.wait(30)  # none leaves its slot to another of its generation

        def generations(count):
            for _ in range(count // 4):
                self.assertEqual([0] * 4, [wait(child) for child in [segments.forked(work) for _ in range(4)]])
            return os.stat(registry.path).st_blocks
        self.assertEqual(generations(20), generations(380))
        found = segments.samples(registry.path)
        self.assertEqual((400, 400), (found['recycled_total{x="7"}'], found['recycled_seconds_count{x="7"}']))
        self.assertLessEqual(len([name for name in found if 'x="7"' in name and "gauge" in name]), 5)

    def test_kills_at_full_speed_lose_nothing(self):
        counter, histogram = Counter("killed", "Killed", ["x"]), Histogram("killed_seconds", "Killed", ["x"])
        kills = 40

        def work(acknowledge):
            while True:
                counter.labels("a").inc()
                histogram.labels("a").observe(1)
                os.write(acknowledge, b".")
        acknowledged = 0
        for _ in range(kills):
            reader, writer = os.pipe()
            child = segments.forked(lambda: work(writer))
            os.close(writer)
            time.sleep(random.uniform(0.002, 0.02))
            os.set_blocking(reader, False)
            drained = drain(reader)
            os.kill(child, signal.SIGKILL)
            self.assertEqual(signal.SIGKILL, wait(child))
            acknowledged += drained + drain(reader)
            os.close(reader)
        found = segments.samples(prefix="killed")
        for counted in (found['killed_total{x="a"}'], found['killed_seconds_count{x="a"}']):
            self.assertLessEqual(acknowledged, counted)
            self.assertLessEqual(counted, acknowledged + kills)
        self.assertEqual(found['killed_seconds_count{x="a"}'], found['killed_seconds_sum{x="a"}'])
        self.assertGreater(acknowledged, kills)
        print(f"{kills} kills: {acknowledged} acknowledged, {counted:.0f} counted")

    def test_what_is_refused_beside_a_worker_of_another_kind_counts_when_that_has_ended(self):
        segment = segments.new_directory() / "refused.seg"
        old, new = Worker(self, segment), Worker(self, segment)
        new.does("import warnings; warnings.simplefilter('ignore')")
        updates = {"counter": "inc()", "gauge": "inc()", "histogram": "observe(1)", "summary": "observe(1)"}
        for kind, update in updates.items():
            for labels in ([], ["path"]):
                name = f"{kind}_{len(labels)}_total"
                old.does(f"{'Gauge' if kind == 'summary' else 'Summary'}('{name}', 'N', {labels}, naming='lenient')")
                new.does(f"{name} = {kind.capitalize()}('{name}', 'N', {labels}, naming='lenient')")
        lines = [f"{kind}_0_total.{update}; {kind}_1_total.labels('/').{update}" for kind, update in updates.items()]
        new.does("; ".join(lines))
        old.end(kill=True)
        for _ in range(600):
            new.does("; ".join(lines))
            shown = segments.samples(segment)
            missing = [name for kind in updates for name in (f"{kind}_0_total", f"{kind}_1_total")
                       if not any(name in sample and value > 0 for sample, value in shown.items())]
            if not missing:
                return
            time.sleep(0.05)
        self.fail(f"{missing} is not in {shown}")

    def test_an_exec_is_no_death_and_one_that_fails_leaves_the_gauges(self):
        for call in ("os.execv('/bin/true', ['true'])", "os.execve('/bin/true', ['true'], {})",
                     "os.execlp('true', 'true')"):
            with self.subTest(call):
                segment = segments.new_directory() / "exec.seg"
                worker = Worker(self, segment)
                worker.does("import os; gauge = Gauge('g', 'G', multiprocess_mode='livesum'); gauge.set(3)")
                for wrong in ("os.execv('/none', ['x'])", "os.execvp('no-such-program', ['x'])", "os.execve('/none')"):
                    worker.does(f"""exec("try: {wrong}\\nexcept (OSError, TypeError): gauge.inc()")""")
                self.assertEqual({"g": 6}, segments.samples(segment))
                with self.assertRaises(AssertionError):
                    worker.does(call)
                worker.end()
                self.assertEqual(0, deaths(segments.workers(segment)))

    def test_processes_of_multiprocessing_count_however_they_are_started(self):
        workers, counted = pooled()
        self.assertEqual(24, counted)
        self.assertEqual(set(), {worker["state"] for worker in workers} - {"released", "unused"})

    def test_children_of_pools_that_end_are_no_deaths_and_killed_ones_are(self):
        workers, counted = pooled()
        self.assertEqual((24, 0), (counted, deaths(workers)))
        workers, counted = pooled("kill")
        self.assertEqual((28, 4), (counted, deaths(workers)))


def pooled(*arguments):
    """The worker table after pooled.py in a segment of its own, and what was counted."""
    segment = segments.new_directory() / "pooled.seg"
    subprocess.run([sys.executable, WORKER.with_name("pooled.py"), *arguments], check=True, timeout=120,
                   env={**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(segment)})
    return segments.workers(segment), sum(segments.samples(segment, "pooled_total").values())


def deaths(workers):
    """Those that were counted, and those that will be once another takes the entry over."""
    return sum(worker["deaths"] + (worker["state"] == "dead") for worker in workers)


def drain(reader):
    total = 0
    try:
        while block := os.read(reader, 65536):
            total += len(block)
    except BlockingIOError:
        pass
    return total


if __name__ == "__main__":
    unittest.main()
