"""Drives every flag, status and exit code of shmetrics-exporter, as an outside script would. The tables are the
contract: a flag in --help that no table knows is a failure here.

usage: programs_test.py SHMETRICS_EXPORTER SHMETRICS CONTRACT_WORKER
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import stat
import sys
import time
import unittest

import programs
from live_page import LivePage
from programs import TOKEN, Exporter, Programs, flags_of, run
from self_metrics import ALWAYS, SelfMetrics  # noqa: F401  (its tests run with these)
from tool_cases import Tool  # noqa: F401

BEARER = ("Authorization", "Bearer " + TOKEN)
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OPENMETRICS = ("Accept", "application/openmetrics-text;version=1.0.0")


def status(flags, target="/metrics", headers=(), **options):
    """The status of one request to an exporter of its own."""
    with programs.folder() as directory, Exporter(directory, *flags, **options) as exporter:
        return exporter.get(target, headers).status


def has_own_metrics(flags):
    with programs.folder() as directory, Exporter(directory, *flags) as exporter:
        return "shmetrics_exporter_" in exporter.scrape()


def coding(flags):
    """Of a response to one who asks for gzip."""
    with programs.folder() as directory, Exporter(directory, *flags) as exporter:
        return exporter.get("/metrics", [BEARER, ("Accept-Encoding", "gzip")], "HEAD").getheader("Content-Encoding")


def has_created_series(flags):
    with programs.folder() as directory, programs.worker(directory + "/a.seg"):
        with Exporter(directory, *flags, segment=directory + "/a.seg") as exporter:
            return '\napp_jobs_created{queue="mail"} ' in exporter.get("/metrics", [BEARER, OPENMETRICS]).text


def has_worker_processes(flags):
    with programs.folder() as directory, programs.worker(directory + "/a.seg"):
        with Exporter(directory, *flags, segment=directory + "/a.seg") as exporter:
            return '\nshmetrics_worker_threads{worker="0"} 1\n' in exporter.scrape()


def wants_systemd(flags):
    """Without a socket passed it does not start, with an address or without."""
    try:
        return status(flags, "/-/ready") != 200
    except AssertionError as error:
        return "systemd passed no socket" in str(error)


# name -> (what it does when on, when off, its default); each is asked with --x, with --no-x and with neither.
SWITCHES = {
    "web.localhost-bypass": (lambda flags: status(flags), 200, 401, True),
    "web.query-token": (lambda flags: status(flags, "/metrics?token=" + TOKEN), 200, 401, True),
    "web.disable-exporter-metrics": (has_own_metrics, False, True, False),
    "web.compression": (coding, "gzip", None, True),
    "web.ui": (lambda flags: [status(flags, path) for path in LivePage.PATHS], [200, 200], [404, 404], True),
    "web.created-series": (has_created_series, True, False, False),
    "collector.worker-process": (has_worker_processes, True, False, False),
    "web.systemd-socket": (wants_systemd, True, False, False),
}


def serves_path(flag):
    with programs.folder() as directory, Exporter(directory, *flag("/some/where")) as exporter:
        return [exporter.get(path, [BEARER]).status for path in ("/some/where", "/metrics", "/api/metrics")]


def serves_segment(flag):
    with programs.folder() as directory, programs.worker(directory + "/a.seg"):
        with Exporter(directory, *flag(directory + "/a.seg")) as exporter:
            return "shmetrics_segment_up 1\n" in exporter.scrape()


def listens(flag):
    with programs.folder() as directory, Exporter(directory, *flag(f"unix:{directory}/other.sock")) as exporter:
        exporter.socket = directory + "/other.sock"
        mode = stat.S_IMODE(os.stat(exporter.socket).st_mode)
        return exporter.get("/-/ready").status, oct(mode)


def log_lines(*flags):
    with programs.folder() as directory:
        with Exporter(directory, *flags) as exporter:
            exporter.scrape()
        return exporter.log().splitlines()


def levels_logged(flag):
    return {re.search(r"level=(\w+)", line).group(1) for line in log_lines(*flag("warn"))}


def logs_json(flag):
    return all({"ts", "level", "msg"} <= set(json.loads(line)) for line in log_lines(*flag("json")))


def takes_token_file(flag):
    with programs.folder() as directory:
        pathlib.Path(directory + "/tokens").write_text("# rotated weekly\n\nanother-token-of-length\r\n" + TOKEN)
        flags = [*flag(directory + "/tokens"), "--no-web.localhost-bypass"]
        with Exporter(directory, *flags, token="third-token-of-length") as exporter:
            return [exporter.get("/metrics", [("Authorization", "Bearer " + token)]).status
                    for token in (TOKEN, "another-token-of-length", "third-token-of-length", "# rotated weekly")]


def connections_closed(reason, act, *flags):
    """Whether a limit closed some, after `act` has done what reaches it; asked until it has."""
    with programs.folder() as directory, Exporter(directory, *flags) as exporter:
        act(exporter)
        name = f'shmetrics_exporter_connections_closed_total{{reason="{reason}"}} '
        deadline = time.monotonic() + programs.TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if name + "0\n" not in exporter.scrape():
                    return True
        return False


def hoard_connections(exporter):
    """Three of a limit of two: the third is closed."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            peer = stack.enter_context(socket.socket(socket.AF_UNIX))
            peer.settimeout(programs.TIMEOUT_SECONDS)
            peer.connect(exporter.socket)
        assert peer.recv(1) == b""


