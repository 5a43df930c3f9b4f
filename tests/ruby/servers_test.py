"""puma and unicorn under load: what they have answered is counted, however their workers end, and any of them shows it.

usage: servers_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS [SECONDS]
"""
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

SECONDS = int(sys.argv.pop(3)) if len(sys.argv) > 3 and sys.argv[3].isdigit() else 2

import rubies  # noqa: E402

rubies.skip_without("puma", "unicorn", "wrk")
from segments import deaths_in, free_port, get, new_directory, samples, samples_of, workers  # noqa: E402
from wrk import Load  # noqa: E402


class Server:
    """A server with its workers, and the folder of its segment."""

    def __init__(self, command, **more):
        self.folder = new_directory()
        self.segment = self.folder / "app.seg"
        self.port = free_port()
        self.log = open(self.folder / "log", "w+")
        command = [str(word).format(port=self.port, folder=self.folder) for word in command]
        self.process = subprocess.Popen(command, cwd=rubies.HERE, stdout=self.log, stderr=subprocess.STDOUT,
                                        env=rubies.environment(self.segment, **more))

    def workers(self):
        pid = self.process.pid
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_for_workers(self, count, but_not=()):
        """Until so many workers answer, and none of those that are named is there."""
        for _ in range(600):
            workers = self.workers()
            if len(workers) == count and not set(workers) & set(but_not) and get(self.port, "/up"):
                return workers
            time.sleep(0.1)
        raise AssertionError(f"workers {self.workers()}, not {count} without {but_not}:\n{self.said()}")

    def said(self):
        self.log.seek(0)
        return self.log.read()[-3000:]

    def stop(self, how=signal.SIGTERM):
        """Whether its workers ended in time. A worker of puma 6.6 may hang in its end, also without this gem, and puma
        kills it after 30 s."""
        begin = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        return time.monotonic() - begin < 30

    def close(self):
        if self.process.poll() is None:
            workers = self.workers()
            self.process.kill()
            for worker in workers:
                try:
                    os.kill(worker, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self.log.close()


def puma(*flags):
    return ["puma", "-b", "tcp://127.0.0.1:{port}", "-w", "3", *flags, "config.ru"]


def unicorn(is_preloaded, timeout=30):
    config = f"worker_processes 3; timeout {timeout}; preload_app {str(is_preloaded).lower()}"
    return ["sh", "-c", f"echo '{config}' >{{folder}}/unicorn.rb; "
                        "exec unicorn -l 127.0.0.1:{port} -c {folder}/unicorn.rb config.ru"]


class RubyServers(unittest.TestCase):
    def start(self, command, **more):
        server = Server(command, **more)
        self.addCleanup(server.close)
        return server

    def counted(self, server, path="/work"):
        found = samples(server.segment, "app_request")
        counted = found.get(f'app_requests_total{{path="{path}"}}', 0)
        self.assertEqual(found.get(f'app_request_seconds_count{{path="{path}"}}', 0), counted, "an observation is one")
        return counted

    def assert_any_worker_shows_all(self, server):
        time.sleep(1)  # what wrk has left is done
        expected = self.counted(server)
        for _ in range(6):
            shown = samples_of(get(server.port, "/metrics"), "app_requests_total")
            self.assertEqual(shown['app_requests_total{path="/work"}'], expected)

    def kill_under_load(self, server, threads):
        server.wait_for_workers(3)
        load = Load(server, SECONDS)
        kills = 0
        for _ in range(SECONDS + 1):
            time.sleep(SECONDS / (SECONDS + 2))
            os.kill(int(get(server.port, "/up")), signal.SIGKILL)  # one that has counted: else it was no worker yet
            kills += 1
        load.assert_counted(self, self.counted, cut=kills * threads)
        return kills

    def test_killed_workers_of_puma_lose_no_answer(self):
        for flags, gem in ((["-t", "2:2", "--preload"], ""), (["-t", "2:2"], ""), (["-t", "2:2"], "mmap")):
            with self.subTest(flags=flags, gem=gem):
                if gem and not rubies.has_mmap():
                    self.skipTest("NOT TESTED: no prometheus-client-mmap here")
                server = self.start(puma(*flags), SHMETRICS_GEM=gem)
                kills = self.kill_under_load(server, threads=2)
                self.assert_any_worker_shows_all(server)
                self.assertEqual(deaths_in(server.segment), kills)
                if server.stop():
                    self.assertEqual(deaths_in(server.segment), kills, "only kills are deaths")

    def test_a_phased_restart_of_puma_under_load_loses_nothing_and_is_no_death(self):
        server = self.start(puma("-t", "1:1"))
        before = server.wait_for_workers(3)
        load = Load(server, SECONDS)
        server.process.send_signal(signal.SIGUSR1)
        load.assert_counted(self, self.counted)
        server.wait_for_workers(3, but_not=before)
        self.assert_any_worker_shows_all(server)
        self.assertEqual(deaths_in(server.segment), 0)
        if server.stop():
            self.assertEqual(deaths_in(server.segment), 0)
        self.assertEqual(samples(server.segment, "app_active"), {"app_active": 0})

    def test_a_restart_of_puma_whose_master_has_counted_is_no_death(self):
        server = self.start(puma("-t", "1:1", "--preload"))
        before = server.wait_for_workers(3)
        server.process.send_signal(signal.SIGUSR2)
        server.wait_for_workers(3, but_not=before)
        self.assertEqual(deaths_in(server.segment), 0)

    def test_killed_workers_of_unicorn_lose_no_answer(self):
        for is_preloaded in (True, False):
            with self.subTest(is_preloaded):
                server = self.start(unicorn(is_preloaded))
                kills = self.kill_under_load(server, threads=1)
                self.assert_any_worker_shows_all(server)
                server.stop(signal.SIGTERM if is_preloaded else signal.SIGQUIT)
                self.assertEqual(deaths_in(server.segment), kills, "neither the quick nor the slow end is a death")

    def test_a_worker_that_unicorn_kills_for_its_timeout_leaves_what_it_has_counted(self):
        server = self.start(unicorn(is_preloaded=True, timeout=3))
        server.wait_for_workers(3)
        load = Load(server, SECONDS + 2)
        self.assertIsNone(get(server.port, "/hang", 30), "killed")
        load.assert_counted(self, self.counted)
        self.assertEqual(self.counted(server, "/hang"), 1)
        server.stop(signal.SIGQUIT)
        self.assertEqual(deaths_in(server.segment), 1)

    def test_a_request_that_kills_its_worker_is_counted(self):
        for command in (puma("-t", "2:2", "--preload"), unicorn(is_preloaded=False)):
            with self.subTest(command[0]):
                server = self.start(command)
                server.wait_for_workers(3)
                self.assertIsNone(get(server.port, "/die"))
                self.assertEqual(self.counted(server, "/die"), 1)
                names = {worker["program"] for worker in workers(server.segment)}
                self.assertEqual(names, {"puma" if command[0] == "puma" else "unicorn"})


if __name__ == "__main__":
    unittest.main()
