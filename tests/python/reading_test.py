"""Any worker reads what all have counted: as prometheus_client's users ask for it."""
import asyncio
import gzip
import io
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request
import wsgiref.util
import wsgiref.validate

import segments
from segments import samples, samples_of

import prometheus_client
import prometheus_client.openmetrics.parser

import shmetrics
from shmetrics import Counter, Gauge, Histogram, Registry, Summary

TOKEN = "correct-horse"


def read(registry=None):
    return samples_of(shmetrics.generate_latest(registry).decode())


def random_program(seed, prefix, client, **registry):
    """Some families of each kind, and updates of them: the same for the same seed."""
    chance = random.Random(seed)
    for number in range(chance.randint(1, 5)):
        labels = [f"label_{i}" for i in range(chance.randint(0, 3))]
        kind = chance.choice([client.Counter, client.Gauge, client.Histogram, client.Summary])
        more = dict(registry)
        if kind is client.Gauge:
            more["multiprocess_mode"] = "livesum"
        if kind is client.Histogram and chance.random() < 0.5:
            more["buckets"] = sorted(chance.sample([0.001, 0.1, 0.25, 1, 2.5, 10, 1e5, 1e9], chance.randint(1, 6)))
        family = kind(f"{prefix}_{number}", chance.choice(["Help", 'Of "all"\n\\ kinds', "é"]), labels, **more)
        for _ in range(chance.randint(0, 12)):
            values = [chance.choice(["a", "b", 'q"\n\\', "", "日本", 7, None]) for _ in labels]
            series = family.labels(*values) if labels else family
            amount = chance.choice([0, 1, 0.5, 3, 1e-9, 123456789.25, 1e17])
            if kind is client.Counter:
                series.inc(amount)
            elif kind is client.Gauge:
                chance.choice([series.set, series.inc, series.dec])(amount)
            else:
                series.observe(chance.choice([amount, -amount]))


def plain(text):
    """{(name, labels)}: value, with one spelling of a bound and without labels that have no value."""
    return {(sample.name, tuple(sorted((name, repr(float(value)) if name == "le" else value)
                                       for name, value in sample.labels.items()))): sample.value
            for family in prometheus_client.parser.text_string_to_metric_families(text) for sample in family.samples
            if not sample.name.endswith("_created")}


def collected(registry, prefix):
    """{family: (documentation, type, unit, {(sample, labels): value})} by collect()."""
    return {metric.name: (metric.documentation, metric.type, metric.unit, {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in metric.samples
                if not sample.name.endswith("_created")})
            for metric in registry.collect() if metric.name.startswith(prefix + "_") and metric.samples}


