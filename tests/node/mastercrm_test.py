"""The guide's application in Node, examples/mastercrm-node, under the load of the one in C++: any of its workers shows
the 27 families, for all.

usage: mastercrm_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest

from running_node_crm import EXAMPLE, POOL, RunningNodeCrm
import guide  # noqa: E402
import node
import segments
from running_crm import eventually

TOKEN = RunningNodeCrm.token
REQUESTS = "mastercrm_http_requests_total"


class NodeMasterCrm(unittest.TestCase):
    longMessage = False

    @classmethod
    def setUpClass(cls):
        place = tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm")
        cls.addClassCleanup(place.cleanup)
        cls.crm = RunningNodeCrm(place.name)
        cls.addClassCleanup(cls.crm.stop)
        cls.crm.start()

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.crm.app_port, timeout=30)
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

    def test_any_worker_shows_the_families_of_the_guide_and_every_request_that_was_answered(self):
        self.crm.load_all_of_the_mix(4)
        before = self.scrape()
        measured = self.crm.load(2)
        statuses = measured["statuses"]
        self.assertEqual(measured["unanswered"], 0)
        self.assertGreater(measured["echoes"], 0)
        campaign = {"company": "3", "campaign_type": "newsletter", "channel": "email", "recipients": 1, "text": "News"}
        for _ in range(200):  # until a worker is asked for too many at once
            status = str(self.request("POST", "/campaigns", campaign)[0])
            statuses[status] = statuses.get(status, 0) + 1
            if status == "429":
                break
        idle = eventually(lambda: guide.total(self.scrape(), "mastercrm_queue_size", status="waiting") == 0
                          and guide.total(self.scrape(), "mastercrm_websocket_connections") == 0)
        self.assertTrue(idle, "all jobs are done, and the clients have left")
        for _ in range(4):  # more than one worker answers
            scrape = self.scrape()
            for status, count in statuses.items():
                for name in (REQUESTS, "mastercrm_http_request_duration_seconds_count"):
                    counted = guide.total(scrape, name, status_code=status) - guide.total(before, name,
                                                                                          status_code=status)
                    self.assertEqual(counted, count, f"{name} {status}")
            for status in ("101", "200", "201", "202", "404", "409", "429", "502"):
                self.assertGreater(guide.total(scrape, REQUESTS, status_code=status), 0, status)
            self.assertGreater(guide.total(scrape, "mastercrm_webhooks_failed_total", reason="http_4xx"), 0)
            self.assertGreater(guide.total(scrape, "mastercrm_ai_errors_total", error_type="http_4xx"), 0)
            self.assertGreater(guide.total(scrape, "mastercrm_active_users", company_id="1", user_type="agent"), 0)
            self.assertEqual(guide.total(scrape, "mastercrm_db_connection_pool_size"), POOL)
        self.assertEqual(guide.kinds_of(scrape), {name: kind for name, (kind, _) in guide.families().items()})
        self.assertEqual(len(guide.families()), 27)
        for name, (kind, labels) in guide.families().items():
            found = [(set(own) - {"le"}, number) for sample, own, number in guide.samples_of(scrape)
                     if re.sub("_(bucket|sum|count)$", "", sample) == name or sample == name]
            self.assertTrue(found, f"{name} has no series")
            self.assertEqual({frozenset(own) for own, _ in found}, {frozenset(labels)}, name)
            self.assertTrue(kind == "gauge" or sum(number for _, number in found) > 0, f"{name} has not moved")
        self.assertEqual(guide.total(segments.dump(self.crm.segment, "text"), REQUESTS), guide.total(scrape, REQUESTS))

    def test_what_clients_make_up_becomes_no_series(self):
        for path in ("/contacts/1e840000-e29b-41d4-a716-446655440000", "/nowhere/17", "/contacts/%2e%2e"):
            self.assertEqual(self.request("GET", path)[0], 404)
        self.assertEqual(self.request("POST", "/conversations", {"contact": 1, "channel": "pigeon"})[0], 400)
        self.assertEqual(self.request("BREW", "/contacts/1")[0], 400)
        hook = {"subscription_type": "legacy", "event_type": "message.created"}
        for path in ("hooks", "@crm.example/", "/hooks /", ""):
            self.assertEqual(self.request("POST", "/webhooks", {**hook, "path": path})[0], 400, path)
        scrape = self.scrape()
        routes = {labels["route"] for name, labels, _ in guide.samples_of(scrape) if name == REQUESTS}
        self.assertLessEqual({"/contacts/:id", "/conversations", "other"}, routes)
        self.assertFalse([route for route in routes if re.search(r"\d|nowhere", route)], routes)
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
        environment = {**self.crm.environment, "PORT": str(self.crm.app_port)}
        done = subprocess.run([node.NODE, EXAMPLE / "server.js"], env=environment, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"cannot listen on port {self.crm.app_port}", done.stderr)
        with tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm") as folder:
            with RunningNodeCrm(folder) as other:
                os.kill(other.app.process.pid, signal.SIGTERM)
                self.assertEqual(other.app.process.wait(30), 0)
                self.assertFalse([worker for worker in segments.workers(other.segment) if worker["state"] == "dead"])


if __name__ == "__main__":
    unittest.main()