def wait_for_the_end(exporter, request):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(programs.TIMEOUT_SECONDS)
        peer.connect(exporter.socket)
        peer.sendall(request)
        while peer.recv(65536):
            pass


def stays_silent(exporter):
    wait_for_the_end(exporter, b"GET /metr")


def stays_idle(exporter):
    wait_for_the_end(exporter, b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n")


def takes_nothing(exporter):
    """Asks for more than the kernel keeps for it, and reads none of it, until it is closed."""
    request = f"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode() * 30_000
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(programs.TIMEOUT_SECONDS)
        peer.connect(exporter.socket)
        with contextlib.suppress(OSError):
            peer.sendall(request)


def leaves_out_series(flag):
    with programs.folder() as directory, programs.worker(directory + "/a.seg"):
        with Exporter(directory, *flag("16"), segment=directory + "/a.seg") as exporter:
            scrape = exporter.scrape()
            left_out = re.search(r'^shmetrics_quarantined\{what="series"\} [1-9]', scrape, re.MULTILINE)
            return left_out is not None, "--web.max-response-bytes" in exporter.log()


def takes_web_config(flag):
    with programs.folder() as directory:
        pathlib.Path(directory + "/web.yml").write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
        with Exporter(directory, *flag(directory + "/web.yml")) as exporter:
            return exporter.get("/metrics").getheader("X-Frame-Options")


# name -> (what it does with a value, expected); `flag(value)` is either spelling.
VALUES = {
    "segment": (serves_segment, True),
    "segment.owner": (lambda flag: [status(flag(n), headers=[BEARER]) for n in ("root", "12001")], [200] * 2),
    "segment.group": (lambda flag: [status(flag(n), headers=[BEARER]) for n in ("root", "12001")], [200] * 2),
    "web.listen-address": (listens, (200, "0o660")),
    "web.telemetry-path": (serves_path, [200, 200, 404]),
    "web.config.file": (takes_web_config, "deny"),
    "web.token-file": (takes_token_file, [200, 200, 200, 401]),
    "web.max-connections": (
        lambda flag: connections_closed("max_connections", hoard_connections, *flag("2")), True),
    "web.max-connections-per-peer": (
        lambda flag: connections_closed("max_connections_per_peer", hoard_connections, *flag("2")), True),
    "web.header-timeout": (lambda flag: connections_closed("header_timeout", stays_silent, *flag("100ms")), True),
    "web.idle-timeout": (lambda flag: connections_closed("idle_timeout", stays_idle, *flag("100ms")), True),
    "web.write-timeout": (lambda flag: connections_closed("write_timeout", takes_nothing, *flag("100ms")), True),
    # That scrapes are refused takes slow readers: tests/exporter/scrape_test.cpp.
    "web.max-requests": (lambda flag: [status(flag(n), headers=[BEARER]) for n in ("0", "1", "65536")], [200] * 3),
    "web.max-inflight-bytes": (lambda flag: [status(flag(n), headers=[BEARER]) for n in ("64K", "1G")], [200] * 2),
    "web.max-response-bytes": (leaves_out_series, (True, True)),
    "log.level": (levels_logged, {"warn"}),
    "log.format": (logs_json, True),
}

# What ends with exit code 2, whatever else is on the line.
WRONG_LINES = [
    ["--web.max-requests"], ["--web.max-requests=-1"], ["--web.max-requests=many"], ["--web.max-requests=65537"],
    ["--no-web.max-requests"], ["--web.max-inflight-bytes=0"], ["--web.max-response-bytes=0"],
    ["--web.max-response-bytes=1T"], ["--web.max-response-bytes=1.5M"], ["--web.compression=no"],
    ["--no-web.created-series=1"], ["--unknown"], ["--web.unknown=1"], ["stray"], ["--web"], ["-x"],
    ["--web.listen-addres=:1"], ["--no-segment"], ["--no-log.level"], ["--web.query-token=false"],
    ["--web.query-token", "true"], ["--segment.owner=no-such-user"], ["--segment.group=no-such-group"],
    ["--segment"], ["--segment="], ["--segment", "a/x.seg", "--segment", "b/x.seg"], ["--segment", "=x.seg"],
    ["--segment", "a=x.seg", "--segment=a=y.seg"], ["--segment", "a=*.seg"],
    ["--web.max-connections=0"], ["--web.max-connections=many"], ["--web.max-connections-per-peer=-1"],
    ["--web.header-timeout=0s"], ["--web.idle-timeout=60"], ["--web.write-timeout=1y"],
    ["--log.level"], ["--log.level=loud"], ["--log.level=INFO"],
    ["--log.level=info", "--log.level=warn"], ["--log.format=xml"],
    ["--web.listen-address"], ["--web.listen-address=5000"], ["--web.listen-address=a:70000"],
    ["--web.listen-address=unix:relative"], ["--web.listen-address=unix:/" + "x" * 120],
    ["--web.telemetry-path=metrics"], ["--web.telemetry-path=/metrics/"], ["--web.telemetry-path=/-/m"],
    ["--web.telemetry-path=/a?b"],
]

# method, target, headers -> status, then headers of the response, of an exporter with a token and no bypass.
REQUESTS = [
    ("GET", "/-/healthy", [], 200, {"Content-Type": PLAIN}),
    ("GET", "/-/ready", [], 200, {"Content-Type": PLAIN}),
    ("HEAD", "/-/ready", [], 200, {"Content-Type": PLAIN}),
    ("GET", "/metrics", [], 401, {"WWW-Authenticate": 'Bearer realm="shmetrics"', "Content-Type": PLAIN}),
    ("GET", "/nowhere", [], 401, {"Allow": None}),
    ("POST", "/metrics", [], 401, {"Allow": None}),
    ("POST", "/-/healthy", [], 401, {"Allow": None}),
    ("GET", "/", [], 401, {}),
    ("GET", "/metrics", [BEARER], 200, {"Content-Type": TEXT}),
    ("GET", "/api/metrics", [BEARER], 200, {"Content-Type": TEXT}),
    ("HEAD", "/api/metrics", [BEARER], 200, {"Content-Type": TEXT}),
    ("GET", "/metrics", [BEARER, OPENMETRICS], 200, {"Content-Type": OPENMETRICS_TYPE, "Content-Encoding": None}),
    ("HEAD", "/metrics", [BEARER, OPENMETRICS, ("Accept-Encoding", "gzip")], 200,
     {"Content-Type": OPENMETRICS_TYPE, "Content-Encoding": "gzip", "Vary": "Accept, Accept-Encoding"}),
    ("GET", "/metrics?name[]=shmetrics_segment_up", [BEARER], 200, {"Content-Type": TEXT}),
    ("GET", "/metrics", [BEARER, ("X-Prometheus-Scrape-Timeout-Seconds", "1e-12")], 503, {"Retry-After": "1"}),
    ("GET", "/api/metrics/", [BEARER], 404, {"Content-Type": PLAIN}),
    ("GET", "/metrics", [("authorization", "bEARER " + TOKEN)], 200, {"Content-Type": TEXT}),
    ("GET", "/metrics", [("Authorization", "Bearer wrong")], 401, {}),
    ("GET", "/metrics", [("Authorization", "Basic " + TOKEN)], 401, {}),
    ("GET", "/metrics", [("Authorization", "Bearer " + TOKEN + "x")], 401, {}),
    ("GET", "/metrics", [("Authorization", TOKEN)], 401, {}),
    ("GET", "/metrics", [BEARER, BEARER], 401, {}),
    ("GET", "/metrics?token=" + TOKEN, [], 200, {"Content-Type": TEXT}),
    ("GET", "/metrics?token=" + TOKEN.replace("-", "%2D"), [], 200, {"Content-Type": TEXT}),
    ("GET", "/metrics?token=wrong", [], 401, {}),
    ("GET", f"/metrics?token={TOKEN}&token={TOKEN}", [], 401, {}),
    ("GET", "/metrics?token=" + TOKEN, [BEARER], 401, {}),
    ("GET", "/nowhere", [BEARER], 404, {"Content-Type": PLAIN}),
    ("POST", "/nowhere", [BEARER], 404, {}),
    ("POST", "/metrics", [BEARER], 405, {"Allow": "GET, HEAD"}),
    ("DELETE", "/", [BEARER], 405, {"Allow": "GET, HEAD"}),
    ("PUT", "/-/healthy", [BEARER], 405, {"Allow": "GET, HEAD"}),
    ("GET", "/", [BEARER], 200, {"Content-Type": HTML}),
]


class ExporterFlags(unittest.TestCase):
    def test_help_and_version_go_to_stdout(self):
        for flag in ("--help", "-h", "--version"):
            result = run(Programs.exporter, flag)
            self.assertEqual((0, ""), (result.returncode, result.stderr), flag)
        self.assertRegex(run(Programs.exporter, "--version").stdout, r"\Ashmetrics-exporter, version \d+\.\d+\.\d+")

    def test_every_flag_of_the_help_is_driven_here(self):
        known = {("[no-]", name) for name in SWITCHES} | {("", name) for name in [*VALUES, "help", "version"]}
        self.assertEqual(known, flags_of(run(Programs.exporter, "--help").stdout))

    def test_switches_have_two_forms_and_a_default(self):
        for name, (act, on, off, default) in SWITCHES.items():
            with self.subTest(name):
                self.assertEqual(on, act(["--" + name]))
                self.assertEqual(off, act(["--no-" + name]))
                self.assertEqual(on if default else off, act([]))
                self.assertEqual(off, act(["--" + name, "--no-" + name]), "the last one wins")

    def test_values_come_after_an_equals_sign_or_a_blank(self):
        for name, (act, expected) in VALUES.items():
            with self.subTest(name):
                self.assertEqual(expected, act(lambda value, name=name: [f"--{name}={value}"]))
                self.assertEqual(expected, act(lambda value, name=name: ["--" + name, value]))

    def test_a_wrong_command_line_is_2_and_one_line_on_stderr(self):
        for arguments in WRONG_LINES:
            with self.subTest(arguments):
                result = run(Programs.exporter, *arguments)
                self.assertEqual((2, ""), (result.returncode, result.stdout))
                self.assertRegex(result.stderr, r"\Ashmetrics-exporter: [^\n]+\n\Z")

    def test_a_start_that_fails_is_1_and_one_line_on_stderr(self):
        with programs.folder() as directory, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            mine = f"127.0.0.1:{taken.getsockname()[1]}"
            pathlib.Path(directory + "/file").write_text("no socket")
            for address in (mine, "203.0.113.1:0", f"unix:{directory}/no/such/a.sock", f"unix:{directory}/file"):
                result = run(Programs.exporter, "--web.listen-address", address)
                self.assertEqual((1, ""), (result.returncode, result.stdout), address)
                self.assertRegex(result.stderr, r"\A[^\n]+\n\Z")
                self.assertIn(address, result.stderr)
        for tokens in ("two words", "a" * 1025, "caf\u00e9", "seven77", '"quoted-token"', "undefined", "${TOKEN}-long"):
            environment = programs.clean_environment(METRICS_TOKEN="fine-token-of-length," + tokens)
            result = run(Programs.exporter, env=environment)
            self.assertEqual((1, ""), (result.returncode, result.stdout), tokens)
            self.assertRegex(result.stderr, r"\A[^\n]+\n\Z")
            self.assertNotIn(tokens, result.stderr)

    def test_signals_end_it_with_0_and_nothing_is_on_stdout(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with programs.folder() as directory, Exporter(directory) as exporter:
                exporter.process.send_signal(number)
                self.assertEqual(0, exporter.process.wait(programs.TIMEOUT_SECONDS))
                self.assertEqual(b"", exporter.process.stdout.read())

    def test_the_default_segment_is_the_clients(self):
        with programs.folder() as directory, programs.worker(directory + "/a.seg"):
            with Exporter(directory, SHMETRICS_SEGMENT=directory + "/a.seg") as exporter:
                self.assertIn("\nshmetrics_segment_up 1\n", exporter.scrape())

    def test_several_segments_are_told_apart_by_a_label(self):
        # What is given with --segment -> the names of the segments; one plain path has none.
        cases = [(["{}/a.seg"], [None]), (["{}/a.seg", "{}/b.seg"], ["a", "b"]), (["{}/*.seg"], ["a", "b"]),
                 (["first={}/a.seg"], ["first"]), (["{}/a.seg", "x={}/b.seg"], ["a", "x"])]
        with programs.folder() as directory, programs.worker(directory + "/a.seg"), \
                programs.worker(directory + "/b.seg"):
            for given, names in cases:
                flags = [word for segment in given for word in ("--segment", segment.format(directory))]
                with self.subTest(given), Exporter(directory, *flags) as exporter:
                    scrape = exporter.scrape()
                    for name in names:
                        alone, first = (f'{{segment="{name}"}}', f'segment="{name}",') if name else ("", "")
                        self.assertIn(f"\nshmetrics_segment_up{alone} 1\n", scrape)
                        self.assertIn(f'\napp_jobs_total{{{first}queue="mail"}} 3\n', scrape)
                    self.assertEqual(len(names), scrape.count("\nshmetrics_segment_up"))
                    self.assertEqual(1, scrape.count("# TYPE app_jobs_total "))


class ExporterRequests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = programs.folder()
        cls.addClassCleanup(directory.cleanup)
        cls.exporter = Exporter(directory.name, "--no-web.localhost-bypass", segment=directory.name + "/none.seg")
        cls.exporter.__enter__()
        cls.addClassCleanup(cls.exporter.__exit__)

    def test_each_request_gets_its_status_and_headers(self):
        for method, target, headers, expected, expected_headers in REQUESTS:
            with self.subTest(f"{method} {target} {headers}"):
                response = self.exporter.get(target, headers, method)
                self.assertEqual(expected, response.status)
                for name, value in expected_headers.items():
                    self.assertEqual(value, response.getheader(name), name)
                self.assertEqual("no-store", response.getheader("Cache-Control"))
                if method == "HEAD":
                    self.assertEqual("", response.text)

    def test_health_says_ok_and_every_refusal_says_the_same(self):
        self.assertEqual("ok\n", self.exporter.get("/-/healthy").text)
        self.assertEqual("ok\n", self.exporter.get("/-/ready").text)
        bodies = {self.exporter.get(target, headers, method).text
                  for method, target, headers, expected, _ in REQUESTS if expected == 401}
        self.assertEqual(1, len(bodies), bodies)

    def test_what_is_malformed_is_400_and_the_connection_closes(self):
        for request in (b"GET\r\n\r\n", b"GET /metrics HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00\r\n\r\n",
                        b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
                        b"GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                        b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
            with self.subTest(request):
                self.assertRegex(self.exporter.raw(request), rb"\AHTTP/1\.[01] 400 ")

    def test_a_missing_segment_is_no_error(self):
        scrape = self.exporter.scrape()
        self.assertIn("\nshmetrics_segment_up 0\n", scrape)
        for name in ALWAYS:
            self.assertIn(f"# TYPE {name} ", scrape)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    Programs.worker, Programs.shmetrics, Programs.exporter = sys.argv.pop(), sys.argv.pop(), sys.argv.pop()
    unittest.main()
