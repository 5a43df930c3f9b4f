"""The guide's application in Node, examples/mastercrm-node: any of its workers shows the 27 families, for all.

usage: mastercrm_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

import node

node.skip_without("prom-client")
sys.path.insert(0, str(node.HERE.parent / "mastercrm"))
import guide  # noqa: E402
import segments  # noqa: E402
from node import free_port  # noqa: E402

EXAMPLE = node.HERE.parent.parent / "examples" / "mastercrm-node"
TOKEN = "a-token-of-the-test"
# (method, path, body) and how often; with which every family has counted something.
REQUESTS = [("GET", "/health", None, 40), ("GET", "/contacts/7", None, 60), ("GET", "/contacts/99999", None, 10),
            ("POST", "/contacts/7", {"name": "Is there already"}, 8),
            ("POST", "/conversations", {"channel": "sms", "seconds": 90}, 20),
            ("POST", "/conversations", {"channel": "chat", "reachable": False}, 5),
            ("POST", "/campaigns", {"channel": "email", "count": 10}, 6),
            ("POST", "/ai/reply", {"company": "1", "text": "hello"}, 60),
            ("POST", "/ai/reply", {"company": "2", "model": "crm-retired", "text": "hello"}, 4)]


class NodeMasterCrm(unittest.TestCase):
    def setUp(self):
        self.segment = segments.new_directory() / "crm.seg"
        self.port = free_port()
        self.server = subprocess.Popen([node.NODE, EXAMPLE / "server.js"], env=node.environment(
            self.segment, PORT=str(self.port), METRICS_TOKEN=f"another,{TOKEN}"), stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.server.stderr.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        for _ in range(300):
            try:
                return self.request("GET", "/health")
            except ConnectionRefusedError:
                time.sleep(0.1)

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
        self.assertEqual(status, 200)
        return text

    def open_websocket(self):
        websocket = socket.create_connection(("127.0.0.1", self.port))
        self.addCleanup(websocket.close)
        websocket.sendall(b"GET /ws/chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", websocket.recv(4096))

    def test_any_worker_shows_the_families_of_the_guide_and_every_request_that_was_answered(self):
        self.open_websocket()
        todo = [(method, path, body) for method, path, body, times in REQUESTS for _ in range(times)]
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(lambda one: self.request(*one)[0], todo))
        self.assertEqual(set(answers), {200, 201, 202, 404, 409, 429, 502})
        time.sleep(0.3)  # queued jobs, and closed connections
        for _ in range(4):  # more than one worker answers
            scrape = self.scrape()
            self.assertEqual(guide.total(scrape, "mastercrm_http_requests_total"), len(answers) + 1)
            self.assertEqual(guide.total(scrape, "mastercrm_http_request_duration_seconds_count"), len(answers) + 1)
            for status in set(answers):
                self.assertEqual(guide.total(scrape, "mastercrm_http_requests_total", status_code=str(status)),
                                 answers.count(status) + (status == 200))
            self.assertEqual(guide.total(scrape, "mastercrm_webhooks_failed_total", reason="refused"), 5)
            self.assertEqual(guide.total(scrape, "mastercrm_campaigns_messages_sent_total", channel="email"), 60)
            self.assertEqual(guide.total(scrape, "mastercrm_websocket_connections", namespace="chat"), 1)
            self.assertEqual(guide.total(scrape, "mastercrm_active_users", company_id="2"), 6)
            self.assertEqual(guide.total(scrape, "mastercrm_active_connections"), 0)
        kinds = guide.kinds_of(scrape)
        self.assertEqual(kinds, {name: kind for name, (kind, _) in guide.families().items()})
        self.assertEqual(len(kinds), 27)
        for name, (_, labels) in guide.families().items():
            found = [set(of_sample) - {"le"} for sample, of_sample, _ in guide.samples_of(scrape)
                     if re.sub("_(bucket|sum|count)$", "", sample) == name or sample == name]
            self.assertTrue(found, name)
            for each in found:
                self.assertEqual(each, labels, name)
        self.assertEqual(guide.total(segments.dump(self.segment, "text"), "mastercrm_http_requests_total"),
                         len(answers) + 1)

    def test_the_three_ways_in_are_those_of_the_guide(self):
        for path, headers, status in (
                ("", {}, 200), ("", {"X_Forwarded_For": "10.0.0.1"}, 401), ("", {"Host": "crm.example"}, 401),
                ("", {"Authorization": f"Bearer {TOKEN}", "Host": "crm.example"}, 200),
                ("", {"Authorization": "Bearer wrong"}, 401), (f"?token={TOKEN}", {"Host": "crm.example"}, 200),
                ("?token=wrong", {}, 401)):
            with self.subTest(path=path, headers=headers):
                self.assertEqual(self.request("GET", "/api/metrics" + path, **headers)[0], status)

    def test_it_ends_in_order(self):
        os.kill(self.server.pid, signal.SIGTERM)
        self.assertEqual(self.server.wait(30), 0)
        self.assertFalse([worker for worker in segments.workers(self.segment) if worker["state"] == "dead"])


if __name__ == "__main__":
    unittest.main()
