"""deploy/scale with real servers: agents, a receiver, federation, hosts from files; the figures of docs/scaling.md.

usage: scale_test.py DIRECTORY_OF_PROGRAMS
"""
import base64
import contextlib
import gzip
import os
import pathlib
import re
import signal
import statistics
import sys
import tempfile
import time
import unittest

import yaml

import deployment
from deployment import ROOT, RunningExporter, RunningPrometheus, eventually
from running_crm import RunningCrm  # deployment has put its folder into the path

WAIT_SECONDS = 90
PASSWORD = "password-of-the-writers"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"writer:{PASSWORD}".encode()).decode()}
WEB = "basic_auth_users:\n  writer: $2b$06$abcdefghijklmnopqrstuuMSB0N0scbP0UdwVSjYIP5.4cBnLttxm\n"
EXPORTERS = 100
TOLERANCE = 0.2
# What a target has of Prometheus itself: up, scrape_duration_seconds and the like.
SERIES_OF_A_TARGET = 5

programs = pathlib.Path(".")


def key(name, labels):
    """A bound is a number: OpenMetrics, which Prometheus prefers, writes 1.0 where text 0.0.4 writes 1."""
    return name, tuple(sorted((label, str(float(value)) if label == "le" else value) for label, value in labels))


def samples(text):
    """What the application has in a scrape, by name and labels."""
    lines = re.findall(r"^(mastercrm_\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE)
    return {key(name, re.findall(r'(\w+)="([^"]*)"', labels)): float(value) for name, labels, value in lines}


def samples_at(prometheus):
    """The same of what a Prometheus has, without the labels that were added on the way."""
    added = {"__name__", "job", "instance", "environment", "service", "prometheus"}
    return {key(labels["__name__"], [pair for pair in labels.items() if pair[0] not in added]): value
            for labels, value in prometheus.query('{__name__=~"mastercrm_.+"}')}


def requests_counted(text):
    return sum(value for (name, _), value in samples(text).items() if name == "mastercrm_http_requests_total")


@contextlib.contextmanager
def at_rest(crm):
    """Nothing moves while the block runs: queue workers and housekeeper ask the database also when nobody else does."""
    pids = [pid for name in ("crm-worker", "crm-queue", "crm-housekeeper") for pid in crm.pids(name)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


class Place:
    """A copy of deploy/ in a folder, whose configurations are brought to this machine: ports, no TLS, every second."""

    def __init__(self, folder, token):
        self.scale = deployment.copy_with_secrets(folder, token) / "scale"
        (self.scale / "receiver.password").write_text(PASSWORD)
        (self.scale / "web.yml").write_text(WEB)
        for name in ("rules.yml", "alerts.yml", "shmetrics-alerts.yml"):
            path = self.scale / "../prometheus" / name
            path.write_text(re.sub(r"interval: \w+", "interval: 1s", path.read_text()))

    def hosts(self, name, *ports):
        """As the file says: written beside it and renamed."""
        config = yaml.safe_load((self.scale / "hosts/production.yml").read_text())
        config[0]["targets"] = [f"127.0.0.1:{port}" for port in ports]
        new = self.scale / "hosts" / f"{name}.new"
        new.write_text(yaml.safe_dump(config))
        os.replace(new, new.with_suffix(".yml"))

    def config(self, name, change=lambda config: None, source=None):
        config = yaml.safe_load((source or self.scale / name).read_text())
        config["global"].update(evaluation_interval="1s")
        config.pop("alerting", None)
        if "scrape_configs" in config:
            config["global"].update(scrape_interval="1s", scrape_timeout="1s")
        for job in config.get("scrape_configs", []):
            job.pop("scheme", None)
        change(config)
        path = self.scale / f"running-{name}"
        path.write_text(yaml.safe_dump(config))
        return path

    def receiver(self):
        return RunningPrometheus(self.config("receiver.yml"), f"--web.config.file={self.scale / 'web.yml'}",
                                 "--web.enable-remote-write-receiver", headers=BASIC)


class Scale(unittest.TestCase):
    longMessage = False

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm")))
        self.crm = self.start_crm("crm")

    def start_crm(self, name):
        (self.folder / name).mkdir()
        return self.stack.enter_context(RunningCrm(programs, self.folder / name))

    def scrape(self, crm=None):
        crm = crm or self.crm
        return deployment.fetch(crm.exporter_port, crm.token)

    def assert_eventually_equal(self, one, other):
        eventually(lambda: one() == other(), WAIT_SECONDS)
        self.assertEqual(one(), other())

    def test_what_agents_write_is_what_the_exporter_has_though_the_receiver_was_away(self):
        place = Place(self.folder, self.crm.token)
        place.hosts("production", self.crm.exporter_port)
        receiver = self.stack.enter_context(place.receiver())

        def write_here(config):
            config["remote_write"][0]["url"] = f"http://127.0.0.1:{receiver.port}/api/v1/write"

        self.stack.enter_context(RunningPrometheus(place.config("agent.yml", write_here), agent=True))
        self.crm.load(3)
        self.assertTrue(eventually(lambda: receiver.number('up{prometheus="agent-1"}'), WAIT_SECONDS))
        receiver.stop()
        self.crm.load(3)
        away = time.time()
        receiver.start()
        self.crm.load(3)
        with at_rest(self.crm):
            self.assert_eventually_equal(lambda: samples(self.scrape()), lambda: samples_at(receiver))
        self.assertGreater(requests_counted(self.scrape()), 0)
        # What was scraped while it was away waited, and came.
        before = receiver.number(f"sum(count_over_time(up[{int(time.time() - away) + 3}s] offset 1s))")
        self.assertGreater(before, time.time() - away, "samples of the time in which nobody listened")
        self.assertEqual("ok", {rule["health"] for group in receiver.api("rules")["groups"]
                                for rule in group["rules"]}.pop())

    def test_aggregates_alone_go_where_they_are_kept_for_long(self):
        place = Place(self.folder, self.crm.token)
        receiver = self.stack.enter_context(place.receiver())
        (place.scale / "whole.yml").write_text((place.scale / "../prometheus/prometheus.yml").read_text()
                                               + (place.scale / "long-term.yml").read_text())

        def write_here(config):
            config["remote_write"][0]["url"] = f"http://127.0.0.1:{receiver.port}/api/v1/write"
            config["rule_files"] = ["../prometheus/rules.yml"]
            config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{self.crm.exporter_port}"]
            del config["scrape_configs"][1:]

        sender = self.stack.enter_context(RunningPrometheus(place.config("whole.yml", write_here)))
        (place.scale / "mastercrm.token").write_text(self.crm.token)
        self.crm.load(5)
        recorded = 'count by (__name__) ({__name__=~".+:.+"})'
        names = {rule["record"] for group in yaml.safe_load(
            (place.scale / "../prometheus/rules.yml").read_text())["groups"] for rule in group["rules"]}
        self.assertTrue(eventually(lambda: len(receiver.query(recorded)) == len(names), WAIT_SECONDS),
                        names - {labels["__name__"] for labels, _ in receiver.query(recorded)})
        self.assertGreater(sender.number("count(mastercrm_http_requests_total)"), 0)
        self.assertEqual([], receiver.query('{__name__=~".+", __name__!~"job.*:mastercrm_.*"}'))

    def test_federation_has_the_totals_of_two_exporters(self):
        crms = [self.crm, self.start_crm("other")]
        leaves = []
        for number, crm in enumerate(crms, 1):
            place = Place(self.folder / f"place-{number}", crm.token)
            place.hosts("production", crm.exporter_port)

            def name_it(config, name=f"leaf-{number}"):
                config["global"]["external_labels"]["prometheus"] = name

            leaves.append(self.stack.enter_context(RunningPrometheus(place.config("leaf.yml", name_it))))

        def ask_leaves(config):
            config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{leaf.port}" for leaf in leaves]

        top = self.stack.enter_context(RunningPrometheus(place.config("federation.yml", ask_leaves)))
        for seconds, crm in zip((3, 5), crms):
            crm.load(seconds)
        counted = [requests_counted(self.scrape(crm)) for crm in crms]
        self.assertTrue(all(counted) and counted[0] != counted[1], counted)
        total = "sum(mastercrm_http_requests_total)"
        self.assert_eventually_equal(lambda: [leaf.number(total) for leaf in leaves], lambda: counted)
        self.assert_eventually_equal(
            lambda: [top.number(f'sum(mastercrm_http_requests_total{{prometheus="leaf-{n}"}})') for n in (1, 2)],
            lambda: counted)
        self.assertEqual(sum(counted), top.number(total))
        self.assertEqual(2, top.number('count(up{job="mastercrm"} == 1)'))
        self.assertTrue(eventually(
            lambda: top.number("count(job_route_status_code:mastercrm_http_requests:rate5m)"), WAIT_SECONDS))
        self.assertEqual([], top.query('{__name__=~"mastercrm_.*_bucket"}'), "what was not asked for")

    def test_a_host_in_a_new_file_is_scraped_without_a_restart(self):
        place = Place(self.folder, self.crm.token)
        place.hosts("production", self.crm.exporter_port)
        leaf = self.stack.enter_context(RunningPrometheus(place.config("leaf.yml")))
        self.assertTrue(eventually(lambda: leaf.number("sum(up)") == 1, WAIT_SECONDS))
        with RunningExporter(programs, self.crm.segment, token=self.crm.token) as second:
            place.hosts("more", second.port)
            self.assertTrue(eventually(lambda: leaf.number("sum(up)") == 2, WAIT_SECONDS))


class Sizing(unittest.TestCase):
    """100 exporters of one segment, one Prometheus, the figures of docs/scaling.md."""
    longMessage = False

    def assert_near(self, expected, seen, what):
        print(f"{what}: by the page {expected:.0f}, seen {seen:.0f} ({seen / expected - 1:+.1%})")
        with self.subTest(what):
            self.assertLess(abs(seen / expected - 1), TOLERANCE)

    def test_what_100_exporters_take_is_what_the_page_says(self):
        page = (ROOT / "docs/scaling.md").read_text()
        figures = {name: float(value.replace(",", "")) for name, value in
                   re.findall(r"^\| ([^|]+) \| ([\d,.]+) \|", page, re.MULTILINE)}
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(stack.enter_context(
                tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm")))
            crm = stack.enter_context(RunningCrm(programs, folder))
            crm.load(15, rate=100)  # so that every label set that is usual has been seen
            ports = [stack.enter_context(RunningExporter(programs, crm.segment, token=crm.token)).port
                     for _ in range(EXPORTERS)]
            place = Place(folder, crm.token)
            place.hosts("production", *ports)
            prometheus = stack.enter_context(RunningPrometheus(place.config("leaf.yml")))
            self.assertTrue(eventually(lambda: prometheus.number("sum(up)") == EXPORTERS, WAIT_SECONDS))
            load = crm.start_load(30, rate=100)
            self.check_prometheus(prometheus, self.check_scrape(crm, figures), figures)
            crm.finish_load(load)

    def check_scrape(self, crm, figures):
        """The samples of a scrape."""
        text = deployment.fetch(crm.exporter_port, crm.token)
        packed = deployment.ask(f"http://127.0.0.1:{crm.exporter_port}/api/metrics",
                                **{"Authorization": f"Bearer {crm.token}", "Accept-Encoding": "gzip"})
        self.assertEqual(text.count("\n"), gzip.decompress(packed).count(b"\n"))
        count = len(re.findall(r"^[^#\n]", text, re.MULTILINE))
        self.assert_near(figures["samples in a scrape"], count, "samples in a scrape")
        self.assert_near(count * figures["bytes of text a sample"], len(text), "bytes of a scrape")
        self.assert_near(count * figures["bytes of gzip a sample"], len(packed), "bytes of a scrape, compressed")
        return count

    def check_prometheus(self, prometheus, in_a_scrape, figures):
        series = EXPORTERS * (in_a_scrape + SERIES_OF_A_TARGET)

        def own(name):
            lines = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", prometheus.text("/metrics"), re.MULTILINE)
            return sum(map(float, lines))

        appended, begin = own("prometheus_tsdb_head_samples_appended_total"), time.monotonic()
        cpu = own("process_cpu_seconds_total")
        heap = []
        while (seconds := time.monotonic() - begin) < 20:
            time.sleep(0.5)
            heap.append(own("go_memstats_next_gc_bytes"))
        rate = (own("prometheus_tsdb_head_samples_appended_total") - appended) / seconds
        self.assert_near(series, own("prometheus_tsdb_head_series"), "series")
        self.assert_near(series, rate, "samples a second, at one scrape a second")
        # To this size Go lets the heap grow; resident memory depends more on when one looks.
        self.assert_near(series * figures["bytes of heap a series"], statistics.median(heap), "bytes of heap")
        print(f"resident: {own('process_resident_memory_bytes') / 1e6:.0f} MB")
        print(f"cpu: {(own('process_cpu_seconds_total') - cpu) / seconds / rate * 1e6:.2f} s a million samples")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    programs = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
