"""Programs and middleware that import prometheus_client by name count into the segment, unchanged."""
import os
import subprocess
import sys
import textwrap
import unittest

import segments

PROGRAM = """
    import os
    from prometheus_client import (REGISTRY, CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary,
                                   generate_latest, make_wsgi_app, multiprocess)
    from prometheus_client.core import Counter as SameCounter
    from prometheus_client.metrics import Histogram as SameHistogram

    assert SameCounter is Counter and SameHistogram is Histogram
    hits = Counter("hits", "Hits", ["path"], registry=REGISTRY)
    gauge = Gauge("handles_total", "", multiprocess_mode="livesum")
    seconds = Histogram("seconds", "Seconds", buckets=[1, 2])
    for child in range(3):
        if os.fork() == 0:
            hits.labels("/").inc()
            seconds.observe(1.5)
            os._exit(0)
        os.wait()
    gauge.set(4)
    Enum("state", "State", states=["up", "down"]).state("up")
    local = Counter("local", "Local", registry=None)
    local.inc()
    assert local.collect()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    multiprocess.mark_process_dead(1)
    assert b"hits_total" in make_wsgi_app(registry, True)({"PATH_INFO": "/"}, lambda *_: None)[0]
    assert b"hits_total" in make_wsgi_app(registry=registry)({"PATH_INFO": "/"}, lambda *_: None)[0]
    assert REGISTRY.get_sample_value("hits_total", {"path": "/"}) == 3
    assert REGISTRY.get_sample_value("seconds_bucket", {"le": "2.0"}) == 3
    assert {"hits", "handles_total", "seconds"} <= {metric.name for metric in REGISTRY.collect()}
    print(generate_latest(registry).decode(), end="")
    print("--")
    print(generate_latest().decode(), end="")
    print("--")
    print(generate_latest(REGISTRY).decode(), end="")
"""
OF_ALL = {'hits_total{path="/"}': 3, "handles_total": 4, 'seconds_bucket{le="2"}': 3}


class PythonStandIn(unittest.TestCase):
    longMessage = False

    def runs(self, *arguments, program=PROGRAM, **environment):
        segment = segments.new_directory() / "stand_in.seg"
        script = segment.with_suffix(".py")
        script.write_text(textwrap.dedent(program))
        result = subprocess.run([sys.executable, *arguments, script], capture_output=True, text=True, timeout=120,
                                check=False, env={**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(segment),
                                                  "PROMETHEUS_MULTIPROC_DIR": str(segment.parent), **environment})
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertEqual([], list(segment.parent.glob("*.db")), "files of its own")
        return [segments.samples_of(text) for text in result.stdout.split("--\n")], segment

    def test_one_import_before_all_others_is_enough(self):
        (multiprocess, default, with_own), segment = self.runs(
            program="import shmetrics.as_prometheus_client\n" + textwrap.dedent(PROGRAM))
        for shown in (multiprocess, default, with_own):
            self.assertEqual(OF_ALL, {name: shown[name] for name in OF_ALL})
            self.assertNotIn("process_cpu_seconds_total", shown, "of one worker of many")
            self.assertNotIn("local_total", shown)
        self.assertEqual(1, with_own['state{state="up"}'], "what this package lacks is prometheus_client's")
        found = segments.samples(segment)
        self.assertEqual((3, 0), (found['hits_total{path="/"}'], found["handles_total"]), "a live gauge has ended")

    def test_a_command_is_run_so_without_any_change(self):
        folder = segments.new_directory()
        command = folder / "program"
        command.write_text(f"#!{sys.executable}\n" + textwrap.dedent(PROGRAM))
        command.chmod(0o755)
        result = subprocess.run([sys.executable, "-m", "shmetrics.as_prometheus_client", "program"], text=True,
                                capture_output=True, timeout=120, check=False,
                                env={**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(folder / "a.seg"),
                                     "PATH": f"{folder}:{os.environ['PATH']}"})
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual(3, segments.samples_of(result.stdout.split("--\n")[1])['hits_total{path="/"}'])
        for arguments, words in (((), "usage"), (("no-such-command",), "no command no-such-command")):
            failed = subprocess.run([sys.executable, "-m", "shmetrics.as_prometheus_client", *arguments], text=True,
                                    capture_output=True, timeout=60, check=False, env=segments.ENVIRONMENT)
            self.assertEqual((1, True), (failed.returncode, words in failed.stderr), failed.stderr)

    def test_where_the_real_one_is_not_installed_its_name_is_ours(self):
        (shown,), _ = self.runs(program="""
            import sys
            sys.modules["prometheus_client"] = None
            del sys.modules["prometheus_client"]
            class Hidden:
                def find_spec(self, name, path=None, target=None):
                    if name == "prometheus_client":
                        raise ImportError(name)
            sys.meta_path.insert(0, Hidden())
            import shmetrics.as_prometheus_client
            from prometheus_client import Counter, CollectorRegistry, generate_latest
            from prometheus_client.multiprocess import MultiProcessCollector
            Counter("hits", "Hits").inc()
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
            print(generate_latest(registry).decode(), end="")
            """)
        self.assertEqual({"hits_total": 1}, shown)


if __name__ == "__main__":
    unittest.main()
