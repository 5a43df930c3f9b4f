"""Exemplars in prometheus_client's shape, and what a real Prometheus stores of them.

usage: exemplars_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import types
import unittest
import urllib.error
import urllib.parse
import urllib.request
from unittest import mock

import segments

import prometheus_client
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from shmetrics import Counter, Histogram

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples"))
from current_exemplar import current_exemplar  # noqa: E402

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WAIT_SECONDS = 60


def exemplars(prefix):
    """{(sample, le): exemplar} of the families whose names begin so, by prometheus_client's parser."""
    found = {}
    for family in text_string_to_metric_families(segments.dump(segments.SEGMENT, "openmetrics")):
        for sample in family.samples:
            if sample.name.startswith(prefix) and sample.exemplar is not None:
                found[sample.name, sample.labels.get("le")] = sample.exemplar
    return found


class PythonExemplars(unittest.TestCase):
    longMessage = False

    def test_the_newest_of_all_workers_is_shown(self):
        jobs = Counter("newest_jobs", "Jobs", exemplars=True)
        times = Histogram("newest_seconds", "Times", buckets=(1, 2), exemplars=True)
        jobs.inc(2, {"trace_id": "first"})
        times.observe(0.5, exemplar={"trace_id": TRACE, "span_id": SPAN})

        def work():
            time.sleep(0.05)  # a tick of the clock that tells the newer
            jobs.inc(exemplar={"trace_id": "last"})
            times.observe(exemplar={"tenant": "a"}, amount=5)

        self.assertEqual(0, os.waitpid(segments.forked(work), 0)[1])
        found = exemplars("newest_")
        self.assertEqual({"trace_id": "last"}, found["newest_jobs_total", None].labels)
        self.assertEqual(1, found["newest_jobs_total", None].value)
        self.assertEqual({"trace_id": TRACE, "span_id": SPAN}, found["newest_seconds_bucket", "1.0"].labels)
        self.assertEqual({"tenant": "a"}, found["newest_seconds_bucket", "+Inf"].labels)
        self.assertAlmostEqual(time.time(), float(found["newest_jobs_total", None].timestamp), delta=30)
        self.assertEqual(3, segments.samples(prefix="newest_jobs")["newest_jobs_total"])

    def test_what_is_no_exemplar_is_refused_as_prometheus_client_does_and_its_update_counts(self):
        ours = Counter("refused_jobs", "Jobs", exemplars=True)
        theirs = prometheus_client.Counter("refused_jobs", "Jobs", registry=None)
        for exemplar in ({"trace_id": "x" * 121}, {"a": "x" * 60, "b": "x" * 67}, {"1": "x"}, {"": "x"}, {"a-b": "x"},
                         {"__name": "x"}):
            for counter in (ours, theirs):
                with self.assertRaises(ValueError, msg=f"{exemplar} {counter}"):
                    counter.inc(1, exemplar)
        for wrong in ({"a": 1}, {1: "a"}):
            with self.assertRaises(TypeError):
                ours.inc(1, wrong)
        for none in (None, {}):
            ours.inc(1, none)
        self.assertEqual({}, exemplars("refused_"))
        self.assertEqual(10, segments.samples(prefix="refused_")["refused_jobs_total"])

    def test_items_of_any_mapping_are_taken_if_they_are_two_and_the_update_counts_in_any_case(self):
        class Mapping:
            def __init__(self, *items):
                self.items = lambda: items

        jobs = Counter("items_jobs", "Jobs", exemplars=True)
        jobs.inc(1, Mapping(["trace_id", TRACE], iter(("span_id", SPAN))))
        self.assertEqual({"trace_id": TRACE, "span_id": SPAN}, exemplars("items_")["items_jobs_total", None].labels)
        for error, item in ((ValueError, ("trace_id",)), (ValueError, []), (ValueError, ("trace_id", TRACE, SPAN)),
                            (TypeError, 1), (TypeError, None)):
            with self.assertRaises(error):
                jobs.inc(1, Mapping(item))
        self.assertEqual(6, segments.samples(prefix="items_")["items_jobs_total"])

    def test_an_empty_value_takes_the_place_of_no_other(self):
        jobs = Counter("empty_jobs", "Jobs", exemplars=True)
        jobs.inc(1, {**{f"l{n}": "" for n in range(40)}, "z": "x"})
        self.assertEqual({"z": "x"}, exemplars("empty_")["empty_jobs_total", None].labels)

    def test_what_openmetrics_allows_and_a_segment_has_no_room_for_is_no_error(self):
        jobs = Counter("long_jobs", "Jobs", exemplars=True)
        jobs.inc(1, {"trace_id": "x" * 120})
        jobs.inc(1, {f"l{n}": "x" for n in range(30)})
        self.assertEqual({}, exemplars("long_"))
        self.assertEqual(2, segments.samples(prefix="long_")["long_jobs_total"])

    def test_a_family_without_them_takes_them_and_shows_none(self):
        jobs = Counter("without_jobs", "Jobs")
        jobs.inc(1, exemplar={"trace_id": TRACE})
        Histogram("without_seconds", "Times").observe(1, {"trace_id": TRACE})
        self.assertEqual({}, exemplars("without_"))
        self.assertEqual(1, segments.samples(prefix="without_")["without_jobs_total"])

    def test_the_example_takes_the_current_span_of_opentelemetry(self):
        self.assertIsNone(current_exemplar(), "the program does not use it")
        span = types.SimpleNamespace(is_valid=True, trace_id=int(TRACE, 16), span_id=1,
                                     trace_flags=types.SimpleNamespace(sampled=True))
        trace = types.ModuleType("opentelemetry.trace")
        trace.get_current_span = lambda: types.SimpleNamespace(get_span_context=lambda: span)
        with mock.patch.dict(sys.modules, {"opentelemetry.trace": trace}):
            self.assertEqual({"trace_id": TRACE, "span_id": "0000000000000001"}, current_exemplar())
            jobs = Counter("traced_jobs", "Jobs", exemplars=True)
            jobs.inc(1, current_exemplar())
            self.assertEqual(TRACE, exemplars("traced_")["traced_jobs_total", None].labels["trace_id"])
            span.trace_flags.sampled = False
            self.assertIsNone(current_exemplar())
            span.is_valid = False
            self.assertIsNone(current_exemplar())


