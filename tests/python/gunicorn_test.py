"""gunicorn with examples/gunicorn_app.py: recycled workers, kill -9 at random, no hook, and no answer uncounted.

usage: gunicorn_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import http.client
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

import segments

APPLICATION = pathlib.Path(__file__).parents[2] / "examples"
COUNTER = 'app_http_requests_total{method="GET",status_code="200"}'
WORKERS = 3


class Server:
    """A program that serves examples/gunicorn_app.py, by the command that `command_of` gives for its socket."""

    def __init__(self, test, segment, command_of, arguments):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        self.address = listener.getsockname()
        self.log = segment.with_suffix(".log")
        environment = {**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(segment), "PYTHONDONTWRITEBYTECODE": "1"}
        with listener, open(self.log, "w") as log:
            self.process = subprocess.Popen(command_of(f"fd://{listener.fileno()}", *arguments), env=environment,
                                            stdout=log, stderr=log, pass_fds=[listener.fileno()])
        test.addCleanup(self.stop)

    def workers(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def is_answered(self):
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            return answer.status == 200 and answer.read() == b"hello\n"
        except (OSError, http.client.HTTPException):
            return False  # its worker was killed
        finally:
            connection.close()

    def metrics(self, prefix="app_"):
        """What the worker that happens to answer shows; empty if it was killed."""
        try:
            with urllib.request.urlopen("http://{}:{}/metrics".format(*self.address), timeout=30) as answer:
                return segments.samples_of(answer.read().decode(), prefix)
        except (OSError, http.client.HTTPException):
            return {}

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:  # uWSGI does not tell a worker that it is just starting
            for process in [*self.workers(), self.process.pid]:
                os.kill(process, signal.SIGKILL)
            self.process.wait(timeout=20)


class Served(unittest.TestCase):
    """What holds for every server; whose `command` starts it."""
    longMessage = False

    def load(self, server, answers, kills):
        """Asks from four threads at once, and kills workers meanwhile: the answers (True, or False), and the kills."""
        got, killed, enough = [], 0, threading.Event()

        def ask():
            while not enough.is_set():
                got.append(server.is_answered())
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while (got.count(True) < answers or killed < kills) and time.monotonic() < deadline:
            time.sleep(random.uniform(0.05, 0.2))
            if killed < kills and (workers := server.workers()):
                try:
                    os.kill(random.choice(workers), signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass  # recycled in between
        enough.set()
        for thread in threads:
            thread.join()
        return got, killed

    def serves_and_counts(self, *arguments, answers=0, kills=0):
        segment = segments.new_directory() / "gunicorn.seg"
        server = Server(self, segment, self.command, arguments)
        self.assertTrue(server.is_answered(), server.log.read_text())
        answers, kills = self.load(server, answers, kills)
        self.assertTrue(server.is_answered(), server.log.read_text())
        server.stop()
        found = segments.samples(segment)
        workers = segments.workers(segment)
        acknowledged, counted = answers.count(True) + 2, found[COUNTER]
        print(f"{' '.join(arguments)}: {kills} kills, {acknowledged} answers, {counted:.0f} counted, "
              f"{sum(worker['adopted'] for worker in workers)} workers in {len(workers)} entries")
        self.assertLessEqual(acknowledged, counted)
        self.assertLessEqual(counted, acknowledged + kills)
        self.assertLessEqual(abs(found["app_http_request_duration_seconds_count"] - counted), kills)
        self.assertLessEqual(answers.count(False), kills)
        self.assertEqual(0, found["app_http_requests_in_progress"])
        self.assertNotIn("Warning", server.log.read_text())
        return kills, workers


class PythonGunicorn(Served):
    @staticmethod
    def command(address, *arguments):
        return [sys.executable, "-m", "gunicorn", "--chdir", APPLICATION, "--workers", str(WORKERS), "--bind", address,
                "--timeout", "120", *arguments, "gunicorn_app:app"]

    def test_recycled_workers_of_a_preloaded_application_count_every_answer(self):
        _, workers = self.serves_and_counts("--preload", "--max-requests", "20", answers=400)
        self.assertGreater(sum(worker["adopted"] for worker in workers), 5)
        self.assertLessEqual(len(workers), 2 * WORKERS + 2)
        self.assertEqual(0, sum(worker["deaths"] for worker in workers))

    def test_recycled_workers_that_load_the_application_themselves_count_every_answer(self):
        _, workers = self.serves_and_counts("--max-requests", "30", answers=400)
        self.assertGreater(sum(worker["adopted"] for worker in workers), 0)
        self.assertEqual(0, sum(worker["deaths"] for worker in workers))

    def test_killed_workers_of_a_preloaded_application_lose_no_answer(self):
        kills, _ = self.serves_and_counts("--preload", "--max-requests", "200", kills=6)
        self.assertEqual(6, kills)

    def test_killed_workers_that_load_the_application_themselves_lose_no_answer(self):
        kills, _ = self.serves_and_counts("--max-requests", "200", kills=6)
        self.assertEqual(6, kills)

    def test_workers_that_a_reload_replaces_are_no_deaths(self):
        segment = segments.new_directory() / "reloaded.seg"
        server = Server(self, segment, self.command, ())
        self.assertTrue(server.is_answered(), server.log.read_text())
        exporter = segments.exporter_of(self, segment)
        for _ in range(3):
            before, deadline = set(server.workers()), time.monotonic() + 60
            server.process.send_signal(signal.SIGHUP)
            while (before & set(server.workers()) or not server.workers()) and time.monotonic() < deadline:
                self.assertTrue(server.is_answered(), server.log.read_text())
            self.assertFalse(before & set(server.workers()))
        self.assertEqual(0, segments.deaths(exporter))
        server.stop()
        self.assertEqual(0, segments.deaths(exporter))

    def test_any_of_eight_workers_answers_200_times_with_what_all_have_counted(self):
        segment = segments.new_directory() / "answers.seg"
        server = Server(self, segment, self.command, ("--workers", "8", "--max-requests", "100"))
        self.assertTrue(server.is_answered(), server.log.read_text())
        exporter = segments.exporter_of(self, segment)
        shown, enough = [], threading.Event()

        def ask():
            while not enough.is_set():
                before = segments.exported(exporter, "app_http_requests")[COUNTER]
                value = server.metrics().get(COUNTER)
                if value is not None:  # else its worker was killed
                    shown.append((before, value, segments.exported(exporter, "app_http_requests")[COUNTER]))
        asker = threading.Thread(target=ask)
        asker.start()
        answers, kills = self.load(server, answers=400, kills=4)
        deadline = time.monotonic() + 90
        while len(shown) < 200 and time.monotonic() < deadline:
            answers.append(server.is_answered())
        enough.set()
        asker.join()
        self.assertGreaterEqual(len(shown), 200)
        in_order = [value for seen in shown for value in seen]
        self.assertEqual(sorted(in_order), in_order, "none is below what was shown before")
        last = server.metrics()
        acknowledged = answers.count(True) + 1
        self.assertLessEqual(acknowledged, last[COUNTER])
        self.assertLessEqual(last[COUNTER], acknowledged + kills)
        live = {"app_http_requests_in_progress"}  # that of the dead is gone; that of this request is no more
        self.assertEqual({name: value for name, value in last.items() if name not in live},
                         {name: value for name, value in segments.exported(exporter, "app_").items()
                          if name not in live})
        print(f"{len(shown)} answers to /metrics, {kills} kills")


if __name__ == "__main__":
    unittest.main()
