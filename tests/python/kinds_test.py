"""What is made of the four kinds: Enum, the interpreter's own metrics; and what cannot be, and says where to go."""
import gc
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import unittest

import segments
from segments import samples

import prometheus_client

import shmetrics
from shmetrics import Counter, Enum, Gauge, Histogram, Registry, Summary


class PythonEnum(unittest.TestCase):
    longMessage = False

    def test_it_shows_the_state_as_prometheus_client_does_and_that_of_the_worker_that_set_it_last(self):
        states = ["starting", "running", "stopped"]
        theirs = prometheus_client.CollectorRegistry()
        for client, more in ((prometheus_client, {"registry": theirs}), (shmetrics, {})):
            plain = client.Enum("enum_plain", "Plain", states=states, **more)
            labelled = client.Enum("task", "Task", ["queue", "host"], "enum", states=states, **more)
            for state in ("running", "stopped"):
                plain.state(state)
            labelled.labels("mail", "a").state("running")
            labelled.labels(host="b", queue="mail").state("starting")
        wanted = segments.samples_of(prometheus_client.generate_latest(theirs).decode(), "enum_")
        self.assertEqual(9, len(wanted))
        self.assertEqual(wanted, samples(prefix="enum_"))
        self.assertEqual(0, os.waitpid(segments.forked(lambda: plain.state("starting")), 0)[1])
        found = samples(prefix="enum_plain")
        self.assertEqual({'enum_plain{enum_plain="stopped"}': 1, 'enum_plain{enum_plain="starting"}': 0,
                          'enum_plain{enum_plain="running"}': 0}, found, "the other worker has ended")

    def test_it_can_show_how_many_workers_are_in_which_state(self):
        crowd = Enum("crowd", "Crowd", states=["busy", "idle"], multiprocess_mode="livesum")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            crowd.state("idle")
            os.write(writer, b".")
            signal.pause()
        os.read(reader, 1)
        crowd.state("busy")
        self.assertEqual({'crowd{crowd="busy"}': 1, 'crowd{crowd="idle"}': 1}, samples(prefix="crowd"))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.assertEqual({'crowd{crowd="busy"}': 1, 'crowd{crowd="idle"}': 0}, samples(prefix="crowd"))

    def test_it_refuses_what_prometheus_client_refuses(self):
        for client, more in ((prometheus_client, {"registry": prometheus_client.CollectorRegistry()}), (shmetrics, {})):
            for mistake in (lambda: client.Enum("e", "E", **more), lambda: client.Enum("e", "E", states=[], **more),
                            lambda: client.Enum("e", "E", ["e"], states=["a"], **more),
                            lambda: client.Enum("e1", "E", states=["a"], **more).state("b"),
                            lambda: client.Enum("e2", "E", ["x"], states=["a"], **more).state("a"),
                            lambda: client.Enum("e3", "E", ["x"], states=["a"], **more).labels("a", "b"),
                            lambda: client.Enum("e4", "E", ["x"], states=["a"], **more).labels(y="a")):
                with self.subTest(client=client.__name__), self.assertRaises(ValueError):
                    mistake()


class PythonInterpreter(unittest.TestCase):
    longMessage = False

    def test_collections_of_garbage_by_all_workers_are_counted_once_it_is_asked_for(self):
        registry = Registry(segments.new_directory() / "gc.seg")
        self.assertEqual({}, samples(registry.path))
        callbacks = len(gc.callbacks)
        for _ in range(2):
            shmetrics.watch_interpreter(registry)
        self.assertEqual(callbacks + 1, len(gc.callbacks))
        self.addCleanup(gc.callbacks.pop)
        before = samples(registry.path)

        def collect():
            circle = []
            circle.append(circle)
            del circle
            gc.collect(2)
        collect()
        self.assertEqual(0, os.waitpid(segments.forked(collect), 0)[1])
        found = samples(registry.path)
        collections = 'python_gc_collections_total{generation="2"}'
        self.assertEqual(2, found[collections] - before[collections])
        collected = 'python_gc_objects_collected_total{generation="2"}'
        self.assertGreaterEqual(found[collected] - before[collected], 2)
        self.assertEqual(0, found['python_gc_objects_uncollectable_total{generation="2"}'])
        info = [name for name in found if name.startswith("python_info")]
        self.assertEqual(1, len(info))
        self.assertIn(f'version="{platform.python_version()}"', info[0])
        theirs = {sample.name for collector in (prometheus_client.GC_COLLECTOR, prometheus_client.PLATFORM_COLLECTOR)
                  for family in collector.collect() for sample in family.samples}
        self.assertEqual(theirs, {name.split("{")[0] for name in found})