class PythonReading(unittest.TestCase):
    longMessage = False

    def test_generated_programs_show_the_same_as_under_prometheus_client(self):
        compared = 0
        for seed in range(150):
            theirs, prefix = prometheus_client.CollectorRegistry(), f"random{seed}"
            random_program(seed, prefix, prometheus_client, registry=theirs)
            random_program(seed, prefix, shmetrics)
            wanted = plain(prometheus_client.generate_latest(theirs).decode())
            ours = {key: value for key, value in plain(shmetrics.generate_latest().decode()).items()
                    if key[0].startswith(prefix + "_")}
            # A gauge without labels that was never set is 0 in both: livesum starts at 0.
            self.assertEqual(wanted, ours, f"seed {seed}")
            self.assertEqual(collected(theirs, prefix), collected(shmetrics.REGISTRY, prefix), f"seed {seed}")
            for metric in theirs.collect() if seed % 10 == 0 else ():
                for sample in metric.samples[:3]:
                    if not sample.name.endswith("_created"):
                        value = shmetrics.REGISTRY.get_sample_value(sample.name, sample.labels)
                        self.assertEqual(sample.value, value, f"seed {seed}: {sample}")
            compared += len(ours)
        self.assertGreater(compared, 2000)

    def test_the_text_is_that_of_the_tools_and_a_value_is_that_of_the_text(self):
        registry = Registry(segments.new_directory() / "same.seg")
        counter = Counter("same", "Same", ["a", "b"], registry=registry)
        counter.labels("x", "y").inc(2.5)
        Histogram("same_seconds", "Same", buckets=[1, 1e5], registry=registry).observe(3)
        self.assertEqual(segments.dump(registry.path, "text"), shmetrics.generate_latest(registry).decode())
        values = [registry.get_sample_value("same_total", labels) for labels in (
            {"a": "x", "b": "y"}, {"b": "y", "a": "x"}, {"a": "x"}, {}, {"a": "x", "b": "z"})]
        self.assertEqual([2.5, 2.5, None, None, None], values)
        self.assertEqual((3.0, 1.0), (registry.get_sample_value("same_seconds_sum"),
                                      registry.get_sample_value("same_seconds_bucket", {"le": "100000"})))
        labels = {f"l{i:02}": "v" for i in range(16)}
        Histogram("widest", "Widest", list(labels), buckets=[1], registry=registry).labels(**labels).observe(0)
        self.assertEqual(1, registry.get_sample_value("widest_bucket", {**labels, "le": "1"}))
        self.assertIsNone(shmetrics.REGISTRY.get_sample_value("same_total", {"a": "x", "b": "y"}))

    def test_counting_and_reading_leave_the_handlers_of_signals_alone(self):
        program = """if True:
            import faulthandler, re
            def caught():
                return re.findall(r"Sig(?:Blk|Ign|Cgt):\\s*(\\w+)", open("/proc/self/status").read())
            faulthandler.enable()  # handlers of SIGSEGV and SIGBUS, as an application has them
            before = caught()
            import shmetrics as s
            s.Counter("a", "A", ["x"]).labels("b").inc()
            s.Histogram("h", "H").observe(1)
            s.generate_latest(), s.REGISTRY.get_sample_value("a_total", {"x": "b"}), list(s.REGISTRY.collect())
            assert len(before) == 3 and before == caught(), (before, caught())
            faulthandler._sigsegv()
            """
        result = subprocess.run([sys.executable, "-c", program], env=segments.ENVIRONMENT, capture_output=True,
                                text=True, timeout=60, check=False)
        self.assertEqual(-signal.SIGSEGV, result.returncode, result.stderr)
        self.assertIn("Fatal Python error: Segmentation fault", result.stderr, "its handler still runs")

    def test_each_process_reads_what_all_have_counted(self):
        counter = Counter("everybody", "Everybody")
        reader, writer = os.pipe()
        for n in range(1, 4):
            child = os.fork()
            if child == 0:
                counter.inc()
                os.write(writer, bytes([int(shmetrics.REGISTRY.get_sample_value("everybody_total"))]))
                os._exit(0)
            self.assertEqual(0, os.waitpid(child, 0)[1])
            self.assertEqual(bytes([n]), os.read(reader, 1))
        self.assertEqual(3, read()["everybody_total"])

    @unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: needs root, to drop privileges")
    def test_a_worker_that_has_dropped_its_privileges_and_its_root_reads(self):
        registry = Registry(segments.new_directory() / "private.seg")
        counter = Counter("private", "Private", registry=registry)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.chroot("/var/empty" if os.path.isdir("/var/empty") else "/usr/share")
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            counter.inc(5)
            os.write(writer, shmetrics.generate_latest(registry)[-20:])
            os._exit(0)
        self.assertEqual(0, os.waitpid(child, 0)[1])
        self.assertTrue(os.read(reader, 99).endswith(b"private_total 5\n"))

    def test_a_segment_whose_descriptor_and_path_are_gone_is_an_oserror_and_not_an_empty_page(self):
        registry = Registry(segments.new_directory() / "gone.seg")
        counter = Counter("gone", "Gone", registry=registry)
        child = os.fork()
        if child == 0:
            os.unlink(registry.path)
            os.closerange(3, 200)
            counter.inc()
            try:
                shmetrics.generate_latest(registry)
            except OSError as error:
                os._exit(0 if "descriptor" in str(error) else 2)
            os._exit(1)
        self.assertEqual(0, os.waitpid(child, 0)[1])

    def test_reading_beside_kills_never_goes_back_and_never_below_what_was_acknowledged(self):
        counter = Counter("torture", "Torture", ["x"])
        histogram = Histogram("torture_seconds", "Torture")
        stop, seen, problems = threading.Event(), 0, []

        def watch():
            nonlocal seen
            highest = 0
            while not stop.is_set():
                found = read()
                now = found.get('torture_total{x="a"}', 0)
                if now < highest or found["torture_seconds_count"] != found["torture_seconds_sum"]:
                    problems.append((highest, now, found))
                highest, seen = max(highest, now), seen + 1
        watcher = threading.Thread(target=watch)
        watcher.start()
        acknowledged, kills = 0, 0
        while kills < 25 or seen < 6 and kills < 500:  # a loaded machine reads slowly
            kills += 1
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                while True:
                    counter.labels("a").inc()
                    histogram.observe(1)
                    os.write(writer, b".")
            os.close(writer)
            time.sleep(random.uniform(0.005, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with open(reader, "rb") as pipe:
                acknowledged += len(pipe.read())
        stop.set()
        watcher.join()
        self.assertEqual([], problems)
        counted = shmetrics.REGISTRY.get_sample_value("torture_total", {"x": "a"})
        self.assertLessEqual(acknowledged, counted)
        self.assertLessEqual(counted, acknowledged + kills)
        self.assertGreater(seen, 5)


class PythonServing(unittest.TestCase):
    longMessage = False

    @classmethod
    def setUpClass(cls):
        Counter("served", "Served").inc(3)
        Gauge("served_gauge", "Served", multiprocess_mode="max").set(1)
        Summary("served_bytes", "Served").observe(2)

    def wsgi(self, app, query="", **environ):
        environ = {"QUERY_STRING": query, "SCRIPT_NAME": "", "PATH_INFO": "/metrics", **environ}
        wsgiref.util.setup_testing_defaults(environ)
        got = []
        answer = wsgiref.validate.validator(app)(environ, lambda status, headers, *_: got.append((status, headers)))
        body = b"".join(answer)
        answer.close()
        status, headers = got[0]
        return int(status.split()[0]), {name.lower(): value for name, value in headers}, body

    def asgi(self, app, query="", **environ):
        headers = [(name.removeprefix("HTTP_").lower().replace("_", "-").encode(), value.encode())
                   for name, value in environ.items() if name.startswith("HTTP_")]
        scope = {"type": "http", "path": "/metrics", "query_string": query.encode(), "headers": headers}
        sent = []

        async def receive():
            return {"type": "http.request"}

        async def send(message):
            sent.append(message)
        asyncio.run(app(scope, receive, send))
        return (sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]},
                sent[1]["body"])

    def each_way(self):
        yield "wsgi", shmetrics.make_wsgi_app, self.wsgi
        yield "asgi", shmetrics.make_asgi_app, self.asgi

    def test_format_families_and_coding_are_those_that_were_asked_for(self):
        for name, make, ask in self.each_way():
            with self.subTest(name):
                app = make()
                status, headers, body = ask(app)
                self.assertEqual((200, shmetrics.CONTENT_TYPE_LATEST, str(len(body))),
                                 (status, headers["content-type"], headers["content-length"]))
                self.assertEqual(samples(), samples_of(body.decode()))
                _, headers, body = ask(app, HTTP_ACCEPT="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
                self.assertIn("openmetrics", headers["content-type"])
                found = samples_of(body.decode(), parse=prometheus_client.openmetrics.parser)
                self.assertEqual(3, found["served_total"])
                _, _, body = ask(app, "name[]=served_total&name%5B%5D=served_bytes_count")
                self.assertEqual({"served_total": 3, "served_bytes_count": 1, "served_bytes_sum": 2},
                                 samples_of(body.decode()))
                self.assertEqual(400, ask(app, "name[]=%00")[0])
                _, headers, body = ask(app, HTTP_ACCEPT_ENCODING="br, gzip;q=0.5")
                self.assertEqual("gzip", headers["content-encoding"])
                self.assertEqual(samples(), samples_of(gzip.decompress(body).decode()))
                _, headers, _ = ask(make(disable_compression=True), HTTP_ACCEPT_ENCODING="gzip")
                self.assertNotIn("content-encoding", headers)

    def test_a_token_is_asked_for_where_there_is_one(self):
        for name, make, ask in self.each_way():
            with self.subTest(name):
                for bad in ("", ",", "short", '"quoted-token"', "${METRICS_TOKEN}", "two words!"):
                    with self.assertRaisesRegex(ValueError, "8 characters"):
                        make(token=bad)
                app = make(token=f"other-token, {TOKEN}")
                self.assertEqual(200, ask(app, HTTP_AUTHORIZATION=f"bearer {TOKEN}")[0])
                self.assertEqual(401, ask(app, HTTP_AUTHORIZATION=f"Basic {TOKEN}")[0])
                for given, wanted in ((TOKEN, 200), ("other-token", 200), ("wrong", 401), ("", 401), (TOKEN + "x", 401),
                                      ("é", 401)):
                    status, headers, body = ask(app, HTTP_AUTHORIZATION=f"Bearer {given}")
                    self.assertEqual((wanted, wanted == 401), (status, "www-authenticate" in headers), given)
                    self.assertEqual(wanted == 200, b"served_total" in body)
                self.assertEqual(401, ask(app)[0])
                os.environ["METRICS_TOKEN"] = ""
                self.assertRaises(ValueError, make)
                os.environ["METRICS_TOKEN"] = TOKEN
                self.addCleanup(os.environ.pop, "METRICS_TOKEN", None)
                self.assertEqual(401, ask(make())[0])
                self.assertEqual(200, ask(make(), HTTP_AUTHORIZATION=f"Bearer {TOKEN}")[0])
                del os.environ["METRICS_TOKEN"]
                self.assertEqual(200, ask(make())[0])

    def test_asgi_is_for_http(self):
        with self.assertRaisesRegex(ValueError, "websocket"):
            asyncio.run(shmetrics.make_asgi_app()({"type": "websocket"}, None, None))

    def test_a_segment_that_cannot_be_read_is_a_503_that_says_why(self):
        registry = Registry(segments.new_directory() / "short.seg")
        os.truncate(registry.path, 4096)
        for name, make, ask in self.each_way():
            with self.subTest(name):
                status, _, body = ask(make(registry))
                self.assertEqual((503, True), (status, b"truncated" in body))

    def test_a_server_of_its_own_answers_by_a_thread_and_a_taken_port_is_an_oserror(self):
        server, thread = shmetrics.start_http_server(0, "127.0.0.1", token=TOKEN)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request) as answer:
            self.assertEqual(3, samples_of(answer.read().decode())["served_total"])
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url)
        self.assertEqual(401, refused.exception.code)
        refused.exception.close()
        with self.assertRaises(OSError):
            shmetrics.start_http_server(server.server_port, "127.0.0.1")
        self.assertTrue(thread.daemon)


if __name__ == "__main__":
    unittest.main()
