"""The exporter's own metrics: names, types, label names and label values are fixed; a new one needs a line here."""
import os
import re
import signal
import time
import unittest

import programs
from programs import Exporter

COUNTER, GAUGE = "counter", "gauge"
ANY = None  # a label with values of its own
# name -> type, {label: its only values}
# Of a segment that is up: all of them, each label value, zeros too.
OF_A_SEGMENT = {
    "shmetrics_segment_up": (GAUGE, {}),
    "shmetrics_segment_created_timestamp_seconds": (GAUGE, {}),
    "shmetrics_workers": (GAUGE, {"state": {"live", "dead", "released", "unused"}}),
    "shmetrics_slots": (GAUGE, {"state": {"used", "free"}}),
    "shmetrics_families": (GAUGE, {}),
    "shmetrics_series": (GAUGE, {}),
    "shmetrics_cells_used": (GAUGE, {}),
    "shmetrics_cells_limit": (GAUGE, {}),
    "shmetrics_directory_used_bytes": (GAUGE, {}),
    "shmetrics_directory_limit_bytes": (GAUGE, {}),
    "shmetrics_worker_deaths_total": (COUNTER, {}),
    "shmetrics_declarations_refused_total": (COUNTER, {"reason": {
        "rule", "other_type", "schemas", "same_process", "newer_release", "directory", "no_memory", "busy"}}),
    "shmetrics_updates_dropped_total": (COUNTER, {"reason": {
        "series_limit", "no_entry", "refused_family", "no_memory", "busy"}}),
    "shmetrics_exemplars_dropped_total": (COUNTER, {"reason": {"not_declared", "invalid", "too_long", "no_slot"}}),
    "shmetrics_values_refused_total": (COUNTER, {"reason": {"nan", "infinite", "negative"}}),
    "shmetrics_torn_reads_total": (COUNTER, {}),
    "shmetrics_foreign_locks": (GAUGE, {}),
    "shmetrics_quarantined": (GAUGE, {"what": {"family", "series", "slot", "worker"}}),
}
CONTRACT = {
    **OF_A_SEGMENT,
    # Only where there is something to tell: not 0, more than one.
    "shmetrics_series_overflow_total": (COUNTER, {"family": ANY, "reason": {
        "series_limit", "cells", "directory", "invalid_value", "no_memory", "busy"}}),
    "shmetrics_family_generations": (GAUGE, {"family": ANY}),
    "shmetrics_worker_cpu_seconds_total": (COUNTER, {"worker": ANY}),
    "shmetrics_worker_open_fds": (GAUGE, {"worker": ANY}),
    "shmetrics_worker_resident_memory_bytes": (GAUGE, {"worker": ANY}),
    "shmetrics_worker_start_time_seconds": (GAUGE, {"worker": ANY}),
    "shmetrics_worker_threads": (GAUGE, {"worker": ANY}),
    "shmetrics_scrape_duration_seconds": (GAUGE, {}),
    "shmetrics_exporter_build_info": (GAUGE, {"version": ANY, "revision": ANY, "compiler": ANY}),
    "shmetrics_exporter_requests_total": (COUNTER, {"code": {"200", "400", "401", "404", "405", "429", "500", "503"},
                                                    "handler": {"metrics", "health", "index", "ui", "other"}}),
    "shmetrics_exporter_requests_in_flight": (GAUGE, {}),
    "shmetrics_exporter_query_token_requests_total": (COUNTER, {}),
    "shmetrics_exporter_config_last_reload_successful": (GAUGE, {}),
    "shmetrics_exporter_config_last_reload_success_timestamp_seconds": (GAUGE, {}),
    "shmetrics_exporter_connections_closed_total": (COUNTER, {"reason": {
        "max_connections", "max_connections_per_peer", "header_timeout", "idle_timeout", "write_timeout",
        "max_requests"}}),
    "shmetrics_exporter_accept_failures_total": (COUNTER, {}),
    "shmetrics_exporter_tls_certificate_expiry_timestamp_seconds": (GAUGE, {}),
    "process_cpu_seconds_total": (COUNTER, {}),
    "process_max_fds": (GAUGE, {}),
    "process_open_fds": (GAUGE, {}),
    "process_resident_memory_bytes": (GAUGE, {}),
    "process_start_time_seconds": (GAUGE, {}),
    "process_threads": (GAUGE, {}),
    "process_virtual_memory_bytes": (GAUGE, {}),
    "process_virtual_memory_max_bytes": (GAUGE, {}),
}
# There with any segment or none.
ALWAYS = ["shmetrics_segment_up", "shmetrics_scrape_duration_seconds", "shmetrics_exporter_build_info",
          "shmetrics_exporter_requests_total", "shmetrics_exporter_requests_in_flight",
          "shmetrics_exporter_query_token_requests_total", "shmetrics_exporter_config_last_reload_successful",
          "shmetrics_exporter_config_last_reload_success_timestamp_seconds",
          "shmetrics_exporter_connections_closed_total", "shmetrics_exporter_accept_failures_total",
          "process_cpu_seconds_total", "process_start_time_seconds"]
