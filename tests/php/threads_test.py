"""A PHP with threads (ZTS): each thread has its own families and slot, and all of them count in one segment.

usage: threads_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS; with the php and php-config of a build that has
threads and the embed SAPI
"""
import pathlib
import subprocess
import sys
import unittest

import phps

phps.skip_without("cc", "php", "php-config")
if subprocess.run(["php", "-n", "-r", "exit(PHP_ZTS ? 0 : 1);"], check=False).returncode != 0:
    print("skipped: this PHP has no threads")
    sys.exit(77)
from segments import PACKAGE, deaths_in, new_directory, samples, samples_of, workers  # noqa: E402

THREADS, REQUESTS = 8, 25
SCRIPT = """
    $c = Shmetrics\\counter('hits_total', 'Hits', ['n']);
    for ($i = 0; $i < 100; ++$i) { $c->inc([$i % 7]); }
    Shmetrics\\update(['name' => 'hits_total', 'help' => 'Hits', 'type' => 'counter', 'labelNames' => ['n'],
        'labelValues' => ['adapter'], 'value' => 1, 'command' => 1]);
    Shmetrics\\gauge('level', 'Level')->add(1);
    foreach ([[1, 2], [1, 4]] as $bounds) { Shmetrics\\histogram('seconds', 'S', [], $bounds)->observe(1.5); }
    Shmetrics\\render(); Shmetrics\\families();
"""


class PhpThreads(unittest.TestCase):
    def config(self, what):
        return subprocess.run(["php-config", what], capture_output=True, text=True, check=True).stdout.split()

    def served(self, script, last):
        """The segment after all threads, and what the last script wrote."""
        folder = new_directory()
        segment, program = folder / "test.seg", folder / "threads"
        library = pathlib.Path(self.config("--prefix")[0]) / "lib"
        subprocess.run(["cc", "-Wall", "-Werror", *(flag.replace("-I", "-isystem", 1) for flag in
                                                     self.config("--includes")),
                        phps.HERE / "threads.c", "-o", program, f"-L{library}", f"-Wl,-rpath,{library}", "-lphp",
                        "-pthread"], check=True)
        (folder / "php.ini").write_text(f"extension={PACKAGE}/shmetrics.so\nshmetrics.segment={segment}\n")
        done = subprocess.run([program, folder / "php.ini", str(THREADS), str(REQUESTS), script, last],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return segment, done.stdout + done.stderr

    def test_threads_that_serve_at_once_lose_nothing(self):
        segment, said = self.served(SCRIPT, "echo Shmetrics\\render();")
        found = samples(segment)
        self.assertEqual(samples_of(said), found)
        requests = THREADS * REQUESTS
        self.assertEqual(sum(found[f'hits_total{{n="{i}"}}'] for i in range(7)), 100 * requests)
        self.assertEqual(found['hits_total{n="adapter"}'], requests)
        self.assertEqual(found["level"], requests)
        self.assertEqual(found["seconds_count"], 2 * requests, "two generations")

    def test_threads_are_one_worker_that_ends_in_order(self):
        segment, _ = self.served("Shmetrics\\counter('hits_total', 'Hits')->inc();", "1;")
        self.assertEqual(len(workers(segment)), 1)
        self.assertEqual(deaths_in(segment), 0)

    def test_a_thread_that_only_looks_sees_what_the_others_have_counted(self):
        _, said = self.served("Shmetrics\\counter('hits_total', 'Hits')->inc();",
                              "echo Shmetrics\\families()['hits_total']['samples'][0]['value'];")
        self.assertEqual(said, str(THREADS * REQUESTS))


if __name__ == "__main__":
    unittest.main()
