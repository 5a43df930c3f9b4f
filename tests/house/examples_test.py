"""Runs the examples against a segment of their own, and holds what they did against what the segment says.

usage: examples_test.py DIRECTORY_OF_PROGRAMS
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

programs = pathlib.Path(".")

COUNTER = r"^prefork_http_requests_total\{.*\} (\d+)$"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(name, *arguments, **options):
    return subprocess.run([programs / name, *arguments], capture_output=True, text=True, timeout=60, check=False,
                          **options)


class Examples(unittest.TestCase):
    def setUp(self):
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.directory = tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir=place)
        self.addCleanup(self.directory.cleanup)
        self.segment = self.directory.name + "/examples.seg"

    def exposed(self):
        dump = run("shmetrics", "dump", self.segment, "--format", "text")
        self.assertEqual(0, dump.returncode, dump.stderr)
        return dump.stdout

    def counted(self):
        return sum(int(value) for value in re.findall(COUNTER, self.exposed(), re.MULTILINE))

    def start_server(self):
        port = str(free_port())
        command = [programs / "prefork_server", "--port", port, "--workers", "3", "--segment", self.segment]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)  # runs before wait; the workers follow their master
        self.assertIn("serves", server.stdout.readline())
        return server, port

    def workers(self, server):
        children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def answered(self, output):
        return [int(re.search(rf"^{word} (\d+)$", output, re.MULTILINE).group(1))
                for word in ("requests sent", "unanswered")]

    def test_smallest_counts_one_job_in_each_language(self):
        commands = [[programs / "smallest"], [programs / "smallest_c"]]
        package = programs.parent / "python"
        if (package / "shmetrics").exists():
            commands.append(["/usr/bin/python3", pathlib.Path(__file__).parents[2] / "examples/smallest.py"])
        environment = {**os.environ, "SHMETRICS_SEGMENT": self.segment, "PYTHONPATH": str(package)}
        for jobs, command in enumerate(commands, start=1):
            subprocess.run(command, env=environment, check=True, timeout=60)
            text = self.exposed()
            self.assertIn(f'\napp_jobs_total{{queue="mail"}} {jobs}\n', text)
            self.assertIn(f'\napp_job_duration_seconds_count{{queue="mail"}} {jobs}\n', text)

    def test_prefork_server_counts_each_answer_once(self):
        server, port = self.start_server()
        load = run("load_generator", "--port", port, "--connections", "8", "--seconds", "2")
        self.assertEqual(0, load.returncode, load.stderr)
        sent, unanswered = self.answered(load.stdout)
        self.assertEqual((sent, 0), (self.counted(), unanswered))
        server.send_signal(signal.SIGTERM)
        self.assertEqual(0, server.wait(10))
        self.assertEqual(sent, self.counted(), "stopping changed the count")

    def test_prefork_server_loses_nothing_when_workers_are_killed(self):
        server, port = self.start_server()
        load = subprocess.Popen([programs / "load_generator", "--port", port, "--connections", "8", "--seconds", "3"],
                                stdout=subprocess.PIPE, text=True)
        killed = before = 0
        while load.poll() is None:
            time.sleep(0.5)
            for pid in self.workers(server)[:1]:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            now = self.counted()
            self.assertGreaterEqual(now, before, "a counter went down")
            before = now
        with load.stdout:
            sent, unanswered = self.answered(load.stdout.read())
        self.assertGreater(killed, 2)
        counted = self.counted()
        self.assertLessEqual(sent, counted)
        self.assertLessEqual(counted, sent + unanswered)

    def test_prefork_server_says_what_is_wrong_in_one_line(self):
        _, port = self.start_server()
        wrong = ((1, ["--port", port]), (2, ["--prt", "80"]), (2, ["--port", "0"]), (2, ["--workers"]))
        for status, arguments in wrong:
            result = run("prefork_server", "--segment", self.segment, *arguments)
            self.assertEqual(status, result.returncode, arguments)
            self.assertEqual(1, result.stderr.count("\n"), result.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    programs = pathlib.Path(sys.argv.pop()).resolve()
    unittest.main()
