"""docs/node.md: its program is the example, and runs; its migration is that of the guide's application.

usage: docs_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import os
import re
import signal
import subprocess
import time
import unittest
import urllib.request

import node

node.skip_without("prom-client")
import segments  # noqa: E402
from node import free_port  # noqa: E402

ROOT = node.HERE.parent.parent
EXAMPLE = ROOT / "examples" / "cluster_app.js"
PAGE = (ROOT / "docs" / "node.md").read_text()


class NodeDocs(unittest.TestCase):
    def test_the_program_of_the_page_is_the_example(self):
        blocks = re.findall(r"^```js\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        self.assertEqual(blocks, [EXAMPLE.read_text()])

    def test_the_program_of_the_readme_counts(self):
        readme = (ROOT / "client" / "node" / "README.md").read_text()
        program = re.search(r"^```js\n(.*?)^```", readme, re.MULTILINE | re.DOTALL).group(1)
        shown, _ = node.run(segments.new_directory() / "app.seg", "-e", program)
        self.assertEqual(segments.samples_of(shown), {'app_http_requests_total{method="GET"}': 1})

    def test_the_smallest_example_counts(self):
        segment = segments.new_directory() / "app.seg"
        node.run(segment, ROOT / "examples" / "smallest.js")
        found = segments.samples(segment)
        self.assertEqual(found['app_jobs_total{queue="mail"}'], 1)
        self.assertEqual(found['app_job_duration_seconds_count{queue="mail"}'], 1)

    def test_the_lines_of_the_migration_are_those_of_the_example(self):
        files = (ROOT / "examples" / "mastercrm-node").glob("*.js")
        lines = " ".join(" ".join(file.read_text() for file in files).split())
        table = PAGE[PAGE.index("The application of the guide, line by line"):]
        rows = re.findall(r"^\| (.*) \| (.*) \|$", table[:table.index("Programs made at random")], re.MULTILINE)[2:]
        self.assertGreater(len(rows), 8)
        for before, after in rows:
            cells = before + after if after.startswith("the same line") else after
            for code in re.findall("`([^`]+)`", cells):
                self.assertIn(code, lines)

    def test_the_example_answers_for_all_its_workers(self):
        segment, port = segments.new_directory() / "app.seg", free_port()
        server = subprocess.Popen([node.NODE, EXAMPLE, str(port)], env=node.environment(segment),
                                  start_new_session=True)
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            answers = 0
            for _ in range(300):
                try:
                    answers += opener.open(f"http://127.0.0.1:{port}/hello", timeout=20).read() == b"hello\n"
                except OSError:
                    time.sleep(0.1)
                if answers == 20:
                    break
            page = opener.open(f"http://127.0.0.1:{port}/metrics", timeout=20).read().decode()
            found = segments.samples_of(page)
            self.assertEqual(found['app_http_requests_total{method="GET",status="200"}'], 20)
            self.assertEqual(found["app_http_request_seconds_count"], 20)
            os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C in a terminal
            server.wait(timeout=60)
            for _ in range(600):
                if all(worker["state"] in ("released", "unused") for worker in segments.workers(segment)):
                    break
                time.sleep(0.1)
            self.assertEqual(segments.deaths_in(segment), 0)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


if __name__ == "__main__":
    unittest.main()
