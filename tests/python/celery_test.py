"""celery whose children are recycled after a few tasks: no task uncounted, and no end is a death. kill -9 is one.

usage: celery_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import segments

HERE = pathlib.Path(__file__).parent


class PythonCelery(unittest.TestCase):
    longMessage = False

    def setUp(self):
        self.segment = segments.new_directory() / "celery.seg"
        folder = segments.new_directory()
        self.environment = {**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(self.segment),
                            "CELERY_FOLDER": str(folder), "PYTHONPATH": f"{segments.PACKAGE}:{HERE}",
                            "PYTHONDONTWRITEBYTECODE": "1"}
        self.log = folder / "worker.log"
        with open(self.log, "w") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool", "prefork", "-c", "3",
                 "--max-tasks-per-child", "5", "--without-mingle", "--without-gossip", "--without-heartbeat"],
                env=self.environment, stdout=log, stderr=log, cwd=folder)
        self.addCleanup(self.worker.wait)
        self.addCleanup(self.worker.kill)

    def send(self, task, kind, times):
        program = f"import celery_app\nfor _ in range({times}): celery_app.{task}.delay('{kind}')"
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=self.environment)

    def wait_until(self, is_so):
        deadline = time.monotonic() + 120
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertTrue(is_so(), self.log.read_text())

    def counted(self, kind):
        if not self.segment.exists():
            return 0
        return segments.samples(self.segment, "app_").get(f'app_tasks_total{{kind="{kind}"}}', 0)

    def test_recycled_children_count_each_task_and_are_no_deaths(self):
        self.send("work", "mail", 60)
        self.wait_until(lambda: self.counted("mail") == 60)
        exporter = segments.exporter_of(self, self.segment)
        adopted = sum(worker["adopted"] for worker in segments.workers(self.segment))
        self.assertGreaterEqual(adopted, 6, "children were recycled")
        self.assertEqual(0, segments.deaths(exporter))
        self.send("sleep_for_long", "slow", 1)
        self.wait_until(lambda: self.counted("slow") == 1)
        live = {worker["pid"] for worker in segments.workers(self.segment) if worker["state"] == "live"}
        for pid in live - {self.worker.pid}:
            os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: segments.deaths(exporter) == len(live - {self.worker.pid}))


if __name__ == "__main__":
    unittest.main()
