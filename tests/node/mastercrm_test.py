"""The guide's application in Node, examples/mastercrm-node, under the load of the one in C++: any of its workers shows
the 27 families, for all.

usage: mastercrm_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import node

PEERS = node.PEERS.parent.parent / "mastercrm" / "node_modules"
node.skip_without("prom-client", PEERS / "express")
sys.path.insert(0, str(node.HERE.parent / "mastercrm"))
import guide  # noqa: E402
import segments  # noqa: E402
from running_crm import EXAMPLE as LOAD, REQUESTS_OF_A_MIX, Program, eventually  # noqa: E402

EXAMPLE = node.HERE.parent.parent / "examples" / "mastercrm-node"
TOKEN = "a-token-of-the-test"
REQUESTS = "mastercrm_http_requests_total"


class NodeMasterCrm(unittest.TestCase):
    longMessage = False

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = pathlib.Path(directory.name)
        self.segment = segments.new_directory() / "crm.seg"
        upstream = self.run_in_background("upstream", [sys.executable, LOAD / "fake_upstream.py", "0"])
        found = upstream.wait_for(r"serves http://127\.0\.0\.1:(\d+)/")
        self.environment = node.environment(self.segment, NODE_PATH=f"{node.MODULES}:{PEERS}", PORT="0",
                                            METRICS_TOKEN=f"another,{TOKEN}", UPSTREAM_PORT=found.group(1))
        self.server = self.run_in_background("mastercrm", [node.NODE, EXAMPLE / "server.js"], self.environment)
        self.port = int(self.server.wait_for(r"serves http://127\.0\.0\.1:(\d+)/").group(1))

    def run_in_background(self, name, command, environment=None):
        program = Program(self.folder / f"{name}.log", [str(word) for word in command], environment)
        self.addCleanup(program.stop)
        return program

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body and json.dumps(body),
                           {"Connection": "close", **{name.replace("_", "-"): text for name, text in headers.items()}})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def scrape(self):
        status, text = self.request("GET", "/api/metrics")
        self.assertEqual(status, 200, text)
        return text

    def load_all_of_the_mix(self):
        """What the clients saw; the load goes on until each line of the mix was asked for."""
        seconds = 4
        while True:
            done = subprocess.run([segments.PROGRAMS / "load_generator", "--json", "--port", str(self.port),
                                   "--seconds", str(seconds), "--mix", LOAD / "load.txt", "--websockets", "2"],
                                  capture_output=True, text=True, check=True, timeout=120)
            yield json.loads(done.stdout)
            if json.loads(done.stdout)["answered"] >= REQUESTS_OF_A_MIX:
                return
            seconds *= 2

    def test_any_worker_shows_the_families_of_the_guide_and_every_request_that_was_answered(self):
        statuses = {}
        for measured in self.load_all_of_the_mix():
            self.assertEqual(measured["unanswered"], 0)
            self.assertGreater(measured["echoes"], 0)
            for status, count in measured["statuses"].items():
                statuses[status] = statuses.get(status, 0) + count
        campaign = {"company": "3", "campaign_type": "newsletter", "channel": "email", "recipients": 1, "text": "News"}
        for _ in range(200):  # until a worker is asked for too many at once
            status = str(self.request("POST", "/campaigns", campaign)[0])
            statuses[status] = statuses.get(status, 0) + 1
            if status == "429":
                break
        self.assertLessEqual({"101", "200", "201", "202", "404", "409", "429", "502"}, set(statuses))
        idle = eventually(lambda: guide.total(self.scrape(), "mastercrm_queue_size", status="waiting") == 0
                          and guide.total(self.scrape(), "mastercrm_websocket_connections") == 0)
        self.assertTrue(idle, "all jobs are done, and the clients have left")
        for _ in range(4):  # more than one worker answers
            scrape = self.scrape()
            for status, count in statuses.items():
                for name in (REQUESTS, "mastercrm_http_request_duration_seconds_count"):
                    self.assertEqual(guide.total(scrape, name, status_code=status), count, f"{name} {status}")
            self.assertGreater(guide.total(scrape, "mastercrm_webhooks_failed_total", reason="http_4xx"), 0)
            self.assertGreater(guide.total(scrape, "mastercrm_ai_errors_total", error_type="http_4xx"), 0)
            self.assertGreater(guide.total(scrape, "mastercrm_active_users", company_id="1", user_type="agent"), 0)
            self.assertEqual(guide.total(scrape, "mastercrm_db_connection_pool_size"), 4 * 4)
        self.assertEqual(guide.kinds_of(scrape), {name: kind for name, (kind, _) in guide.families().items()})
        self.assertEqual(len(guide.families()), 27)
        for name, (kind, labels) in guide.families().items():
            found = [(set(own) - {"le"}, number) for sample, own, number in guide.samples_of(scrape)
                     if re.sub("_(bucket|sum|count)$", "", sample) == name or sample == name]
            self.assertTrue(found, f"{name} has no series")
            self.assertEqual({frozenset(own) for own, _ in found}, {frozenset(labels)}, name)
            self.assertTrue(kind == "gauge" or sum(number for _, number in found) > 0, f"{name} has not moved")
        self.assertEqual(guide.total(segments.dump(self.segment, "text"), REQUESTS), sum(statuses.values()))

    def test_what_clients_make_up_becomes_no_series(self):
        for path in ("/contacts/1e840000-e29b-41d4-a716-446655440000", "/nowhere/17", "/contacts/%2e%2e"):
            self.assertEqual(self.request("GET", path)[0], 404)
        self.assertEqual(self.request("POST", "/conversations", {"contact": 1, "channel": "pigeon"})[0], 400)
        self.assertEqual(self.request("BREW", "/contacts/1")[0], 400)
        scrape = self.scrape()
        routes = {labels["route"] for name, labels, _ in guide.samples_of(scrape) if name == REQUESTS}
        self.assertEqual(routes, {"/contacts/:id", "/conversations", "other"})
        self.assertNotIn("pigeon", scrape)

    def test_the_three_ways_in_are_those_of_the_guide(self):
        for path, headers, status in (
                ("", {}, 200), ("", {"X_Forwarded_For": "10.0.0.1"}, 401), ("", {"Host": "crm.example"}, 401),
                ("", {"Authorization": f"Bearer {TOKEN}", "Host": "crm.example"}, 200),
                ("", {"Authorization": "Bearer wrong"}, 401), (f"?token={TOKEN}", {"Host": "crm.example"}, 200),
                ("?token=wrong", {}, 401), (f"?token={TOKEN}&token=wrong", {"Host": "crm.example"}, 401),
                (f"?token={TOKEN}", {"Authorization": f"Bearer {TOKEN}"}, 401)):
            with self.subTest(path=path, headers=headers):
                self.assertEqual(self.request("GET", "/api/metrics" + path, **headers)[0], status)

    def test_it_ends_in_order_and_says_when_its_port_is_taken(self):
        done = subprocess.run([node.NODE, EXAMPLE / "server.js"], env={**self.environment, "PORT": str(self.port)},
                              capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"cannot listen on port {self.port}", done.stderr)
        os.kill(self.server.process.pid, signal.SIGTERM)
        self.assertEqual(self.server.process.wait(30), 0)
        self.assertFalse([worker for worker in segments.workers(self.segment) if worker["state"] == "dead"])


if __name__ == "__main__":
    unittest.main()