# What the contract's worker makes of a segment.
EXPECTED = """shmetrics_segment_up 1
shmetrics_workers{state="live"} 1
shmetrics_workers{state="dead"} 0
shmetrics_worker_deaths_total 0
shmetrics_declarations_refused_total{reason="rule"} 1
shmetrics_declarations_refused_total{reason="other_type"} 0
shmetrics_slots{state="used"} 1
shmetrics_cells_limit 2048
shmetrics_directory_limit_bytes 65536
shmetrics_families 7
shmetrics_updates_dropped_total{reason="series_limit"} 1
shmetrics_updates_dropped_total{reason="refused_family"} 1
shmetrics_updates_dropped_total{reason="no_entry"} 0
shmetrics_torn_reads_total 0
shmetrics_quarantined{what="family"} 0
shmetrics_values_refused_total{reason="nan"} 1
shmetrics_values_refused_total{reason="infinite"} 1
shmetrics_values_refused_total{reason="negative"} 1
shmetrics_series_overflow_total{family="app_jobs_total",reason="series_limit"} 1
shmetrics_series_overflow_total{family="app_depth",reason="series_limit"} 1
shmetrics_exporter_requests_total{code="503",handler="metrics"} 0
app_jobs_total{queue="mail"} 3
app_jobs_total{queue="__overflow__"} 1
app_build_info{version="1.2.3"} 1
app_load{worker="0"} 0.5
""".splitlines()

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$', re.MULTILINE)


def own_samples(scrape):
    """(name, {label: value}) of the samples that are the exporter's."""
    for name, labels, _ in SAMPLE.findall(scrape):
        if name.startswith(("shmetrics_", "process_")):
            yield name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))


