"""The shipped alerts fire and resolve on real traffic, and reach the Alertmanager that prometheus.yml names.

The files are those of deploy/prometheus, with shorter ranges, so that it takes seconds and not a quarter of an hour.

usage: alerts_test.py DIRECTORY_OF_PROGRAMS
"""
import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import sys
import tempfile
import threading
import time
import unittest

import yaml

import deployment
from deployment import RunningPrometheus, eventually
from running_crm import RunningCrm  # deployment has put its folder into the path

WAIT_SECONDS = 90
CALM_SECONDS = 8
SHORTER = ((r"\[5m\]", "[10s]"), (r"\[15m\]", "[20s]"), ("offset 15m", "offset 20s"), (r"for: \w+", "for: 2s"),
           (r"interval: \w+", "interval: 1s"))

programs = pathlib.Path(".")


class Alertmanager:
    """What Prometheus tells it: the names of alerts that began and of those that ended."""

    def __init__(self):
        self.began, self.ended = set(), set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                for alert in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
                    is_over = alert["endsAt"][:19] <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
                    (outer.ended if is_over else outer.began).add(alert["labels"]["alertname"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Alerts(unittest.TestCase):
    longMessage = False

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        folder = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm")))
        self.manager = stack.enter_context(Alertmanager())
        self.crm = stack.enter_context(RunningCrm(programs, folder))
        self.prometheus = stack.enter_context(RunningPrometheus(self.configuration(folder)))

    def configuration(self, folder):
        copy = deployment.copy_with_secrets(folder, self.crm.token) / "prometheus"
        for name in ("alerts.yml", "shmetrics-alerts.yml"):
            rules = (copy / name).read_text()
            for long, short in SHORTER:
                rules = re.sub(long, short, rules)
            (copy / name).write_text(rules)
        config = yaml.safe_load((copy / "prometheus.yml").read_text())
        config["global"].update(scrape_interval="1s", scrape_timeout="1s")
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{self.manager.port}"]
        del config["scrape_configs"][1:], config["scrape_configs"][0]["scheme"]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{self.crm.exporter_port}"]
        (copy / "prometheus.yml").write_text(yaml.safe_dump(config))
        return copy / "prometheus.yml"

    def assert_fires(self, name):
        fires = eventually(lambda: name in self.prometheus.firing(), WAIT_SECONDS)
        self.assertTrue(fires, f"{name} does not fire, but {self.prometheus.firing()}")
        self.assertTrue(eventually(lambda: name in self.manager.began, WAIT_SECONDS), f"nobody was told of {name}")

    def assert_resolves(self, name):
        self.assertTrue(eventually(lambda: name not in self.prometheus.firing(), WAIT_SECONDS), f"{name} fires on")
        told = eventually(lambda: name in self.manager.ended, WAIT_SECONDS)
        self.assertTrue(told, f"nobody was told that {name} ended")

    def test_alerts_fire_when_something_is_wrong_and_resolve_when_it_is_mended(self):
        load = self.crm.start_load(10 * WAIT_SECONDS, rate=100)
        self.addCleanup(load.communicate)
        self.addCleanup(load.terminate)
        self.assertTrue(eventually(
            lambda: self.prometheus.number("sum(rate(mastercrm_http_requests_total[10s]))"), WAIT_SECONDS))
        time.sleep(CALM_SECONDS)
        self.assertFalse(self.prometheus.firing() - {"LowCacheHitRatio"}, "of a cache that has just begun")

        self.crm.upstream(llm_status=500)
        self.assert_fires("HighErrorRate")
        self.crm.upstream(llm_status=200)
        self.assert_resolves("HighErrorRate")

        self.crm.pause_queue()
        self.crm.start_campaign(1500)
        self.assert_fires("QueueBacklog")
        self.crm.resume_queue()
        self.assert_resolves("QueueBacklog")

        os.kill(self.crm.pids("crm-worker")[0], signal.SIGKILL)
        self.assert_fires("WorkerDeaths")
        self.assert_resolves("WorkerDeaths")

    def test_alerts_of_an_exporter_without_an_application_and_of_none_at_all(self):
        self.assertTrue(eventually(lambda: self.prometheus.number("shmetrics_segment_up") == 1, WAIT_SECONDS))
        self.crm.app.stop()
        self.assert_fires("NoLiveWorkers")
        self.crm.segment.unlink()
        self.assert_fires("SegmentDown")
        self.crm.exporter.stop()
        self.assert_fires("ExporterDown")
        self.assert_resolves("SegmentDown")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    programs = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
