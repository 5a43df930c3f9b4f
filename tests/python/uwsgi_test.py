"""uWSGI with examples/gunicorn_app.py: recycled workers, kill -9 at random, no hook, and no answer uncounted.

usage: uwsgi_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import unittest

import gunicorn_test


class PythonUwsgi(gunicorn_test.Served):
    @staticmethod
    def command(address, *arguments):
        return ["/usr/bin/uwsgi", "--plugin", "python3", "--master", "--processes", str(gunicorn_test.WORKERS),
                "--http-socket", address, "--chdir", gunicorn_test.APPLICATION, "--module", "gunicorn_app:app",
                "--die-on-term", "--worker-reload-mercy", "5", "--disable-logging", *arguments]

    def test_workers_that_are_recycled_and_killed_lose_no_answer(self):
        kills, _ = self.serves_and_counts("--max-requests", "50", "--min-worker-lifetime", "1", answers=1000, kills=6)
        self.assertEqual(6, kills)

    def test_workers_that_load_the_application_themselves_lose_no_answer(self):
        kills, _ = self.serves_and_counts("--lazy-apps", "--enable-threads", answers=500, kills=6)
        self.assertEqual(6, kills)


if __name__ == "__main__":
    unittest.main()
