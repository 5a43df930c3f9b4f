"""The package's names: what they do as prometheus_client does, and what they refuse.

usage: api_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import inspect
import itertools
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time
import unittest
import warnings

import segments
from segments import samples

import prometheus_client
from prometheus_client import openmetrics
import prometheus_client.openmetrics.exposition
import prometheus_client.openmetrics.parser

import shmetrics
from shmetrics import Counter, Gauge, Histogram, Info, Registry, Summary

HERE = pathlib.Path(__file__).parent


def every_verb(client, **registry):
    """What a program does with the names of prometheus_client."""
    jobs = client.Counter("verbs_jobs", "Jobs", ["queue", "kind"], **registry)
    jobs.labels("mail", 1).inc()
    jobs.labels(kind=1, queue="mail").inc(amount=0.5)
    jobs.labels("mail", None).inc(2, exemplar={"trace_id": "a"})
    client.Counter("verbs_plain_total", "Plain", **registry).inc()
    errors = client.Counter("errors", "Errors", (), "verbs", "sub", "", **registry)
    with unittest.TestCase().assertRaises(KeyError), errors.count_exceptions(LookupError):
        raise KeyError
    busy = client.Counter("busy", "Busy", namespace="verbs", unit="seconds", **registry)
    busy.inc(1.25)
    depth = client.Gauge("verbs_depth", "Depth", ["side"], multiprocess_mode="livesum", **registry)
    depth.labels("left").set(5)
    depth.labels("left").inc(2)
    depth.labels("left").dec(amount=0.5)
    depth.labels(side='"\\\n').set(value=-1)
    sizes = client.Histogram("verbs_sizes", "Sizes", buckets=("1", 2.5, 10, float("inf")), **registry)
    for size in (0, 1, 2, 2.5, 11):
        sizes.observe(size)
    times = client.Histogram("verbs_times_seconds", "Times", ["route"], unit="seconds", **registry)
    times.labels("/").observe(amount=0.3)
    rests = client.Summary("verbs_rests", "Rests", **registry)
    rests.observe(amount=2)
    rests.observe(0.5)
    client.Info("verbs_build", "Build", **registry).info({"version": "1.2.3", "host": "a"})


class PythonNames(unittest.TestCase):
    longMessage = False

    def test_a_program_for_prometheus_client_exposes_the_same_after_a_change_of_import(self):
        theirs = prometheus_client.CollectorRegistry()
        every_verb(prometheus_client, registry=theirs)
        every_verb(shmetrics)
        text = openmetrics.exposition.generate_latest(theirs).decode()
        wanted = {name: value for name, value in segments.samples_of(text, parse=openmetrics.parser).items()
                  if "_created" not in name}
        self.assertEqual(33, len(wanted))
        self.maxDiff = None
        text = segments.dump(segments.SEGMENT, "openmetrics")
        self.assertEqual(wanted, segments.samples_of(text, "verbs_", openmetrics.parser))

    def test_help_says_how_each_update_is_called_and_what_it_does(self):
        updates = {shmetrics.Counter: "inc", shmetrics.Gauge: "inc dec set set_to_current_time own_value",
                   shmetrics.Histogram: "observe", shmetrics.Summary: "observe"}
        for metric, names in updates.items():
            for name in ["labels", *names.split()]:
                method = getattr(metric, name)
                self.assertTrue(method.__doc__, f"{metric.__name__}.{name}")
                self.assertIn("self", inspect.signature(method).parameters, f"{metric.__name__}.{name}")
        self.assertEqual("(self, /, amount=1, exemplar=None)", str(inspect.signature(shmetrics.Counter.inc)))

    def test_the_smallest_example_counts(self):
        subprocess.run([sys.executable, HERE.parents[1] / "examples/smallest.py"], check=True, timeout=60,
                       env=segments.ENVIRONMENT)
        found = samples(prefix="app_job")
        self.assertEqual((1, 1), (found['app_jobs_total{queue="mail"}'],
                                  found['app_job_duration_seconds_count{queue="mail"}']))

    def test_a_registry_is_a_file_of_its_own(self):
        path = segments.new_directory() / "own.seg"
        registry = Registry(path, workers=4, cells=4096, mode=0o640)
        Counter("own", "Own", registry=registry).inc()
        self.assertEqual(str(path), registry.path)
        self.assertEqual({"own_total": 1}, samples(path))
        self.assertEqual(0o640, path.stat().st_mode & 0o777)
        self.assertNotIn("own_total", samples())

    def test_declaring_again_is_the_same_family(self):
        for _ in range(2):
            Counter("again", "Again").inc()
        self.assertEqual({"again_total": 2}, samples(prefix="again"))

    def test_families_without_labels_are_shown_at_0(self):
        Counter("zero", "Zero")
        Histogram("zero_seconds", "Zero", buckets=[1])
        self.assertEqual({"zero_total": 0, 'zero_seconds_bucket{le="1"}': 0, 'zero_seconds_bucket{le="+Inf"}': 0,
                          "zero_seconds_sum": 0, "zero_seconds_count": 0}, samples(prefix="zero"))

    def test_types_hold_for_a_program_and_refuse_what_is_wrong(self):
        result = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "--cache-dir", segments.new_directory(),
             HERE / "typed_program.py"], capture_output=True, text=True, check=False, timeout=240,
            env={**os.environ, "MYPYPATH": str(segments.PACKAGE)})
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)


class PythonErrors(unittest.TestCase):
    longMessage = False

    def refuses(self, error, words, function):
        with self.assertRaises(error) as caught:
            function()
        self.assertIn(words, str(caught.exception))

    def test_what_prometheus_client_refuses_is_refused(self):
        count = itertools.count()
        mistakes = {
            "name": lambda client, more: client.Counter("a-b", "Help", **more),
            "name with a space": lambda client, more: client.Gauge("a b", "Help", **more),
            "label": lambda client, more: client.Counter("a", "Help", ["a-b"], **more),
            "label of Prometheus": lambda client, more: client.Counter("a", "Help", ["__name"], **more),
            "le": lambda client, more: client.Histogram("a", "Help", ["le"], **more),
            "quantile": lambda client, more: client.Summary("a", "Help", ["quantile"], **more),
            "unsorted": lambda client, more: client.Histogram("a", "Help", buckets=[2, 1], **more),
            "no bounds": lambda client, more: client.Histogram("a", "Help", buckets=[], **more),
            "Inf alone": lambda client, more: client.Histogram("a", "Help", buckets=[float("inf")], **more),
            "mode": lambda client, more: client.Gauge("a", "Help", multiprocess_mode="most", **more),
            "negative": lambda client, more: client.Counter(f"r{next(count)}", "Help", **more).inc(-1),
            "no labels given": lambda client, more: client.Counter(f"r{next(count)}", "Help", ["x"], **more).inc(),
            "observed": lambda client, more: client.Histogram(f"r{next(count)}", "Help", ["x"], **more).observe(1),
            "too many": lambda client, more: client.Counter(f"r{next(count)}", "Help", ["x"], **more).labels("a", "b"),
            "too few": lambda client, more: client.Counter(f"r{next(count)}", "Help", ["x", "y"], **more).labels("a"),
            "mixed": lambda client, more: client.Counter(f"r{next(count)}", "H", ["x", "y"], **more).labels("a", y=1),
            "unknown": lambda client, more: client.Counter(f"r{next(count)}", "Help", ["x"], **more).labels(y="a"),
            "labels of none": lambda client, more: client.Counter(f"r{next(count)}", "Help", **more).labels("a"),
            "labels of a series": lambda client, more: client.Counter(
                f"r{next(count)}", "Help", ["x"], **more).labels("a").labels("a"),
        }
        for what, mistake in mistakes.items():
            for client, more in ((prometheus_client, {"registry": prometheus_client.CollectorRegistry()}),
                                 (shmetrics, {})):
                with self.subTest(what=what, client=client.__name__), self.assertRaises(ValueError):
                    mistake(client, more)

    def test_what_the_exporter_could_not_serve_is_refused_with_the_right_spelling(self):
        self.refuses(ValueError, "has no help", lambda: Counter("x", ""))
        self.refuses(ValueError, "use 'a'", lambda: Gauge("a_total", "Help"))
        self.refuses(ValueError, "use 'a'", lambda: Gauge("a_count", "Help"))
        self.refuses(ValueError, "reserved 'process_'", lambda: Gauge("process_a", "Help"))
        self.refuses(ValueError, "'worker'", lambda: Gauge("a", "Help", ["worker"]))
        self.refuses(ValueError, "is there twice", lambda: Counter("a", "Help", ["x", "x"]))
        self.refuses(ValueError, "17 labels: at most 16", lambda: Counter("a", "Help", map("l{}".format, range(17))))
        self.refuses(ValueError, "bounds: at most 64", lambda: Histogram("a", "Help", buckets=range(65)))
        self.refuses(ValueError, "must be finite", lambda: Histogram("a", "Help", buckets=[float("nan")]))
        self.refuses(ValueError, "null character", lambda: Counter("a", "Help", ["x\0y"]))
        self.refuses(ValueError, "null character", lambda: Info("a", "Help").info({"x": "y\0z"}))

    def test_arguments_of_the_wrong_type_are_type_errors(self):
        counter, gauge = Counter("typed", "Typed"), Gauge("typed_gauge", "Typed")
        for mistake in (lambda: counter.inc("1"), lambda: counter.inc(1, 2, 3), lambda: counter.inc(much=1),
                        lambda: counter.inc(1, amount=1), lambda: counter.inc(1, None, exemplar=None),
                        lambda: gauge.set(), lambda: gauge.set(1, 2), lambda: gauge.inc(1, exemplar={}),
                        lambda: Counter("a", 1), lambda: Counter("a", "Help", [1]), lambda: Registry(1),
                        lambda: Registry(workers="1")):
            with self.assertRaises(TypeError):
                mistake()
        self.assertEqual(0, samples()["typed_total"])

    def test_numbers_beyond_what_an_option_holds_are_refused_not_cut(self):
        path = segments.new_directory() / "numbers.seg"
        for option in ({"workers": -1}, {"slots": -1}, {"cells": -1}, {"mode": -1}, {"group": -2}, {"group": 2**32},
                       {"series_per_family": -1}, {"workers": 2**32 + 8}, {"directory_bytes": -4096}):
            with self.subTest(option=option), self.assertRaises(ValueError):
                Registry(path, **option)
        self.assertFalse(path.exists())
        for limit in (-1, 2**32, 2**32 + 5):
            self.refuses(ValueError, f"{limit}: give", lambda: Counter("cut", "Cut", ["x"], series_limit=limit))

    def test_another_schema_is_a_warning_and_inert(self):
        Counter("schema", "Schema").inc()
        with self.assertWarnsRegex(RuntimeWarning, "with other labels") as caught:
            other = Counter("schema", "Schema", ["x"])
        self.assertEqual(__file__, caught.filename)
        other.labels("a").inc()
        self.assertEqual({"schema_total": 1}, samples(prefix="schema"))

    def test_a_segment_that_cannot_be_opened_is_an_error_of_a_registry_and_else_a_warning(self):
        self.refuses(OSError, "/none/there", lambda: Registry("/none/there/test.seg"))
        self.refuses(ValueError, "workers", lambda: Registry(segments.new_directory() / "a.seg", workers=5000))
        program = ("import shmetrics as s; c = s.Counter('a', 'A', ['x']); c.labels('b').inc(); "
                   "s.Gauge('g', 'G').set(1); s.Info('i', 'I').info({'a': 'b'})\n"
                   "with s.Histogram('h', 'H').time(): print('served')")
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False,
                                timeout=60, env={**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": "/none/there/test.seg"})
        self.assertEqual((0, "served\n"), (result.returncode, result.stdout), result.stderr)
        self.assertIn("RuntimeWarning: ", result.stderr)
        self.assertIn("/none/there", result.stderr)


class PythonUpdates(unittest.TestCase):
    longMessage = False

    def test_beyond_the_limits_the_overflow_series_counts_and_nothing_raises(self):
        counter = Counter("limited", "Limited", ["x"], series_limit=2)
        for i in range(50):
            counter.labels(i).inc()
        self.assertEqual({'limited_total{x="0"}': 1, 'limited_total{x="1"}': 1, 'limited_total{x="__overflow__"}': 48},
                         samples(prefix="limited"))
        registry = Registry(segments.new_directory() / "full.seg", directory_bytes=4096, cells=2048)
        full = Counter("full", "Full", ["x"], registry=registry)
        gauge = Gauge("full_gauge", "Full", ["x"], registry=registry)
        for i in range(500):
            full.labels("value" * 10 + str(i)).inc()
            gauge.labels("value" * 10 + str(i)).set(1)
        self.assertEqual(500, sum(samples(registry.path, "full_total").values()))
        self.assertGreater(samples(registry.path)['full_total{x="__overflow__"}'], 400)

    def test_any_label_value_is_counted(self):
        counter = Counter("any", "Any", ["x"])
        for value in ("", "\0", "\udcff", "x" * 2000, b"raw", 1.5, None, "\n\"\\", "é"):
            counter.labels(value).inc()
        wanted = {"": 1, "__overflow__": 3, "b'raw'": 1, "1.5": 1, "None": 1, "\n\"\\": 1, "é": 1}
        self.assertEqual({f'any_total{{x="{value}"}}': count for value, count in wanted.items()}, samples(prefix="any"))

    def test_a_value_whose_str_fails_leaves_the_count_alone(self):
        class Odd:
            def __str__(self):
                raise OSError("odd")
        counter = Counter("odd", "Odd", ["x", "y"])
        with self.assertRaises(OSError):
            counter.labels("a", Odd()).inc()
        self.assertEqual({}, samples(prefix="odd"))

    def test_a_value_whose_str_declares_the_family_anew_is_still_a_value(self):
        class Odd:
            def __init__(self, labels):
                self.labels = labels

            def __str__(self):
                counter.__init__("anew_as", "Anew", self.labels)
                return "a"
        for labels in ([], ["x"], ["x", "y", "z"]):
            counter = Counter("anew", "Anew", ["x", "y"])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the last two are other schemas
                counter.labels(Odd(labels), "b").inc()

    def test_numbers_that_are_no_increment_are_let_go(self):
        counter, histogram = Counter("nan", "NaN"), Histogram("nan_seconds", "NaN")
        counter.inc(float("nan"))
        counter.inc(float("inf"))
        histogram.observe(float("nan"))
        counter.inc(True)
        self.assertEqual((1, 0), (samples()["nan_total"], samples()["nan_seconds_count"]))

    def test_label_sets_without_bound_cost_no_memory(self):
        counter = Counter("many", "Many", ["x"], series_limit=10)

        def grow(begin):
            for i in range(begin, begin + 100_000):
                counter.labels(f"value {i}").inc()
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = grow(0)
        self.assertLess(grow(100_000) - before, 512)  # KiB
        self.assertEqual(200_000, sum(samples(prefix="many").values()))

    def test_objects_are_freed(self):
        counter, gauge = Counter("freed", "Freed", ["x"]), Gauge("freed_gauge", "Freed")
        kinds = (Counter, Gauge)
        counts = [sys.getrefcount(kind) for kind in kinds]
        for _ in range(1000):
            counter.labels(x="a").inc(amount=2)
            gauge.track_inprogress().__enter__()
        self.assertEqual(counts, [sys.getrefcount(kind) for kind in kinds])

    def test_threads_lose_nothing(self):
        counter, histogram = Counter("threads", "Threads", ["x"]), Histogram("threads_seconds", "Threads")
        gauge = Gauge("threads_gauge", "Threads", multiprocess_mode="livesum")

        def count():
            for _ in range(20_000):
                counter.labels("a").inc()
                histogram.observe(0.5)
                gauge.inc()
        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = samples()
        self.assertEqual([160_000] * 4, [found['threads_total{x="a"}'], found["threads_seconds_count"],
                                         found["threads_gauge"], found['threads_seconds_bucket{le="0.5"}']])

    def test_a_signal_handler_may_update_what_it_interrupts(self):
        counter, histogram = Counter("signals", "Signals"), Histogram("signals_seconds", "Signals")
        handled = 0

        def handle(*_):
            nonlocal handled
            handled += 1
            counter.inc()
            histogram.observe(1)
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, handle))
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        done, end = 0, time.monotonic() + 60
        while handled < 200 and time.monotonic() < end:
            counter.inc()
            histogram.observe(1)
            done += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.assertGreaterEqual(handled, 200)
        self.assertEqual((done + handled, done + handled),
                         (samples()["signals_total"], samples()["signals_seconds_count"]))


class PythonScopes(unittest.TestCase):
    def test_time_is_observed_by_with_and_by_decorator_also_when_it_raises(self):
        histogram, gauge = Histogram("timed_seconds", "Timed", buckets=[0.01, 5]), Gauge("timed_last", "Timed")
        summary = Summary("timed_rest_seconds", "Timed", ["x"])
        with histogram.time(), gauge.time():
            time.sleep(0.02)

        @histogram.time()
        def recurse(depth):
            """Depth."""
            if depth == 0:
                raise KeyError
            time.sleep(0.02)
            recurse(depth - 1)
        with self.assertRaises(KeyError):
            recurse(3)
        self.assertEqual(("recurse", "Depth."), (recurse.__name__, recurse.__doc__))
        with summary.time() as timer:
            timer.labels("late")
        found = samples(prefix="timed")
        self.assertEqual((5, 1), (found["timed_seconds_count"], found['timed_seconds_bucket{le="0.01"}']))
        self.assertGreater(found["timed_seconds_sum"], 0.02 + 0.02 + 0.04 + 0.06)
        self.assertGreater(found['timed_last{worker="0"}'], 0.02)
        self.assertEqual(1, found['timed_rest_seconds_count{x="late"}'])

    def test_exceptions_of_the_type_are_counted_and_go_on(self):
        counter = Counter("raised", "Raised")

        @counter.count_exceptions((KeyError, IndexError))
        def fail(error):
            raise error
        for error in (KeyError, IndexError, OSError):
            with self.assertRaises(error):
                fail(error)
        with counter.count_exceptions():
            pass
        self.assertEqual(2, samples()["raised_total"])

    def test_exceptions_of_a_family_that_misses_its_labels_are_refused_before_they_could_be_hidden(self):
        has_run = False
        with self.assertRaisesRegex(ValueError, "call labels"):
            with Counter("hidden", "Hidden", ["x"]).count_exceptions():
                has_run = True
        self.assertFalse(has_run)

    def test_work_in_progress_is_counted_while_it_runs(self):
        gauge = Gauge("inside", "Inside", ["x"], multiprocess_mode="livesum").labels("a")

        @gauge.track_inprogress()
        def inside(depth):
            return inside(depth - 1) if depth else samples()['inside{x="a"}']
        self.assertEqual(3, inside(2))
        with self.assertRaises(KeyError), gauge.track_inprogress():
            raise KeyError
        self.assertEqual(0, samples()['inside{x="a"}'])

    def test_current_time_is_unix_seconds(self):
        Gauge("now_seconds", "Now", multiprocess_mode="max").set_to_current_time()
        self.assertLess(abs(samples()["now_seconds"] - time.time()), 5)


if __name__ == "__main__":
    warnings.simplefilter("error", RuntimeWarning)
    unittest.main()
