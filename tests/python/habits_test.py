"""What users of prometheus_client do out of habit: it works as there, or says by name why it does not."""
import copy
import grp
import os
import pickle
import subprocess
import sys
import unittest

import segments
from segments import samples

import prometheus_client.openmetrics.parser

from shmetrics import Counter, Gauge, Histogram, Info, Registry, Summary


class PythonHabits(unittest.TestCase):
    longMessage = False

    def refuses(self, error, words, function):
        with self.assertRaises(error) as caught:
            function()
        self.assertIn(words, str(caught.exception))

    def test_a_metric_cannot_be_pickled_or_copied_into_one_that_counts_nowhere(self):
        metrics = [Counter("pickled", "Pickled"), Gauge("pickled_gauge", "Pickled", ["x"]),
                   Histogram("pickled_seconds", "Pickled", ["x"]).labels("a"), Summary("pickled_bytes", "Pickled")]
        for metric in metrics:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                self.refuses(TypeError, "cannot be pickled", lambda: pickle.dumps(metric, protocol))
            self.refuses(TypeError, "cannot be pickled", lambda: copy.copy(metric))

    def test_a_gauge_is_set_to_what_float_takes(self):
        gauge = Gauge("texts", "Texts", multiprocess_mode="max")
        gauge.set("5.5")
        self.assertEqual(5.5, samples()["texts"])
        self.refuses(ValueError, "could not convert", lambda: gauge.set("five"))
        self.refuses(TypeError, "float", lambda: gauge.set(None))
        self.refuses(TypeError, "str", lambda: gauge.inc("5"))
        self.assertEqual(5.5, samples()["texts"])

    def test_a_gauge_of_the_most_recent_value_cannot_be_added_to(self):
        for mode in ("mostrecent", "livemostrecent"):
            for gauge in (Gauge(f"{mode}_a", "Recent", multiprocess_mode=mode),
                          Gauge(f"{mode}_b", "Recent", ["x"], multiprocess_mode=mode).labels("a")):
                for add in (gauge.inc, gauge.dec, gauge.track_inprogress().__enter__):
                    self.refuses(RuntimeError, "mostrecent", add)
                gauge.set(3)
            self.assertEqual({3}, set(samples(prefix=mode).values()))

    def test_info_takes_values_of_any_type(self):
        Info("typed", "Typed").info({"number": 5, "none": None, "text": "a"})
        self.assertEqual({'typed_info{none="None",number="5",text="a"}': 1}, samples(prefix="typed"))

    def test_a_group_is_named_or_numbered(self):
        mine = grp.getgrgid(os.getegid())
        for group in (mine.gr_name, mine.gr_gid):
            path = Registry(segments.new_directory() / "group.seg", group=group, mode=0o660).path
            self.assertEqual((mine.gr_gid, 0o660), (os.stat(path).st_gid, os.stat(path).st_mode & 0o777))
        self.refuses(ValueError, "no group 'nobody there'",
                     lambda: Registry(segments.new_directory() / "group.seg", group="nobody there"))

    def test_lenient_naming_takes_the_names_of_other_programs_and_both_formats_can_be_read(self):
        registry = Registry(segments.new_directory() / "lenient.seg")
        more = {"registry": registry, "naming": "lenient"}
        Gauge("nodejs_active_handles_total", "Handles", multiprocess_mode="max", **more).set(5)
        Gauge("queue_count", "", multiprocess_mode="max", **more).set(6)
        Gauge("process_open_fds", "Open", multiprocess_mode="max", **more).set(7)
        Gauge("vllm:num_requests_running", "Running", multiprocess_mode="max", registry=registry).set(8)
        Counter("vllm:tokens", "Tokens", registry=registry).inc(9)
        wanted = {"nodejs_active_handles_total": 5, "queue_count": 6, "process_open_fds": 7,
                  "vllm:num_requests_running": 8, "vllm:tokens_total": 9}
        self.assertEqual(wanted, samples(registry.path))
        text = segments.dump(registry.path, "openmetrics")
        self.assertEqual(wanted, segments.samples_of(text, parse=prometheus_client.openmetrics.parser))
        self.assertNotIn("# HELP queue_count", text + segments.dump(registry.path, "text"))
        self.refuses(ValueError, "must not end in '_total': use 'x'", lambda: Gauge("x_total", "X"))
        self.refuses(ValueError, "already produces", lambda: Gauge("vllm:tokens_created", "Created", **more))
        self.refuses(ValueError, "strict, lenient", lambda: Gauge("x", "X", naming="loose"))

    def runs(self, program, **environment):
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False,
                              env={**segments.ENVIRONMENT, **environment})

    def test_a_segment_that_cannot_be_opened_is_said_once_a_process(self):
        result = self.runs("import shmetrics as s\nfor i in range(50): s.Counter(f'a{i}', 'A').inc()\nprint('served')",
                           SHMETRICS_SEGMENT="/none/there/test.seg")
        self.assertEqual((0, "served\n"), (result.returncode, result.stdout))
        self.assertEqual(1, result.stderr.count("/none/there"), result.stderr)
        self.assertEqual(1, result.stderr.count("RuntimeWarning"), result.stderr)

    def test_a_refused_declaration_is_said_once_and_not_on_stderr_as_well(self):
        result = self.runs("import shmetrics as s\ns.Counter('a', 'A').inc()\ns.Counter('a', 'A', ['other'])",
                           SHMETRICS_SEGMENT=str(segments.new_directory() / "a.seg"))
        self.assertEqual(0, result.returncode, result.stderr)
        lines = [line for line in result.stderr.splitlines() if "RuntimeWarning" in line]
        self.assertEqual((1, 0), (len(lines), result.stderr.count("shmetrics: ")), result.stderr)

    def test_a_segment_that_comes_later_is_opened_by_a_later_declaration(self):
        folder = segments.new_directory() / "later"
        result = self.runs("import os, time, warnings, shmetrics as s\nwarnings.simplefilter('ignore')\n"
                           "s.Counter('early', 'Early').inc()\n"
                           f"os.mkdir('{folder}'); time.sleep(1.1)\ns.Counter('late', 'Late').inc()",
                           SHMETRICS_SEGMENT=str(folder / "a.seg"))
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertEqual({"late_total": 1}, samples(folder / "a.seg"))

    def package_whose_core_is(self, content):
        package = segments.new_directory() / "shmetrics"
        package.mkdir()
        for source in (segments.PACKAGE / "shmetrics").glob("*.py"):
            (package / source.name).write_text(source.read_text())
        if content is not None:
            (package / "_core.abi3.so").write_bytes(content)
        return self.runs("import shmetrics", PYTHONPATH=str(package.parent)).stderr

    def test_a_package_without_its_core_says_what_to_build(self):
        said = self.package_whose_core_is(None)
        self.assertIn("ImportError: shmetrics._core is not built", said)
        self.assertIn("shmetrics_python", said)

    def test_a_core_that_cannot_be_loaded_says_why(self):
        said = self.package_whose_core_is(b"of another machine")
        self.assertIn("ImportError: shmetrics._core cannot be loaded here", said)
        self.assertIn("too short", said)
        self.assertNotIn("is not built", said)


if __name__ == "__main__":
    unittest.main()