@unittest.skipUnless(shutil.which("prometheus"), "no prometheus here: tools/install-dependencies.sh test")
class StoredExemplars(unittest.TestCase):
    longMessage = False

    def stored(self, port, query):
        """(trace id, value) of what Prometheus has stored; the metrics and their exemplars are asked for by name."""
        parameters = urllib.parse.urlencode({"query": query, "start": time.time() - 600, "end": time.time() + 600})
        try:
            url = f"http://127.0.0.1:{port}/api/v1/query_exemplars?{parameters}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                series = json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):
            return set()
        return {(exemplar["labels"]["trace_id"], float(exemplar["value"])) for one in series
                for exemplar in one["exemplars"]}

    def stored_by(self, *features, native):
        folder = segments.new_directory()
        segment = folder / "traced.seg"
        work = ("import shmetrics; r = shmetrics.Registry('{}'); "
                "h = shmetrics.Histogram('app_seconds', 'Times', buckets=(1, 2), registry=r, exemplars=True); "
                "c = shmetrics.Counter('app_jobs', 'Jobs', registry=r, exemplars=True); "
                "n = shmetrics.Histogram('app_wait_seconds', 'Times', native=shmetrics.NativeBuckets(0.25, 4), "
                "registry=r, exemplars=True); n.observe(0.6, {{'trace_id': 'of-a-native'}}); "
                "h.observe(1.5, {{'trace_id': '{}'}}); c.inc(2, {{'trace_id': 'of-a-counter'}})").format(segment, TRACE)
        subprocess.run([sys.executable, "-c", work], check=True, timeout=60, env=segments.ENVIRONMENT)
        target = urllib.parse.urlsplit(segments.exporter_of(self, segment)).netloc
        prometheus = segments.free_port()
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: app\n  metrics_path: /metrics\n"
            f"  static_configs: [{{targets: ['{target}']}}]\n")
        server = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{prometheus}", "--enable-feature=" + ",".join(features)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wanted = {"app_seconds_bucket": (TRACE, 1.5), "app_jobs_total": ("of-a-counter", 2.0),
                  native: ("of-a-native", 0.6)}
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end and wanted:
            wanted = {query: exemplar for query, exemplar in wanted.items()
                      if exemplar not in self.stored(prometheus, query)}
            time.sleep(0.2)
        self.assertFalse(wanted, f"{features}: not stored: {wanted}")

    def test_prometheus_stores_them_from_openmetrics(self):
        self.stored_by("exemplar-storage", native="app_wait_seconds_bucket")

    def test_prometheus_stores_them_from_protobuf(self):
        # With that flag it asks for protobuf.
        self.stored_by("exemplar-storage", "native-histograms", native="app_wait_seconds")


if __name__ == "__main__":
    unittest.main()
