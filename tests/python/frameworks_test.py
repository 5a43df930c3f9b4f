"""Flask, Starlette and aiohttp under gunicorn and uvicorn, with applications that know prometheus_client alone:
whichever worker is asked shows what all have answered, as the exporter does.

usage: frameworks_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS; what is not installed is skipped
"""
import importlib.util
import os
import pathlib
import signal
import sys
import time
import unittest

import gunicorn_test
import segments

HERE = pathlib.Path(__file__).parent
COUNTER = 'app_http_requests_total{method="GET",path="/"}'


def wants(*modules):
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return unittest.skipIf(missing, f"NOT TESTED: no {', '.join(missing)} here")


class PythonFrameworks(gunicorn_test.Served):
    def any_worker_shows_what_the_exporter_shows(self, command, kills):
        segment = segments.new_directory() / "framework.seg"
        server = gunicorn_test.Server(self, segment, lambda address: command(address), ())
        deadline = time.monotonic() + 60
        while not server.is_answered() and time.monotonic() < deadline:
            time.sleep(0.05)
        before = server.metrics()[COUNTER]
        answers, killed = self.load(server, answers=200, kills=kills)
        exporter = segments.exporter_of(self, segment)
        acknowledged = before + answers.count(True)
        seen = set()
        for _ in range(8):
            shown = server.metrics()
            self.assertEqual(segments.exported(exporter, "app_"), shown)
            seen.add(shown[COUNTER])
        self.assertEqual(1, len(seen), "nothing was counted in between")
        self.assertLessEqual(acknowledged, shown[COUNTER])
        self.assertLessEqual(shown[COUNTER], acknowledged + killed)
        self.assertEqual(0, shown["app_http_in_progress"])
        self.assertLessEqual(abs(shown["app_http_request_seconds_count"] - shown[COUNTER]), killed)
        self.assertLess(0, shown["app_http_request_seconds_sum"])
        self.assertNotIn("Warning", server.log.read_text())
        return server, segment, exporter

    def a_killed_worker_is_a_death(self, server, segment, exporter):
        before = segments.deaths(exporter)
        deadline = time.monotonic() + 30
        counted = set()
        while not counted and time.monotonic() < deadline:  # all may be new, after the kills
            server.is_answered()
            live = {worker["pid"] for worker in segments.workers(segment) if worker["state"] == "live"}
            counted = live & set(server.workers())
        os.kill(min(counted), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while segments.deaths(exporter) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(before + 1, segments.deaths(exporter))
        server.stop()
        self.assertEqual(before + 1, segments.deaths(exporter), "the others ended in order")

    def under_gunicorn(self, app, *arguments, kills):
        return self.any_worker_shows_what_the_exporter_shows(lambda address: [
            sys.executable, "-m", "shmetrics.as_prometheus_client", "gunicorn", "--chdir", HERE, "--workers", "3",
            "--bind", address, "--timeout", "120", *arguments, f"framework_apps:{app}"], kills)

    @wants("flask", "gunicorn")
    def test_flask_whose_workers_are_recycled_ends_without_a_death(self):
        server, _, exporter = self.under_gunicorn("flask_app()", "--max-requests", "80", kills=0)
        server.stop()
        self.assertEqual(0, segments.deaths(exporter))

    @wants("starlette", "uvicorn", "gunicorn")
    def test_starlette_by_workers_of_uvicorn_that_are_killed(self):
        self.a_killed_worker_is_a_death(*self.under_gunicorn(
            "starlette_app()", "--worker-class", "uvicorn.workers.UvicornWorker", kills=2))

    @wants("aiohttp", "gunicorn")
    def test_aiohttp_whose_workers_are_killed(self):
        self.a_killed_worker_is_a_death(*self.under_gunicorn(
            "aiohttp_app", "--worker-class", "aiohttp.GunicornWebWorker", kills=2))

    @wants("starlette", "uvicorn")
    def test_starlette_under_uvicorn_which_starts_its_workers_anew(self):
        def command(address):
            return [sys.executable, "-m", "uvicorn", "--app-dir", HERE, "--workers", "3", "--factory",
                    "--fd", address.removeprefix("fd://"), "framework_import:starlette_app"]
        server, _, exporter = self.any_worker_shows_what_the_exporter_shows(command, kills=0)
        server.stop()
        self.assertEqual(0, segments.deaths(exporter))


if __name__ == "__main__":
    unittest.main()
