"""gunicorn through a deploy: a release with another label and other bounds comes by HUP and by USR2, and goes again;
and workers that give up their user. Real requests, and no answer uncounted.

usage: rolling_deploy_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import http.client
import os
import pathlib
import pwd
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

import segments

WORKERS = 3
RELEASE = """
from shmetrics import Counter, Gauge, Histogram, Info

RELEASE = "{release}"
REQUESTS = Counter("shop_requests", "Requests", {labels})
SECONDS = Histogram("shop_seconds", "Durations", buckets={bounds})
UNTOUCHED = Counter("shop_untouched", "The same in each release")
ACTIVE = Gauge("shop_active", "Requests being answered", multiprocess_mode="livesum")
Info("shop_build", "Release").info({build})


@ACTIVE.track_inprogress()
def app(environ, start_response):
    REQUESTS.labels(*{values}).inc()
    SECONDS.observe(0.25)
    UNTOUCHED.inc()
    body = RELEASE.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
OLD = RELEASE.format(release="old", labels=["method"], bounds=[.01, .1, 1], values='[environ["REQUEST_METHOD"]]',
                     build={"version": "1"})
NEW = RELEASE.format(release="new", labels=["method", "status"], bounds=[.01, .3, 1, 3],
                     values='[environ["REQUEST_METHOD"], "200"]', build={"version": "2", "commit": "abc"})
UNPRIVILEGED = """
import os
from shmetrics import Counter, Gauge, Histogram

REQUESTS = Counter("shop_requests", "Requests", ["path"])
SECONDS = Histogram("shop_seconds", "Durations", ["path"], buckets=[1])
DEPTH = Gauge("shop_depth", "Depth", ["path"], multiprocess_mode="livemax")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    REQUESTS.labels(path).inc()
    SECONDS.labels(path).observe(0.5)
    DEPTH.labels(path).set(7)
    Counter("shop_late" + path.replace("/", "_"), "Declared in a request", ["user"]).labels(os.geteuid()).inc()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\\n"]
"""


