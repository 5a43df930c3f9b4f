"""What a real Prometheus calculates from native histograms of eight workers, some of which are killed.

usage: native_histograms_test.py DIRECTORY_OF_PROGRAMS DIRECTORY_OF_THE_PACKAGE
"""
import bisect
import contextlib
import math
import mmap
import os
import pathlib
import random
import signal
import struct
import sys
import tempfile
import time
import unittest

import deployment
from deployment import RunningExporter, RunningPrometheus, eventually

programs = pathlib.Path(".")

WORKERS = 8
OBSERVATIONS = 3000  # a worker
SECONDS = 6          # that they take
KILLS = 6
BUCKET = 2 ** 0.125  # a factor of 1.1 gives buckets that are so wide


def values_of(worker):
    """Mostly some milliseconds, some of half a minute, one of ten nearly nothing."""
    own = random.Random(worker)
    return [1e-6 if own.random() < 0.1 else own.lognormvariate(-4 + own.random() * 4, 1) for _ in range(OBSERVATIONS)]


class Worker:
    """A process that observes its values at its pace and says behind each how far it is. Killed, another goes on."""

    def __init__(self, segment, number, acknowledged):
        self.segment, self.number, self.acknowledged = segment, number, acknowledged
        self.start()

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.work()
            finally:
                os._exit(0)

    def done(self):
        return struct.unpack_from("q", self.acknowledged, 8 * self.number)[0]

    def work(self):
        from shmetrics import Histogram, NativeBuckets, Registry
        seconds = Histogram("app_wait_seconds", "Wait", ["route"], native=NativeBuckets(1e-4, 300),
                            registry=Registry(self.segment)).labels("/")
        values = values_of(self.number)
        for i in range(self.done(), OBSERVATIONS):
            seconds.observe(values[i])
            struct.pack_into("q", self.acknowledged, 8 * self.number, i + 1)
            if i % 50 == 0:
                time.sleep(SECONDS * 50 / OBSERVATIONS)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def wait(self):
        os.waitpid(self.pid, 0)


class NativeHistograms(unittest.TestCase):
    longMessage = False

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm"))
        segment = f"{folder}/native.seg"
        acknowledged = mmap.mmap(-1, 8 * WORKERS)
        self.workers = [Worker(segment, number, acknowledged) for number in range(WORKERS)]
        self.assertTrue(eventually(lambda: os.path.exists(segment), 60))
        exporter = stack.enter_context(RunningExporter(programs, segment))
        config = pathlib.Path(folder, "prometheus.yml")
        config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: native
  metrics_path: /api/metrics
  authorization: {{credentials: {exporter.token}}}
  static_configs: [{{targets: ['127.0.0.1:{exporter.port}']}}]
""")
        self.prometheus = stack.enter_context(
            RunningPrometheus(config, "--enable-feature=native-histograms", "--query.lookback-delta=10m"))

    def number(self, expression):
        value = self.prometheus.number(expression)
        self.assertIsNotNone(value, f"{expression}: nothing\n{self.prometheus.api('targets')}")
        return value

    def assert_within_a_bucket(self, wanted, seen, what):
        self.assertTrue(wanted / BUCKET <= seen <= wanted * BUCKET, f"{what}: {seen}, the workers say {wanted}")

    def test_quantiles_are_right_within_a_bucket_over_workers_and_kills(self):
        for kill in range(KILLS):
            time.sleep(SECONDS / KILLS)
            victim = self.workers[kill % WORKERS]
            victim.kill()
            victim.start()
        for worker in self.workers:
            worker.wait()
        self.assertEqual([OBSERVATIONS] * WORKERS, [worker.done() for worker in self.workers])
        values = sorted(value for number in range(WORKERS) for value in values_of(number))
        last = time.time()
        name = 'app_wait_seconds{job="native"}'
        self.assertTrue(eventually(lambda: (self.prometheus.number(f"timestamp({name})") or 0) > last, 60))

        # An observation that a kill came behind may be there though its worker had not said so, and is made again.
        count = self.number(f"histogram_count({name})")
        self.assertTrue(len(values) <= count <= len(values) + KILLS, count)
        total = self.number(f"histogram_sum({name})")
        self.assertTrue(sum(values) * 0.999999 <= total <= sum(values) + KILLS * values[-1], total)
        for q in (0.25, 0.5, 0.75, 0.9, 0.99, 0.999):
            self.assert_within_a_bucket(values[math.ceil(q * len(values)) - 1],
                                        self.number(f"histogram_quantile({q}, {name})"), q)
            self.assert_within_a_bucket(values[math.ceil(q * len(values)) - 1],
                                        self.number(f"histogram_quantile({q}, sum by (job) ({name}))"), q)
        self.assertLess(self.number(f"histogram_quantile(0.05, {name})"), 1e-4, "in the zero bucket")
        for bound in (1e-4, 0.01, 0.25, 4):
            seen = self.number(f"histogram_fraction(0, {bound}, {name})")
            least, most = (bisect.bisect_right(values, bound * width) / len(values) for width in (1 / BUCKET, BUCKET))
            self.assertTrue(least - 0.001 <= seen <= most + 0.001, f"below {bound}: {seen}, not {least} to {most}")
        # Nothing went back on the way: each step of the count is a step up.
        self.assertEqual(0, self.number(f"resets(histogram_count({name})[10m:1s])"))
        self.assertEqual([], self.prometheus.query("app_wait_seconds_bucket"), "native, and so without classic ones")


if __name__ == "__main__":
    programs = pathlib.Path(sys.argv[1]).resolve()
    sys.path.insert(0, sys.argv[2])
    unittest.main(argv=sys.argv[:1])
