"""What later releases of Prometheus than Debian 12's make of a scrape: from 2.50 on of the starts of its series, from
3.0 on of its classic histograms.

usage: later_prometheus_test.py DIRECTORY_OF_PROGRAMS DIRECTORY_OF_THE_PACKAGE
"""
import contextlib
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest

from deployment import RunningExporter, RunningPrometheus, eventually, fetch, run

programs = pathlib.Path(".")

VALUES = [0.04] * 20 + [0.3] * 50 + [0.7] * 20 + [2.0] * 9 + [99.0]
BOUNDS = (0.1, 0.5, 1, 2.5)


def version():
    """Of the Prometheus that PATH has first: (3, 5)."""
    if not shutil.which("prometheus"):
        return (0, 0)
    told = run("prometheus", "--version")
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", told.stdout + told.stderr).groups()))


class LaterPrometheus(unittest.TestCase):
    longMessage = False

    def setUp(self):
        from shmetrics import Counter, Histogram, Registry, Summary
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shmetrics-test.",
                                                                                   dir="/dev/shm")))
        registry = Registry(str(self.folder / "app.seg"))
        Counter("app_jobs_total", "Jobs", registry=registry).inc(7)
        Summary("app_bytes", "Bytes", registry=registry).observe(512)
        seconds = Histogram("app_seconds", "Duration", ["route"], buckets=BOUNDS, registry=registry).labels("/")
        for value in VALUES:
            seconds.observe(value)
        self.exporter = stack.enter_context(
            RunningExporter(programs, self.folder / "app.seg", "--web.created-series"))
        self.enter = stack.enter_context

    def prometheus(self, feature, how=""):
        config = self.folder / "prometheus.yml"
        config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: app
  authorization: {{credentials: {self.exporter.token}}}
  static_configs: [{{targets: ['127.0.0.1:{self.exporter.port}']}}]
{how}""")
        return self.enter(RunningPrometheus(config, f"--enable-feature={feature}"))

    def created(self, name):
        """When the series began, as OpenMetrics says it."""
        text = fetch(self.exporter.port, self.exporter.token, Accept="application/openmetrics-text;version=1.0.0")
        return float(re.search(rf"^{name}_created(?:{{.*}})? (\S+)$", text, re.MULTILINE).group(1))

    @unittest.skipIf(version() < (2, 50), "Prometheus before 2.50 takes no starts")
    def test_what_was_counted_before_the_first_scrape_is_an_increase_since_the_start(self):
        prometheus = self.prometheus("created-timestamp-zero-ingestion")
        wanted = {"app_jobs_total": 7, "app_bytes_count": 1, "app_seconds_count": len(VALUES),
                  'app_seconds_bucket{le="0.5"}': 70}
        for name, value in wanted.items():
            def samples(name=name):
                selector = re.sub(r"^(\w+)", r'\1{job="app"}', name).replace("}{", ",") + "[10m]"
                series = prometheus.api("query", query=selector)["result"]
                return [(at, float(number)) for at, number in series[0]["values"]] if series else []
            self.assertTrue(eventually(lambda: len(samples()) > 2, 60), f"{name}: {prometheus.api('targets')}")
            (start, first), *rest = samples()
            self.assertEqual(0, first, name)
            family = re.sub("_(total|count|bucket.*)$", "", name)
            self.assertAlmostEqual(self.created(family), start, delta=0.002, msg=name)
            self.assertEqual({value}, {number for _, number in rest}, name)
        self.assertGreaterEqual(prometheus.number("increase(app_jobs_total[10m])"), 7)

    @unittest.skipIf(version() < (3, 0), "Prometheus before 3.0 converts no classic histograms")
    def test_classic_histograms_are_converted_to_native_ones_of_their_bounds(self):
        for protocol in ("PrometheusText0.0.4", "OpenMetricsText1.0.0", "PrometheusProto"):
            prometheus = self.prometheus("native-histograms", f"  convert_classic_histograms_to_nhcb: true\n"
                                                              f"  scrape_protocols: [{protocol}]\n")
            name = 'app_seconds{job="app",route="/"}'

            def histogram():
                series = prometheus.api("query", query=name)["result"]
                return series[0].get("histogram") if series else None
            found = eventually(histogram, 60)
            self.assertTrue(found, f"{protocol}: {prometheus.api('targets')}")
            buckets = {float(upper): float(count) for _, _, upper, count in found[1]["buckets"]}
            self.assertEqual({0.1: 20, 0.5: 50, 1: 20, 2.5: 9, float("inf"): 1}, buckets, protocol)
            self.assertEqual(len(VALUES), prometheus.number(f"histogram_count({name})"), protocol)
            self.assertAlmostEqual(sum(VALUES), prometheus.number(f"histogram_sum({name})"), 6, msg=protocol)
            for q, least, most in ((0.1, 0, 0.1), (0.5, 0.1, 0.5), (0.85, 0.5, 1), (0.95, 1, 2.5)):
                quantile = prometheus.number(f"histogram_quantile({q}, {name})")
                self.assertTrue(least < quantile <= most, f"{protocol}: {q} is {quantile}")
            self.assertAlmostEqual(0.7, prometheus.number(f"histogram_fraction(-Inf, 0.5, {name})"), msg=protocol)
            self.assertEqual([], prometheus.query("app_seconds_bucket"), f"{protocol}: converted, and so not there")
            prometheus.stop()


if __name__ == "__main__":
    programs = pathlib.Path(sys.argv[1]).resolve()
    sys.path.insert(0, sys.argv[2])
    unittest.main(argv=sys.argv[:1])
