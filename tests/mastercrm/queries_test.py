"""A real Prometheus scrapes MasterCRM under load: every query of the guide returns data, and says what the clients saw.

usage: queries_test.py DIRECTORY_OF_PROGRAMS [SECONDS_OF_LOAD]
"""
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest

import guide
from running_crm import ROOT, RunningCrm, eventually

sys.path.insert(0, str(ROOT / "tests/deploy"))
from deployment import RunningPrometheus  # noqa: E402

RATE, CONNECTIONS = 80, 32  # paced, so that what is measured is no saturated machine
REQUESTS = "mastercrm_http_requests_total"

programs = pathlib.Path(".")
load_seconds = 14  # at this rate, all of the mix once more, unless the machine is busy


def request_bounds():
    """The buckets' bounds of a request's duration, from the catalogue."""
    text = (ROOT / "examples/mastercrm/catalogue.hpp").read_text()
    return [float(bound) for bound in re.search(r"kRequestSeconds\{([^}]*)\}", text).group(1).split(",")]


def width_of_bucket(seconds):
    lower = 0
    for bound in request_bounds():
        if seconds <= bound:
            return bound - lower
        lower = bound
    return float("inf")


class Queries(unittest.TestCase):
    longMessage = False

    @staticmethod
    def new_crm(folder):
        return RunningCrm(programs, folder)

    @classmethod
    def setUpClass(cls):
        if not shutil.which("prometheus"):
            raise unittest.SkipTest("no prometheus here")
        cls.place = tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm")
        cls.addClassCleanup(cls.place.cleanup)
        cls.crm = cls.new_crm(cls.place.name)
        cls.addClassCleanup(cls.crm.stop)
        cls.crm.start()
        folder = pathlib.Path(cls.place.name)
        (folder / "token").write_text(cls.crm.token)
        (folder / "prometheus.yml").write_text(json.dumps({  # which is YAML too
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "mastercrm", "metrics_path": "/api/metrics",
                                "authorization": {"credentials_file": "token"},
                                "static_configs": [{"targets": [f"127.0.0.1:{cls.crm.exporter_port}"]}]}]}))
        cls.prometheus = RunningPrometheus(folder / "prometheus.yml")
        cls.addClassCleanup(cls.prometheus.__exit__)
        cls.prometheus.__enter__()
        # A series that begins at 5 is no increase to Prometheus: so all of them exist before the measured load.
        cls.crm.load_all_of_the_mix(connections=CONNECTIONS)
        cls.begin, cls.measured = cls.crm.load_all_of_the_mix(load_seconds, rate=RATE, connections=CONNECTIONS,
                                                              websockets=4)
        cls.end = time.time()
        # Until a scrape has seen the end of it.
        eventually(lambda: cls.prometheus.query(f"timestamp(mastercrm_active_connections) > {cls.end}"))

    @classmethod
    def results(cls, expression):
        """Of an instant query, as of the end of the load."""
        return cls.prometheus.api("query", query=expression, time=cls.end)["result"]

    def value(self, expression):
        """During the load, when `[range]` is all of it."""
        text = expression.replace("[range]", f"[{round((self.end - self.begin) * 1000)}ms]")
        result = self.results(text)
        self.assertEqual(1, len(result), f"{text}: {result}")
        return float(result[0]["value"][1])

    def test_every_query_of_the_guide_returns_data_as_printed(self):
        queries = list(guide.queries()) + list(guide.panel_queries())
        self.assertEqual(17 + 10, len(queries))
        for title, expression in queries:
            with self.subTest(title):
                result = self.results(expression)
                self.assertTrue(result, f"no data: {expression}")
                values = [float(series["value"][1]) for series in result]
                self.assertTrue(any(value == value for value in values), f"only NaN: {expression}")

    def test_request_rate_is_what_the_clients_measured(self):
        # Two scrapes more or less are seconds of the load; as are the requests of those seconds.
        self.assertAlmostEqual(self.measured["rate"], self.value(f"sum(rate({REQUESTS}[range]))"),
                               delta=0.15 * self.measured["rate"])

    def test_error_rate_is_what_the_clients_measured(self):
        self.assertGreater(self.measured["error_rate"], 0.02)
        expression = (f'sum(rate({REQUESTS}{{status_code=~"4..|5.."}}[range])) / sum(rate({REQUESTS}[range]))')
        self.assertAlmostEqual(self.measured["error_rate"], self.value(expression), delta=0.01)

    def test_p95_is_what_the_clients_measured_within_its_bucket(self):
        found = self.value("histogram_quantile(0.95, sum by (le) "
                           "(rate(mastercrm_http_request_duration_seconds_bucket[range])))")
        width = width_of_bucket(self.measured["p95"])
        self.assertLessEqual(abs(found - self.measured["p95"]), width,
                             f"PromQL {found}, clients {self.measured['p95']}, a bucket of {width}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    load_seconds = int(sys.argv.pop()) if len(sys.argv) == 3 else load_seconds
    programs = pathlib.Path(sys.argv.pop()).resolve()
    unittest.main()