class PythonElsewhere(unittest.TestCase):
    longMessage = False

    def test_what_cannot_work_is_an_exception_that_names_the_way(self):
        counter, gauge = Counter("elsewhere", "Elsewhere", ["x"]), Gauge("elsewhere_gauge", "Elsewhere", ["x"])
        for call, way in (
                (lambda: shmetrics.push_to_gateway("localhost:9091", job="a"), "shmetrics-exporter"),
                (lambda: shmetrics.pushadd_to_gateway("localhost:9091", "a", shmetrics.REGISTRY), "generate_latest"),
                (lambda: shmetrics.delete_from_gateway("localhost:9091", job="a"), "shmetrics-exporter"),
                (lambda: shmetrics.write_to_textfile("a.prom", shmetrics.REGISTRY), "generate_latest"),
                (lambda: shmetrics.REGISTRY.register(object()), r"set\(\) a Gauge"),
                (lambda: shmetrics.REGISTRY.unregister(counter), r"set\(\) a Gauge"),
                (lambda: gauge.labels("a").set_function(lambda: 1), r"set\(\) a Gauge"),
                (lambda: gauge.clear(), "remove"), (lambda: counter.remove("a"), "rate"),
                (lambda: counter.reset(), "rate"), (lambda: Summary("elsewhere_b", "B").clear(), "rate"),
                (lambda: Histogram("elsewhere_c", "C").clear(), "rate")):
            with self.assertRaisesRegex(NotImplementedError, way):
                call()


class PythonSubinterpreters(unittest.TestCase):
    longMessage = False

    def outcome(self, is_isolated):
        # The module of the standard library is not public: its name and its verbs differ by release.
        program = f'''
try:
    import _xxsubinterpreters as made
except ImportError:
    import _interpreters as made
code = """
try:
    import shmetrics
    shmetrics.Counter("inner", "Inner").inc()
    print("counted", flush=True)
except ImportError as error:
    print(error, flush=True)
"""
if hasattr(made, "new_config"):
    made.exec(made.create("isolated" if {is_isolated} else "legacy"), code)
else:
    made.run_string(made.create(isolated={is_isolated}), code)
'''
        return subprocess.run([sys.executable, "-c", program], env=segments.ENVIRONMENT, capture_output=True, text=True,
                              timeout=60, check=True).stdout

    def test_one_that_shares_the_lock_counts_and_an_isolated_one_is_told(self):
        self.assertEqual("counted\n", self.outcome(False))
        self.assertEqual(1, samples()["inner_total"])
        if sys.version_info >= (3, 12):  # before, all share the lock
            self.assertIn("does not support loading in subinterpreters", self.outcome(True))


class PythonProgram(unittest.TestCase):
    longMessage = False

    def program(self, *arguments):
        segment = segments.new_directory() / "program.seg"
        subprocess.run([sys.executable, *arguments], check=True, timeout=60, cwd=segment.parent, env={
            **segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(segment),
            "PYTHONPATH": f"{segments.PACKAGE}:{self.folder}"})
        (worker,) = segments.workers(segment)
        return worker["program"]

    def test_a_worker_is_called_as_its_script_or_module(self):
        self.folder = segments.new_directory()
        text = "import shmetrics; shmetrics.Counter('a', 'A').inc()"
        (self.folder / "crunch.py").write_text(text)
        (self.folder / "crunch_package").mkdir()
        (self.folder / "crunch_package/__main__.py").write_text(text)
        command = self.folder / "crunchd"
        command.write_text(f"#!{sys.executable}\n{text}")
        command.chmod(0o755)
        self.assertEqual("crunch.py", self.program(self.folder / "crunch.py"))
        self.assertEqual("crunch", self.program("-m", "crunch"))
        self.assertEqual("crunch_package", self.program("-m", "crunch_package"))
        self.assertEqual("crunchd", self.program("-m", "shmetrics.as_prometheus_client", command))
        self.assertEqual(os.path.basename(sys.executable), self.program("-c", text))


class PythonSize(unittest.TestCase):
    longMessage = False

    def test_the_line_of_the_page_makes_a_file_whose_limits_all_programs_keep(self):
        page = (pathlib.Path(__file__).parents[2] / "docs/operations.md").read_text()
        (line,) = re.findall(r"^`python3 -c '(.*cells=262144.*)'`", page, re.MULTILINE)
        segment = segments.new_directory() / "metrics.seg"
        for text in (line.replace("/run/app/metrics.seg", str(segment)),
                     "import shmetrics; shmetrics.Counter('sized', 'Sized').inc()"):
            subprocess.run([sys.executable, "-c", text], check=True, timeout=60,
                           env={**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(segment)})
        self.assertEqual(1, samples(segment)["sized_total"])
        self.assertIn("of 262144\n", segments.dump(segment, "table"))


if __name__ == "__main__":
    unittest.main()
