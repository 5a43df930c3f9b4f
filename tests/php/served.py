"""What a server of PHP has answered, and what is counted of it.

usage: NAME_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS [SECONDS]
"""
import os
import signal
import sys
import time
import unittest

import phps  # noqa: F401: finds the next two
from segments import deaths_in, get, samples, samples_of, workers
from wrk import Load

SECONDS = int(sys.argv.pop(1)) if sys.argv[1:] and sys.argv[1].isdigit() else 2


class Served(unittest.TestCase):
    def counted(self, site, path="/work"):
        found = samples(site.segment, "app_request")
        counted = found.get(f'app_requests_total{{path="{path}"}}', 0)
        self.assertLessEqual(abs(found.get(f'app_request_seconds_count{{path="{path}"}}', 0) - counted), 3,
                             "apart only where a worker was killed between the two")
        return counted

    def assert_kills_lose_no_answer(self, site, program, *flags):
        site.up()
        load = Load(site, SECONDS)
        kills = 0
        for _ in range(SECONDS + 1):
            time.sleep(SECONDS / (SECONDS + 2))
            os.kill(site.up(), signal.SIGKILL)
            kills += 1
        load.assert_counted(self, self.counted, cut=kills)
        time.sleep(1)  # what wrk has left is done
        for _ in range(6):
            shown = samples_of(get(site.port, "/metrics"), "app_requests_total")
            self.assertEqual(shown['app_requests_total{path="/work"}'], self.counted(site))
        self.assertEqual({worker["program"] for worker in workers(site.segment)}, {program})
        site.stop()
        self.assertEqual(deaths_in(site.segment, *flags), kills, "only kills are deaths")