class Gunicorn:
    """A master that answers on one socket for the whole test, though its programs change."""

    def __init__(self, test, program, *arguments):
        self.directory = segments.new_directory()
        self.directory.chmod(0o755)
        self.segment = self.directory / "shop.seg"
        self.log = self.directory / "gunicorn.log"
        self.install(program)
        environment = {**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(self.segment), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "gunicorn", "--chdir", self.directory, "--workers", str(WORKERS), "--bind",
                   "127.0.0.1:0", "--timeout", "120", "--pid", self.directory / "pid", *arguments, "shop:app"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.masters = [self.process.pid]
        test.addCleanup(self.stop)
        self.wait_for(lambda: self.listening_at(), "address")
        self.address = ("127.0.0.1", int(self.listening_at()))
        self.wait_for(lambda: self.ask() is not None, "the first answer")

    def listening_at(self):
        found = re.search(r"Listening at: http://127.0.0.1:(\d+)", self.log.read_text())
        return found and found[1]

    def install(self, program):
        (self.directory / "shop.py").write_text(program)

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} in a minute:\n{self.log.read_text()}")
            time.sleep(0.05)

    def ask(self, path="/"):
        """The answer's body, None without one."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def workers(self, master):
        try:
            return [int(pid) for pid in pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()]
        except FileNotFoundError:
            return []

    def new_master(self):
        """By USR2; the old one goes on."""
        os.kill(self.masters[-1], signal.SIGUSR2)
        pid_file = self.directory / "pid.2"
        self.wait_for(lambda: pid_file.exists() and pid_file.read_text().strip(), "new master")
        self.masters.append(int(pid_file.read_text()))
        self.wait_for(lambda: len(self.workers(self.masters[-1])) == WORKERS, "workers of the new master")

    def end(self, master):
        os.kill(master, signal.SIGTERM)
        if master == self.process.pid:
            self.process.wait(timeout=60)
        else:  # nobody's child, or not ours
            self.wait_for(lambda: not pathlib.Path(f"/proc/{master}/exe").exists(), f"end of {master}")
        self.masters.remove(master)

    def stop(self):
        for master in reversed(self.masters):
            try:
                os.kill(master, signal.SIGTERM)
            except ProcessLookupError:
                pass
        self.process.wait(timeout=60)


class Load:
    """Four clients that ask all the time; what they got."""

    def __init__(self, server, answered):
        self.server, self.got, self.enough = server, list(answered), threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.enough.is_set():
            self.got.append(self.server.ask())

    def end(self):
        self.enough.set()
        for thread in self.threads:
            thread.join()
        return self.got


class PythonRollingDeploy(unittest.TestCase):
    longMessage = False

    def setUp(self):
        self.answers = []
        self.highest = {}

    def step(self, what, server, act=lambda: None, until="", answers=60):
        """Acts under load; then every answer so far is counted, and nothing that was shown is less or gone."""
        load = Load(server, [])
        act()
        server.wait_for(lambda: load.got.count(until) >= answers if until else len(load.got) >= answers, what)
        got = load.end()
        self.answers += got
        answered, failed = len([answer for answer in self.answers if answer]), self.answers.count(None)
        found = segments.samples(server.segment)
        counted = {name: sum(value for sample, value in found.items() if sample.startswith(name))
                   for name in ("shop_requests_total", "shop_seconds_count", "shop_untouched_total")}
        print(f"{what}: {got.count('old')} old and {got.count('new')} new answers, {failed} without one; {counted}")
        self.assertEqual(0, failed, "no client was left without an answer")
        for name, value in counted.items():
            self.assertEqual(answered, value, f"{what}: {name}")
        self.assertEqual(0, found["shop_active"])
        for sample, value in self.highest.items():
            self.assertIn(sample, found, what)
            self.assertGreaterEqual(found[sample], value, sample)
        self.highest = {sample: value for sample, value in found.items()
                        if not sample.startswith(("shop_active", "shop_build"))}
        self.assertFalse([sample for sample in found if "__overflow__" in sample])
        self.assertNotIn("Warning", server.log.read_text())
        return got, found

    def test_by_hup_every_answer_is_counted_and_so_it_is_when_the_deploy_is_rolled_back(self):
        server = Gunicorn(self, OLD)
        self.answers.append("old")
        self.step("old release", server, until="old")

        def reload(program):
            server.install(program)
            before.update(server.workers(server.process.pid))
            os.kill(server.process.pid, signal.SIGHUP)

        def is_reloaded():
            now = set(server.workers(server.process.pid))
            return len(now) == WORKERS and not now & before
        before = set()
        _, found = self.step("HUP to the new one", server, lambda: reload(NEW), until="new")
        self.assertIn('shop_requests_total{method="GET",status="200"}', found)
        self.assertIn('shop_requests_total{method="GET"}', found)
        self.assertIn('shop_seconds_bucket{le="0.3"}', found)
        server.wait_for(is_reloaded, "end of the old workers")
        _, found = self.step("new release alone", server, until="new")
        self.assertEqual([1.0], [value for sample, value in found.items() if sample.startswith("shop_build_info")])
        self.step("HUP again", server, lambda: reload(NEW), until="new")
        self.step("HUP back to the old one", server, lambda: reload(OLD), until="old")

    def test_by_usr2_both_releases_count_side_by_side(self):
        server = Gunicorn(self, OLD)
        self.answers.append("old")
        self.step("old release", server, until="old")

        def upgrade():
            server.install(NEW)
            server.new_master()
        self.step("USR2", server, upgrade, until="new", answers=20)
        self.step("both", server)
        self.step("end of the old master", server, lambda: server.end(server.masters[0]), until="new")
        _, found = self.step("new release alone", server, until="new")
        self.assertIn('shop_requests_total{method="GET",status="200"}', found)

    def test_workers_that_give_up_their_user_register_and_declare_as_any_other(self):
        if os.geteuid() != 0:
            self.skipTest("NOT TESTED: needs root, to give it up")
        try:
            pwd.getpwnam("nobody")
        except KeyError:
            self.skipTest("NOT TESTED: no user nobody here")
        server = Gunicorn(self, UNPRIVILEGED, "--preload", "--user", "nobody", "--group", "65534")
        for i in range(100):
            self.assertEqual("ok\n", server.ask(f"/{i % 20}"))
        found = segments.samples(server.segment)
        for i in range(1, 20):
            self.assertEqual((5, 5, 7), (found[f'shop_requests_total{{path="/{i}"}}'],
                                         found[f'shop_seconds_count{{path="/{i}"}}'],
                                         found[f'shop_depth{{path="/{i}"}}']))
            self.assertEqual(5, found[f'shop_late_{i}_total{{user="65534"}}'])
        self.assertFalse([sample for sample in found if "__overflow__" in sample])
        self.assertNotIn("Warning", server.log.read_text())
        self.assertNotIn("shmetrics:", server.log.read_text())


if __name__ == "__main__":
    unittest.main()
