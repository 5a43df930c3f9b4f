"""MasterCRM counts what its guide lists, and what its clients saw.

usage: mastercrm_test.py DIRECTORY_OF_PROGRAMS
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
import time
import unittest

import guide
from guide import total
from running_crm import ROOT, RunningCrm, eventually

WORKERS, CONNECTIONS_A_POOL, QUEUE_WORKERS = 2, 4, 2

programs = pathlib.Path(".")


def counters_and_buckets(scrape):
    """What must never go down. Sums of histograms among it, as no observation of ours is negative."""
    return {(name, tuple(sorted(labels.items()))): number for name, labels, number in guide.samples_of(scrape)
            if name.startswith("mastercrm_") and name.endswith(("_total", "_bucket", "_sum", "_count"))}


class MasterCrm(unittest.TestCase):
    longMessage = False

    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm")
        cls.crm = RunningCrm(programs, cls.place.name, WORKERS, QUEUE_WORKERS)
        cls.addClassCleanup(cls.place.cleanup)
        cls.crm.start()
        cls.addClassCleanup(cls.crm.stop)

    def comes_to(self, expected, name, **labels):
        """Waits for a gauge, and for what is counted after an answer."""
        found = eventually(lambda: total(self.crm.scrape(), name, **labels) == expected, seconds=60, pause=0.2)
        self.assertTrue(found, f"{name}{labels} is {total(self.crm.scrape(), name, **labels)}, not {expected}")

    def test_every_family_of_the_guide_is_there_with_its_kind_and_labels_and_moves(self):
        self.crm.load_all_of_the_mix()
        wanted = guide.families()
        self.assertEqual(27, len(wanted))
        self.comes_to(0, "mastercrm_queue_size", status="waiting")  # all that was asked for has been done
        scrape = self.crm.scrape()
        kinds = {name: kind for name, kind in guide.kinds_of(scrape).items() if name.startswith("mastercrm_")}
        self.assertEqual({name: kind for name, (kind, _) in wanted.items()}, kinds)
        for name, (kind, labels) in wanted.items():
            sample = name + "_count" if kind == "histogram" else name
            found = [(set(own), number) for other, own, number in guide.samples_of(scrape) if other == sample]
            self.assertTrue(found, f"{name} has no series")
            for own, _ in found:
                self.assertEqual(labels, own, name)
            if kind != "gauge":
                self.assertGreater(sum(number for _, number in found), 0, f"{name} has not moved")

    def test_counts_are_those_of_the_clients(self):
        before = self.crm.scrape()
        measured = self.crm.load(3)
        after = self.crm.scrape()
        self.assertEqual(0, measured["unanswered"])
        for status, count in measured["statuses"].items():
            for name in ("mastercrm_http_requests_total", "mastercrm_http_request_duration_seconds_count"):
                counted = total(after, name, status_code=status) - total(before, name, status_code=status)
                self.assertEqual(count, counted, f"{name} {status}")

    def test_a_killed_worker_takes_no_count_with_it(self):
        before = self.crm.scrape()
        load = self.crm.start_load(5)
        kills, last = 0, counters_and_buckets(before)
        while load.poll() is None:
            for pid in self.crm.pids("crm-worker")[:1] + self.crm.pids("crm-queue")[:1]:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            time.sleep(0.4)
            now = counters_and_buckets(self.crm.scrape())
            back = [series for series, number in last.items() if now.get(series, -1) < number]
            self.assertFalse(back, f"went down: {back}")
            last = now
        measured = self.crm.finish_load(load)
        self.assertGreater(kills, 4)
        name = "mastercrm_http_requests_total"
        counted = total(self.crm.scrape(), name) - total(before, name)
        self.assertLessEqual(measured["answered"], counted)
        self.assertLessEqual(counted, measured["answered"] + measured["unanswered"])

    def test_gauges_are_sums_of_the_living(self):
        pools = WORKERS * CONNECTIONS_A_POOL + QUEUE_WORKERS + 1  # the housekeeper has one
        load = self.crm.start_load(4, rate=50, connections=6, websockets=3)
        self.comes_to(3, "mastercrm_websocket_connections", namespace="notifications")
        self.assertGreaterEqual(total(self.crm.scrape(), "mastercrm_active_connections"), 3)
        self.assertLessEqual(total(self.crm.scrape(), "mastercrm_active_connections"), 6 + 3)
        self.assertGreater(self.crm.finish_load(load)["echoes"], 0)
        os.kill(self.crm.pids("crm-worker")[0], signal.SIGKILL)
        self.comes_to(0, "mastercrm_active_connections")
        self.comes_to(0, "mastercrm_websocket_connections")
        eventually(lambda: len(self.crm.pids("crm-worker")) == WORKERS)
        self.comes_to(pools, "mastercrm_db_connection_pool_size")
        self.comes_to(0, "mastercrm_db_connection_pool_size", state="waiting")

    def test_a_backlog_is_seen_and_worked_off(self):
        name = "mastercrm_campaigns_messages_sent_total"
        sent = total(self.crm.scrape(), name, campaign_type="newsletter", channel="email")
        self.comes_to(0, "mastercrm_queue_size", queue_name="campaigns", status="waiting")
        self.crm.pause_queue()
        try:
            self.assertEqual(202, self.crm.start_campaign(1200)[0])
            found = eventually(lambda: total(self.crm.scrape(), "mastercrm_queue_size", queue_name="campaigns",
                                             status="waiting") > 1000)
            self.assertTrue(found, "no backlog")
        finally:
            self.crm.resume_queue()
        self.comes_to(0, "mastercrm_queue_size", queue_name="campaigns", status="waiting")
        self.comes_to(sent + 1200, name, campaign_type="newsletter", channel="email")

    def test_a_message_reaches_who_subscribed_to_messages(self):
        who = {"subscription_type": "partner", "event_type": "message.created"}  # which the load does not do
        self.assertEqual(201, self.crm.post("/webhooks", {**who, "path": "/hooks/partner"})[0])
        before = total(self.crm.scrape(), "mastercrm_webhooks_delivered_total", **who)
        self.assertEqual(201, self.crm.post("/conversations/1/messages", {"direction": "inbound", "text": "?"})[0])
        self.comes_to(before + 1, "mastercrm_webhooks_delivered_total", **who)

    def test_what_fails_upstream_is_an_error_here(self):
        ask = {"company": "3", "model": "crm-small", "operation": "reply", "text": "Where is my order?"}
        name, labels = "mastercrm_ai_errors_total", {"model": "crm-small", "error_type": "http_5xx"}
        before = self.crm.scrape()
        self.crm.upstream(llm_status=500, llm_seconds=0)
        try:
            self.assertEqual(502, self.crm.post("/ai/replies", ask)[0])
        finally:
            self.crm.upstream(llm_status=200, llm_seconds=0.18)
        self.assertEqual(200, self.crm.post("/ai/replies", ask)[0])
        after = self.crm.scrape()
        self.assertEqual(1, total(after, name, **labels) - total(before, name, **labels))
        tokens = "mastercrm_ai_tokens_used_total"
        self.assertEqual(4, total(after, tokens, type="prompt") - total(before, tokens, type="prompt"))

    def test_what_is_refused_changes_nothing_and_is_counted_as_what_the_client_got(self):
        text = {"direction": "inbound", "text": ""}
        self.assertEqual(201, self.crm.post("/conversations/50/messages", {**text, "text": "?"})[0])
        self.assertEqual(200, self.crm.post("/conversations/50/close", {})[0])
        self.assertEqual(400, self.crm.post("/conversations/50/messages", text)[0])
        self.assertEqual(409, self.crm.post("/conversations/50/close", {})[0], "it was opened again")
        for path in ("hooks", "/hooks/a HTTP/1.1\r\nHost: b\r\n\r\n"):
            hook = {"subscription_type": "legacy", "event_type": "message.created", "path": path}
            self.assertEqual(400, self.crm.post("/webhooks", hook)[0])
        connection = http.client.HTTPConnection("127.0.0.1", self.crm.app_port, timeout=30)
        self.addCleanup(connection.close)
        half = {"Connection": "upgrade", "Upgrade": "websocket"}  # and no key
        for status, method, target, headers in (
                (404, "GET", "/contacts/1e840000-e29b-41d4-a716-446655440000", {}), (404, "HEAD", "/contacts/7", {}),
                (200, "GET", "/contacts/7", {}), (400, "GET", "/ws/chat", half)):
            connection.request(method, target, headers=headers)
            response = connection.getresponse()
            response.read()
            self.assertEqual(status, response.status, f"{method} {target}")
        name, scrape = "mastercrm_http_requests_total", self.crm.scrape()
        self.assertEqual(1, total(scrape, name, route="/ws/chat", status_code="400"))
        self.assertEqual(0, total(scrape, name, route="/ws/chat", status_code="101"))

    def test_what_clients_make_up_becomes_no_series(self):
        for target in ("/nowhere/%d" % n for n in range(20)):
            self.assertEqual(404, self.crm.post(target, {})[0])
        wrong = {"contact": 1, "channel": "pigeon", "initiated_by": "agent"}
        self.assertEqual(400, self.crm.post("/conversations", wrong)[0])
        self.assertEqual(404, self.crm.post("/conversations/999999/messages", {"direction": "inbound", "text": "?"})[0])
        scrape = self.crm.scrape()
        routes = {labels["route"] for name, labels, _ in guide.samples_of(scrape) if name.endswith("requests_total")
                  and "route" in labels}
        self.assertFalse([route for route in routes if re.search(r"\d|nowhere", route)], routes)
        self.assertNotIn("pigeon", scrape)

    def test_leaves_in_good_order_and_says_what_is_wrong_in_one_line(self):
        with tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm") as folder:
            other = RunningCrm(programs, folder)
            with other:
                self.assertEqual(400, other.post("/sessions", {})[0])
                status = other.stop()
            self.assertEqual(0, status, other.app.log.read_text())
            dump = subprocess.run([programs / "shmetrics", "dump", other.segment, "--workers", "--format", "json"],
                                  capture_output=True, text=True, check=True).stdout
            states = {worker["state"] for worker in json.loads(dump)["workers"] if worker["state"] != "unused"}
            self.assertEqual({"released"}, states)
        for status, arguments in ((1, ["--port", str(self.crm.app_port)]), (2, ["--prt", "1"]), (2, ["--workers", "0"]),
                                  (1, ["--port", "0", "--database", "/nowhere/crm.db"])):
            result = subprocess.run([programs / "mastercrm", *arguments], capture_output=True, text=True, timeout=30,
                                    env={**os.environ, "SHMETRICS_SEGMENT": str(self.crm.segment)}, check=False)
            self.assertEqual(status, result.returncode, arguments)
            self.assertTrue(result.stderr, arguments)

    def test_the_demo_says_that_a_port_is_taken_before_it_builds(self):
        for arguments in (["--port", str(self.crm.exporter_port)], ["--port", "9090", "--with-prometheus"]):
            result = subprocess.run([ROOT / "tools/demo.sh", *arguments], capture_output=True, text=True, timeout=30,
                                    check=False)
            self.assertEqual((1, ""), (result.returncode, result.stdout))
            self.assertRegex(result.stderr, r"\Ademo: port .*\n\Z")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    programs = pathlib.Path(sys.argv.pop()).resolve()
    unittest.main()
