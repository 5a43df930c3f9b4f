"""django-prometheus under gunicorn, with not a line of either changed: whichever worker is asked shows all requests."""
import pathlib
import sys
import unittest

import gunicorn_test
import segments

ANSWERED = 'django_http_responses_total_by_status_total{status="200"}'


class PythonDjango(gunicorn_test.Served):
    @staticmethod
    def command(address, *arguments):
        return [sys.executable, "-m", "shmetrics.as_prometheus_client", "gunicorn", "--chdir",
                str(pathlib.Path(__file__).parent), "--workers", "3", "--bind", address, "--timeout", "120", *arguments,
                "django_app:app"]

    def test_middleware_counts_every_answer_of_all_workers_over_recycling_and_kills(self):
        segment = segments.new_directory() / "django.seg"
        server = gunicorn_test.Server(self, segment, self.command, ("--max-requests", "60"))
        self.assertTrue(server.is_answered(), server.log.read_text())
        answers, kills = self.load(server, answers=300, kills=3)
        shown = server.metrics("django_")
        acknowledged = answers.count(True) + 1
        found = segments.samples(segment, "django_")
        self.assertLessEqual(acknowledged, shown[ANSWERED])
        self.assertLessEqual(shown[ANSWERED], found[ANSWERED])
        self.assertLessEqual(found[ANSWERED], acknowledged + kills + 1)  # this look is an answer too
        print(f"{acknowledged} answers, {kills} kills, {found[ANSWERED]:.0f} counted")


if __name__ == "__main__":
    unittest.main()
