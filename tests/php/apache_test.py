"""PHP within the children of Apache under load: what they have answered is counted, however they end.

usage: apache_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS [SECONDS]
"""
import signal
import sys
import unittest

import phps
from served import SECONDS, Served

phps.skip_without(phps.APACHE, "wrk")
if phps.MOD_PHP is None:
    print("skipped: libapache2-mod-php is not here")
    sys.exit(77)
from segments import deaths_in, get, samples, workers  # noqa: E402
from wrk import Load  # noqa: E402


class PhpApache(Served):
    def start(self, lines=""):
        site = phps.Apache(lines)
        self.addCleanup(site.close)
        site.up()
        return site

    def test_killed_children_lose_no_answer(self):
        self.assert_kills_lose_no_answer(self.start(), "php")

    def test_a_request_that_kills_its_child_is_counted(self):
        site = self.start()
        self.assertIsNone(get(site.port, "/die"))
        self.assertEqual(self.counted(site, "/die"), 1)

    def test_children_that_end_after_some_connections_or_by_a_restart_are_no_deaths(self):
        site = self.start("MaxConnectionsPerChild 1\n")
        load = Load(site, SECONDS)
        before = set(site.workers())
        site.process.send_signal(signal.SIGUSR1)
        load.assert_counted(self, self.counted)
        for _ in range(20):
            site.up()
        self.assertFalse(before & set(site.workers()), "all were followed by others")
        self.assertGreater(sum(worker["adopted"] for worker in workers(site.segment)), 10)
        site.stop()
        self.assertEqual(deaths_in(site.segment), 0)
        self.assertEqual(samples(site.segment, "app_active"), {"app_active": 0})


if __name__ == "__main__":
    unittest.main()
