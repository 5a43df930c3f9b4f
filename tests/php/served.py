"""What a server of PHP has answered, and what is counted of it.

usage: NAME_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS [SECONDS]
"""
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import phps  # noqa: F401: finds the next one
from segments import deaths_in, get, samples, samples_of, workers

SECONDS = int(sys.argv.pop(1)) if sys.argv[1:] and sys.argv[1].isdigit() else 2
CONNECTIONS = 4


class Served(unittest.TestCase):
    def load(self, site, seconds=SECONDS):
        return subprocess.Popen(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout", "30s",
                                 f"http://127.0.0.1:{site.port}/work"], stdout=subprocess.PIPE, text=True)

    def counted(self, site, path="/work"):
        found = samples(site.segment, "app_request")
        counted = found.get(f'app_requests_total{{path="{path}"}}', 0)
        self.assertLessEqual(abs(found.get(f'app_request_seconds_count{{path="{path}"}}', 0) - counted), 3,
                             "apart only where a worker was killed between the two")
        return counted

    def assert_counted(self, site, load, cut=0):
        """What wrk was answered is counted; more than that only what was cut off by a kill or the end of wrk."""
        report = load.communicate(timeout=120)[0]
        answered = int(re.search(r"(\d+) requests in", report).group(1))
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
        answered -= int(refused.group(1)) if refused else 0
        self.assertGreater(answered, 0, report + site.said())
        counted = self.counted(site)
        self.assertLessEqual(answered, counted, site.said())
        self.assertLessEqual(counted, answered + cut + CONNECTIONS)
        print(f"{self.id()}: {answered} answered, {counted:.0f} counted, {cut} cut off")

    def assert_kills_lose_no_answer(self, site, program, *flags):
        site.up()
        load = self.load(site)
        kills = 0
        for _ in range(SECONDS + 1):
            time.sleep(SECONDS / (SECONDS + 2))
            os.kill(site.up(), signal.SIGKILL)
            kills += 1
        self.assert_counted(site, load, cut=kills)
        time.sleep(1)  # what wrk has left is done
        for _ in range(6):
            shown = samples_of(get(site.port, "/metrics"), "app_requests_total")
            self.assertEqual(shown['app_requests_total{path="/work"}'], self.counted(site))
        self.assertEqual({worker["program"] for worker in workers(site.segment)}, {program})
        site.stop()
        self.assertEqual(deaths_in(site.segment, *flags), kills, "only kills are deaths")
