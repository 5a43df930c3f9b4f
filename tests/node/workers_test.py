"""Workers of node's cluster and threads of worker_threads: what they have counted is never lost, however they end.

usage: workers_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import concurrent.futures
import json
import os
import random
import signal
import subprocess
import threading
import time
import unittest

import node

node.skip_without("prom-client")
from node import deaths_in, free_port, get  # noqa: E402
from segments import new_directory, samples, samples_of, workers  # noqa: E402


class Server:
    """server.js with its four workers."""

    def __init__(self, segment):
        self.port = free_port()
        self.process = node.start(segment, node.HERE / "server.js", self.port)

    def end(self):
        self.process.communicate(timeout=60)
        return self.process.returncode

    def kill(self):
        self.process.kill()
        if not self.process.stdin.closed:
            self.process.communicate()


class NodeCluster(unittest.TestCase):
    def setUp(self):
        self.segment = new_directory() / "test.seg"
        self.server = Server(self.segment)
        self.addCleanup(self.server.kill)

    def counted(self):
        return sum(samples(self.segment, "app_requests_total").values())

    def test_killed_and_recycled_workers_lose_no_answer_and_whichever_answers_never_shows_less(self):
        paths = ["/work"] * 400 + ["/die"] * 4 + ["/leave"] * 5
        random.Random(1).shuffle(paths)
        shown, is_over = [], threading.Event()

        def scrape():
            while not is_over.is_set():
                text = get(self.server.port, "/metrics")
                if text is not None:
                    found = samples_of(text, "app_request")
                    shown.append((sum(value for name, value in found.items() if name.startswith("app_requests_total")),
                                  sum(value for name, value in found.items() if "_seconds_count" in name)))

        scraper = threading.Thread(target=scrape)
        scraper.start()
        with concurrent.futures.ThreadPoolExecutor(6) as clients:
            answers = list(clients.map(lambda path: get(self.server.port, path, 10), paths))
        is_over.set()
        scraper.join()
        answered = sum(answer is not None for answer in answers)
        self.assertGreater(answered, 350)
        # Not each /die is a kill: its connection may have been given to a worker that another one has killed.
        kills = samples(self.segment)['app_requests_total{route="/die"}']
        self.assertGreater(kills, 1)
        self.assertLessEqual(answered + kills, self.counted())
        self.assertLessEqual(self.counted(), len(paths))
        self.assertGreater(len(shown), 5)
        self.assertEqual(shown, sorted(shown), "less than before")
        for counts in zip(*shown):
            self.assertEqual(list(counts), sorted(counts))
        self.assertEqual({worker["program"] for worker in workers(self.segment)}, {"server.js"})
        self.assertEqual(self.server.end(), 0)
        self.assertEqual(deaths_in(self.segment), kills, "only kills are deaths")
        self.assertEqual(samples(self.segment)["app_active"], 0)

    def test_kills_from_outside_lose_at_most_what_was_not_answered(self):
        is_over = threading.Event()
        answers, unanswered = [], []

        def load():
            while not is_over.is_set():
                answer = get(self.server.port, "/work", 3)
                (unanswered if answer is None else answers).append(answer)

        clients = [threading.Thread(target=load) for _ in range(4)]
        for each in clients:
            each.start()
        for _ in range(4):
            time.sleep(0.3)
            os.kill(int(get(self.server.port, "/work") or 0) or self.server.process.pid, signal.SIGKILL)
        time.sleep(0.3)
        is_over.set()
        for each in clients:
            each.join()
        acknowledged = len(answers) + 4
        self.assertLessEqual(acknowledged, self.counted())
        self.assertLessEqual(self.counted(), acknowledged + len(unanswered))


class NodeEnds(unittest.TestCase):
    def deaths_after(self, program, *arguments):
        segment = new_directory() / "test.seg"
        source = ("const client = require('@shmetrics/prom-client');"
                  "new client.Counter({ name: 'a_total', help: 'A' }).inc();"
                  "new client.Gauge({ name: 'a', help: 'A', mode: 'max' }).set(1);" + program)
        subprocess.run([node.NODE, "-e", source, *arguments], env=node.environment(segment), capture_output=True,
                       timeout=60)
        self.assertEqual(samples(segment)["a_total"], 1)
        return deaths_in(segment)

    def test_a_process_that_leaves_in_order_is_no_death(self):
        for program in ("", "process.exit(3);", "throw new Error('expected');",
                        "process.on('SIGTERM', () => process.exit()); setInterval(() => 0, 1000);"
                        "process.kill(process.pid, 'SIGTERM');",
                        "client.releaseWorker(); process.kill(process.pid, 'SIGKILL');",
                        "client.register.metrics().then(() => process.exit()); client.register.metrics();"):
            with self.subTest(program):
                self.assertEqual(self.deaths_after(program), 0)

    def test_a_signal_without_a_handler_is_a_death(self):
        for name in ("SIGTERM", "SIGKILL"):
            with self.subTest(name):
                self.assertEqual(self.deaths_after(f"process.kill(process.pid, '{name}');"), 1)

    def test_programs_that_are_run_leave_no_death_and_no_worker(self):
        self.assertEqual(self.deaths_after("for (let i = 0; i < 20; i += 1)"
                                           "require('child_process').execFileSync('/bin/true');"), 0)


SHARED = """
const cluster = require('cluster');
if (cluster.isPrimary) {
  cluster.fork().on('message', () => cluster.fork({ REMOVES: 1 }).on('message', text => {
    console.log(text);
    process.exit();
  }));
} else {
  const client = require('@shmetrics/prom-client');
  const gauges = ['shared', 'sum'].map(name => new client.Gauge({ name, help: 'G', labelNames: ['x'], mode: name }));
  gauges.forEach(gauge => (process.env.REMOVES ? gauge.remove('a') : gauge.set({ x: 'a' }, 5)));
  client.register.metrics().then(text => process.send(text));
  process.on('disconnect', () => process.exit());
}
"""


class NodeShared(unittest.TestCase):
    def test_a_shared_value_is_removed_for_all_and_any_other_for_this_worker(self):
        program = new_directory() / "shared.js"
        program.write_text(SHARED)
        shown = node.run(program.with_name("test.seg"), program)[0]
        self.assertEqual(samples_of(shown), {'sum{x="a"}': 5})


REFUSED = """
const client = require('@shmetrics/prom-client');
const updates = { Counter: 'inc', Gauge: 'inc', Histogram: 'observe', Summary: 'observe' };
const metrics = [];
for (const [kind, update] of Object.entries(updates)) {
  const Kind = client[process.argv[1] === 'new' ? kind : kind === 'Summary' ? 'Gauge' : 'Summary'];
  const name = kind.toLowerCase();
  metrics.push([new Kind({ name, help: 'H', aggregator: 'max' }), update]);
  const labelled = new Kind({ name: `${name}_of_path`, help: 'H', labelNames: ['path'], aggregator: 'max' });
  metrics.push([labelled, update, { path: '/' }], [labelled.labels('/kept'), update]);
}
const count = () => metrics.forEach(([metric, update, ...labels]) => metric[update](...labels, 1));
if (process.argv[1] === 'new') count();
console.log('declared');
setInterval(process.argv[1] === 'new' ? count : () => undefined, 50);
"""


# Label sets that are new while the file system is full, and afterwards the same once more.
FULL = """
const client = require('@shmetrics/prom-client');
const fs = require('fs');
const counter = new client.Counter({ name: 'a_total', help: 'A', labelNames: ['p'], seriesLimit: 100000 });
const filler = fs.openSync(process.argv[1], 'w');
try { for (;;) fs.writeSync(filler, Buffer.alloc(4096)); } catch (error) { console.log(error.code); }
for (let i = 0; i < 20000; i += 1) counter.inc({ p: i });
fs.ftruncateSync(filler);
const isShown = text => text.includes('{p="19999"}');
(async () => {
  if (isShown(await client.register.metrics())) throw new Error('there was room');
  for (let i = 0; i < 600 && !isShown(await client.register.metrics()); i += 1) {
    counter.inc({ p: 19999 });
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  console.log(isShown(await client.register.metrics()));
})();
"""


class NodeFull(unittest.TestCase):
    def test_what_had_no_room_gets_a_series_when_there_is_room_again(self):
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
            self.skipTest("NOT TESTED: needs root, to mount a small file system")
        folder = new_directory()
        command = f"mount -t tmpfs -o size=1200k none {folder} && exec {node.NODE} -e \"$0\" {folder}/filler"
        done = subprocess.run(["unshare", "--mount", "sh", "-c", command, FULL], text=True, capture_output=True,
                              env=node.environment(folder / "test.seg"), timeout=120)
        self.assertEqual((done.stdout.split(), done.stderr), (["ENOSPC", "true"], ""))


class NodeRefused(unittest.TestCase):
    def start(self, segment, which):
        process = node.start(segment, "-e", REFUSED, which, flags=["--no-warnings"])
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "declared\n")
        return process

    def test_what_is_refused_beside_a_worker_of_another_kind_counts_when_that_has_ended(self):
        segment = new_directory() / "test.seg"
        old = self.start(segment, "old")
        self.start(segment, "new")
        old.kill()
        parts = {"counter": "_total", "gauge": "", "histogram": "_count", "summary": "_count"}
        wanted = {f"{kind}{of}{part}{labels}" for kind, part in parts.items()
                  for of, labels in (("", ""), ("_of_path", '{path="/"}'), ("_of_path", '{path="/kept"}'))}
        for _ in range(600):
            shown = samples(segment)
            missing = [name for name in wanted if not shown.get(name)]
            if not missing:
                return
            time.sleep(0.05)
        self.fail(f"{missing} is not in {shown}")


THREADS = """
const { Worker, isMainThread, threadId, parentPort } = require('worker_threads');
function work(isEndless) {
  const client = require('@shmetrics/prom-client');
  const counter = new client.Counter({ name: 'threads_total', help: 'Threads', labelNames: ['endless'] });
  const seconds = new client.Histogram({ name: 'threads_seconds', help: 'Threads' });
  const child = counter.labels(isEndless);
  for (let i = 0; i < 1000; i += 1) { child.inc(); seconds.observe(0.5); }
  client.register.metrics().then(() => undefined);
  parentPort.postMessage('counted');
  while (isEndless) for (let i = 0; i < 1000; i += 1) child.inc();
}
async function main() {
  for (let i = 0; i < 12; i += 1) {
    const worker = new Worker(`(${work})(${i % 2 === 1}); `.replace(/^/, HEAD), { eval: true });
    const exited = new Promise(resolve => worker.on('exit', resolve)); // it may come with the last message
    await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    await (i % 2 === 1 ? worker.terminate() : exited);
  }
  const client = require('@shmetrics/prom-client');
  console.log(JSON.stringify(await client.register.getMetricsAsJSON()));
}
const HEAD = "const { parentPort } = require('worker_threads');";
main();
"""


class NodeThreads(unittest.TestCase):
    def test_threads_that_end_or_are_terminated_lose_nothing_and_crash_nothing(self):
        segment = new_directory() / "test.seg"
        written, _ = node.run(segment, "-e", THREADS)
        self.assertEqual(len(json.loads(written)), 2, "the main thread has seen all of them end")
        found = samples(segment, "threads")
        self.assertEqual(found['threads_total{endless="false"}'], 6000)
        self.assertGreaterEqual(found['threads_total{endless="true"}'], 6000)
        self.assertEqual(found["threads_seconds_count"], 12000)
        self.assertEqual(deaths_in(segment), 0)


if __name__ == "__main__":
    unittest.main()