class SelfMetrics(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        directory = programs.folder()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.segment = self.directory + "/a.seg"

    def assert_contract(self, scrape):
        """Nothing that the contract does not have, and of a segment that is up nothing is missing."""
        types = dict(re.findall(r"^# TYPE ((?:shmetrics|process)_\w+) (\w+)$", scrape, re.MULTILINE))
        for name, labels in own_samples(scrape):
            self.assertIn(name, CONTRACT)
            kind, values = CONTRACT[name]
            self.assertEqual(kind, types[name], name)
            self.assertEqual(set(values), set(labels), name)
            for label, allowed in values.items():
                self.assertTrue(allowed is ANY or labels[label] in allowed, f"{name} {labels}")
        shown = set(re.findall(r"^(shmetrics_\S+) ", scrape, re.MULTILINE))
        for name, (_, values) in OF_A_SEGMENT.items():
            lines = {f'{name}{{{label}="{value}"}}' for label in values for value in values[label]} or {name}
            self.assertLessEqual(lines, shown)

    def test_names_types_and_labels_are_those_of_the_contract(self):
        with programs.worker(self.segment), Exporter(self.directory, segment=self.segment) as exporter:
            for target in ("/", "/nowhere", "/-/healthy", "/metrics?token=wrong"):
                exporter.get(target)
            exporter.get("/metrics", method="POST")
            scrape = exporter.scrape()
        self.assert_contract(scrape)
        for line in EXPECTED:
            self.assertIn(line, scrape.splitlines())

    def test_a_family_without_losses_and_with_one_schema_has_no_line_of_its_own(self):
        with programs.worker(self.segment), Exporter(self.directory, segment=self.segment) as exporter:
            scrape = exporter.scrape()
        self.assertEqual({"app_jobs_total", "app_depth"}, set(re.findall(r'family="(\w+)"', scrape)))
        self.assertNotIn("shmetrics_family_generations", scrape)

    def test_a_segment_that_is_not_there_has_one_line_that_says_so(self):
        with Exporter(self.directory, segment=self.segment) as exporter:
            scrape = exporter.scrape()
        self.assertEqual({"shmetrics_segment_up"}, {name for name, _ in own_samples(scrape)} & set(OF_A_SEGMENT))
        self.assertIn("\nshmetrics_segment_up 0\n", scrape)

    def test_workers_are_live_then_dead_or_released(self):
        with Exporter(self.directory, segment=self.segment) as exporter:
            with programs.worker(self.segment):
                self.assertIn('\nshmetrics_workers{state="live"} 1\n', exporter.scrape())
            self.assertIn('\nshmetrics_workers{state="released"} 1\n', exporter.scrape())
            with programs.worker(self.segment) as process:
                process.send_signal(signal.SIGKILL)
                process.wait(programs.TIMEOUT_SECONDS)
            scrape = exporter.scrape()
            self.assertIn('\nshmetrics_workers{state="dead"} 1\n', scrape)
            self.assertIn('\napp_jobs_total{queue="mail"} 6\n', scrape)
            with programs.worker(self.segment):
                self.assertIn("\nshmetrics_worker_deaths_total 1\n", exporter.scrape())
            self.assert_contract(exporter.scrape())

    def test_processes_of_workers_are_those_that_the_kernel_shows_and_go_with_them(self):
        flag = "--collector.worker-process"
        with Exporter(self.directory, flag, segment=self.segment) as exporter:
            with programs.worker(self.segment) as process:
                scrape = exporter.scrape()
                self.assert_contract(scrape)
                values = {name: float(value) for name, labels, value in SAMPLE.findall(scrape)
                          if labels == 'worker="0"'}
                with open(f"/proc/{process.pid}/status") as status:
                    resident = 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])
                self.assertEqual(1, values["shmetrics_worker_threads"])
                self.assertEqual(len(os.listdir(f"/proc/{process.pid}/fd")), values["shmetrics_worker_open_fds"])
                self.assertAlmostEqual(resident, values["shmetrics_worker_resident_memory_bytes"], delta=resident / 5)
                self.assertAlmostEqual(time.time(), values["shmetrics_worker_start_time_seconds"], delta=30)
                self.assertLess(values["shmetrics_worker_cpu_seconds_total"], 30)
                process.kill()
                process.wait(programs.TIMEOUT_SECONDS)
                self.assertNotIn("shmetrics_worker_threads", exporter.scrape())

    def test_what_dump_prints_is_what_the_exporter_serves_of_the_segment(self):
        with programs.worker(self.segment), Exporter(self.directory, segment=self.segment) as exporter:
            dumped = programs.run(programs.Programs.shmetrics, "dump", self.segment, "--format", "text").stdout
            self.assertIn(dumped, exporter.scrape())
        self.assertIn("app_jobs_total", dumped)
        self.assertNotIn("shmetrics_", dumped)
