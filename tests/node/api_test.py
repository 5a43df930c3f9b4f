"""The package's names: what they do as prom-client does, and what they do otherwise.

usage: api_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import difflib
import json
import pathlib
import re
import tempfile
import unittest

import node

node.skip_without("prom-client")
import segments  # noqa: E402
from segments import new_directory, samples_of  # noqa: E402

import prometheus_client.openmetrics.parser
import prometheus_client.parser  # noqa: E402


def new_segment():
    return new_directory() / "test.seg"


def values_of(metrics):
    """{(name, labels): value} of getMetricsAsJSON(), without what docs/node.md says is otherwise: labels that miss are
    "" here, all are texts, and there are no quantiles."""
    found = {}
    for metric in metrics:
        for value in metric["values"]:
            labels = {name: text(label) for name, label in value.get("labels", {}).items()}
            if "quantile" not in labels:
                key = tuple(sorted((name, label) for name, label in labels.items() if label != ""))
                found[value.get("metricName") or metric["name"], key] = float(value["value"])
    return found


def text(label):
    """A label as JavaScript writes it."""
    return label if isinstance(label, str) else json.dumps(label)


def same(left, right):
    return left == right or (left != left and right != right) or abs(left - right) <= 1e-9 * abs(left)


class NodeDifferential(unittest.TestCase):
    maxDiff = None

    def test_generated_programs_throw_and_show_the_same_as_under_prom_client(self):
        self.compare("prom-client")

    def test_generated_programs_throw_and_show_the_same_as_under_its_successor(self):
        self.compare("@prometheus-io/client", NODE_PATH=node.path_without("prom-client"))

    def compare(self, peer, **more):
        seed, count = 20, 300
        ours, theirs = (json.loads(node.run(new_segment(), node.HERE / "generated.js", package, seed, count, **more)[0])
                        for package in ("@shmetrics/prom-client", peer))
        self.assertFalse(list(difflib.unified_diff(theirs["errors"], ours["errors"], "theirs", "ours", n=0)))
        self.assertGreater(len(theirs["errors"]), 100)
        mine, peers = (values_of(run["json"]) for run in (ours, theirs))
        self.assertFalse(sorted(mine.keys() ^ peers.keys()))
        self.assertGreater(len(mine), 1000)
        wrong = {key: (mine[key], peers[key]) for key in mine if not same(mine[key], peers[key])}
        self.assertFalse(wrong)
        heads = ("name", "help", "type")
        self.assertEqual(sorted(tuple(metric[head] for head in heads) for metric in ours["json"]),
                         sorted(tuple(metric[head] for head in heads) for metric in theirs["json"]))
        for form, parser in (("text", prometheus_client.parser), ("openmetrics", prometheus_client.openmetrics.parser)):
            # OpenMetrics has no sum of what may be negative.
            shown = [name for name in samples_of(ours[form], parse=parser) if not re.search("_(sum|count)({|$)", name)]
            self.assertEqual(len(shown), sum(not name.endswith(("_sum", "_count")) for name, _ in mine), form)


class NodeNames(unittest.TestCase):
    def setUp(self):
        self.segment = new_segment()

    def evaluate(self, program, **more):
        return node.evaluate(self.segment, program, **more)

    def test_metrics_are_instances_of_the_classes_of_prom_client(self):
        found, _ = self.evaluate("""
            const peer = require('prom-client');
            const kinds = ['Counter', 'Gauge', 'Histogram', 'Summary'];
            const made = kinds.map(kind => new client[kind]({ name: `${kind}_x`, help: 'X' }) instanceof peer[kind]);
            const missing = Object.keys(peer).filter(name => !(name in client));
            return [new client.Registry() instanceof peer.Registry, missing, ...made];""")
        self.assertEqual(found, [True, [], True, True, True, True])

    def test_a_histogram_that_the_segment_does_not_take_stays_in_the_process_and_is_said_once(self):
        found, warnings = self.evaluate("""
            const buckets = client.linearBuckets(0, 1, 100);
            const many = new client.Histogram({ name: 'many', help: 'Many', buckets });
            many.observe(50);
            return client.register.metrics();""")
        self.assertEqual(samples_of(found)['many_bucket{le="50"}'], 1)
        self.assertEqual(warnings.count("many stays in each process"), 1)
        self.assertEqual(segments.samples(self.segment), {})

    def test_names_are_as_prom_client_takes_them(self):
        for _ in range(2):
            found, warnings = self.evaluate("""
                new client.Counter({ name: 'jobs', help: 'Jobs' }).inc(3);
                new client.Gauge({ name: 'open_total', help: 'Open' }).set(5);
                new client.Gauge({ name: 'process_odd', help: 'Odd', mode: 'max' }).set(7);
                new client.Histogram({ name: 'time:spent', help: 'Spent', buckets: [1] }).observe(1);
                const text = await client.register.metrics();
                client.register.setContentType(client.openMetricsContentType);
                return [text, await client.register.metrics()];""")
        shown = samples_of(found[0])
        self.assertEqual([shown[name] for name in ("jobs_total", "process_odd", "time:spent_count")], [6, 7, 2])
        self.assertEqual(warnings, "")
        self.assertIn("# TYPE jobs counter\njobs 6\n", found[0])
        self.assertIn("\nopen_total 0\n", segments.dump(self.segment, "text"), "a gauge of workers that have ended")
        self.assertEqual(samples_of(found[1], parse=prometheus_client.openmetrics.parser)["jobs"], 6)

    def test_what_cannot_be_is_said_once_and_changes_nothing(self):
        found, warnings = self.evaluate("""
            const counter = new client.Counter({ name: 'a_total', help: 'A', labelNames: ['x'] });
            counter.inc({ x: 1 }, 2);
            counter.remove(1); counter.remove(1); counter.reset();
            new client.Summary({ name: 's', help: 'S', percentiles: [0.5] }).observe(1);
            client.register.resetMetrics();
            client.register.setDefaultLabels({ app: 'late' });
            return client.register.metrics();""")
        self.assertEqual(samples_of(found), {'a_total{x="1"}': 2, "s_sum": 1, "s_count": 1})
        for said in ("a_total: a label set cannot be removed", "a_total: what the workers have counted cannot be reset",
                     "s: percentiles are left out", "a_total does not get them"):
            self.assertEqual(warnings.count(said), 1, said)

    def test_a_registry_shows_its_own_metrics_and_the_global_one_what_is_nowhere_else(self):
        self.evaluate("new client.Counter({ name: 'of_another_total', help: 'Of another worker' }).inc(5);")
        found, _ = self.evaluate("""
            const other = new client.Registry();
            new client.Counter({ name: 'own_total', help: 'Own', registers: [other] }).inc();
            new client.Counter({ name: 'global_total', help: 'Global' }).inc();
            new client.Counter({ name: 'gone_total', help: 'Gone' }).inc();
            new client.Counter({ name: 'local_total', help: 'Local', registers: [] }).inc();
            new client.Gauge({ name: 'left_out', help: 'Left out', aggregator: 'omit' }).set(4);
            client.register.removeSingleMetric('gone_total');
            const registries = [client.register, other, client.Registry.merge([client.register, other]),
                new client.AggregatorRegistry()];
            const names = text => text.split('\\n').filter(line => /^[a-z]/.test(line));
            const found = await Promise.all(registries.map(async registry => names(await registry.metrics())));
            return [...found, names(await new client.AggregatorRegistry().clusterMetrics())];""")
        of_global = ["global_total 1", "of_another_total 5", "left_out 4"]
        self.assertEqual(found[0], of_global)
        self.assertEqual(found[1], ["own_total 1"])
        self.assertEqual(sorted(found[2]), sorted(of_global + ["own_total 1"]))
        self.assertEqual(found[4], ["of_another_total 5"])
        self.assertNotIn("local_total", segments.samples(self.segment))
        self.assertNotIn("left_out", segments.samples(self.segment))

    def test_callbacks_run_before_a_reading_and_are_awaited(self):
        found, _ = self.evaluate("""
            new client.Gauge({ name: 'now', help: 'Now', collect() { this.set(1); } });
            const late = new client.Gauge({ name: 'late', help: 'Late',
                async collect() { await new Promise(resolve => setTimeout(resolve, 20)); this.inc(); } });
            const text = await client.register.metrics();
            return [text, (await late.get()).values, await client.register.getSingleMetricAsString('now')];""")
        self.assertEqual(samples_of(found[0]), {"now": 1, "late": 1})
        self.assertEqual(found[1], [{"value": 2, "labels": {}}])
        self.assertEqual(found[2], "# HELP now Now\n# TYPE now gauge\nnow 1")

    def test_default_labels_are_declared_with_what_is_made_after_them(self):
        found, _ = self.evaluate("""
            client.register.setDefaultLabels({ app: 'crm', zone: 1 });
            new client.Counter({ name: 'plain_total', help: 'Plain' }).inc();
            const labelNames = ['x', 'zone'];
            const labelled = new client.Counter({ name: 'labelled_total', help: 'Labelled', labelNames });
            labelled.inc({ x: 1 }); labelled.labels('b', 2).inc();
            return client.register.metrics();""")
        self.assertEqual(samples_of(found), {
            'plain_total{app="crm",zone="1"}': 1,
            'labelled_total{app="crm",x="1",zone="1"}': 1, 'labelled_total{app="crm",x="b",zone="2"}': 1})

    def test_a_label_set_that_is_removed_from_a_gauge_is_shown_no_more_until_it_is_set(self):
        found, warnings = self.evaluate("""
            const peers = new client.Gauge({ name: 'peers', help: 'P', labelNames: ['x'], mode: 'livemax' });
            const busy = new client.Gauge({ name: 'busy', help: 'B' });
            new client.Gauge({ name: 'sums', help: 'S', labelNames: ['x'] }).remove('never');
            peers.set({ x: 'a' }, 1); peers.set({ x: 'b' }, 2); peers.set({ x: 'c' }, 3); busy.set(4);
            peers.remove('a'); peers.remove({ x: 'b' }); peers.remove('never');
            const removed = await client.register.metrics();
            peers.inc({ x: 'b' });
            const again = await client.register.metrics();
            peers.reset(); busy.reset();
            return [removed, again, await client.register.metrics()];""")
        self.assertEqual([samples_of(text) for text in found], [
            {'peers{x="c"}': 3, "busy": 4}, {'peers{x="b"}': 1, 'peers{x="c"}': 3, "busy": 4}, {"busy": 0}])
        self.assertEqual(warnings, "")

    def test_default_metrics_have_their_names_and_a_series_a_worker(self):
        program = """
            const cluster = require('cluster');
            if (cluster.isPrimary) {
              for (let i = 0; i < 2; i += 1) cluster.fork();
              const texts = [];
              cluster.on('message', (worker, text) => {
                texts.push(text);
                if (texts.length === 2) worker.send('show');
                if (texts.length === 3) { console.log(text); process.exit(); }
              });
            } else {
              const client = require('@shmetrics/prom-client');
              client.collectDefaultMetrics();
              const show = async () => process.send(await client.register.metrics());
              process.on('message', show);
              show();
            }"""
        with tempfile.NamedTemporaryFile("w", suffix=".js") as file:
            file.write(program)
            file.flush()
            written, warnings = node.run(self.segment, file.name)
        shown = samples_of(written)
        for gauge in ("process_resident_memory_bytes", "nodejs_heap_size_used_bytes", "process_start_time_seconds",
                      "nodejs_active_handles_total", "nodejs_eventloop_lag_mean_seconds"):
            of_workers = [value for name, value in shown.items() if name.startswith(gauge + "{worker=")]
            self.assertEqual(len(of_workers), 2, gauge)
            self.assertFalse([value for value in of_workers if value < 0], gauge)  # NaN is a mean of nothing
        self.assertGreater(shown["process_cpu_seconds_total"], 0)
        self.assertIn("nodejs_eventloop_lag_max_seconds", shown)
        self.assertEqual(len([name for name in shown if name.startswith("nodejs_version_info")]), 1)
        self.assertEqual(warnings, "")

    def test_default_metrics_may_have_labels_of_the_program(self):
        found, warnings = self.evaluate("""
            client.collectDefaultMetrics({ labels: { worker: 3 }, prefix: 'crm_' });
            return client.register.metrics();""")
        self.assertIn('crm_process_resident_memory_bytes{worker="3"}', samples_of(found))
        self.assertEqual(warnings, "")
        for config in ("5", "'text'"):
            with self.assertRaisesRegex(AssertionError, "config must be null, undefined, or an object"):
                self.evaluate(f"client.collectDefaultMetrics({config});")

    def test_a_registry_may_have_a_segment_of_its_own(self):
        other = new_segment()
        for _ in range(2):
            found, _ = self.evaluate(f"""
                const own = client.registryOf('{other}');
                new client.Counter({{ name: 'a_total', help: 'A' }}).inc();
                new client.Counter({{ name: 'b_total', help: 'B', registers: [own] }}).inc(5);
                const again = client.registryOf('{other}');
                const merged = client.Registry.merge([own, client.register]);
                return Promise.all([client.register, own, again, merged].map(registry => registry.metrics()));""")
        self.assertEqual([samples_of(text) for text in found], [{"a_total": 2}, {"b_total": 10}, {},
                                                                {"a_total": 2, "b_total": 10}])
        self.assertEqual((segments.samples(self.segment), segments.samples(other)), ({"a_total": 2}, {"b_total": 10}))

    def test_a_segment_of_its_own_that_cannot_be_opened_leaves_the_metrics_in_the_process(self):
        found, warnings = self.evaluate("""
            const own = client.registryOf('/proc/none.seg');
            new client.Counter({ name: 'b_total', help: 'B', registers: [own] }).inc(5);
            return own.metrics();""")
        self.assertEqual((samples_of(found), segments.samples(self.segment)), ({"b_total": 5}, {}))
        self.assertEqual(warnings.count("metrics of this segment stay in each process"), 1)

    def test_aggregators_are_modes_of_gauges(self):
        self.evaluate("""
            for (const aggregator of ['sum', 'min', 'max', 'first', 'average']) {
              new client.Gauge({ name: aggregator, help: 'G', aggregator }).set(1);
            }
            new client.Gauge({ name: 'kept', help: 'G', mode: 'mostrecent' }).set(1);
            new client.Gauge({ name: 'one', help: 'G', mode: 'shared' }).set(1);""")
        modes = {family["name"]: family["mode"]
                 for family in json.loads(segments.dump(self.segment, "json"))["families"]}
        self.assertEqual(modes, {"sum": "livesum", "min": "livemin", "max": "livemax", "first": "livemostrecent",
                                 "average": "liveall", "kept": "mostrecent", "one": "shared"})
        with self.assertRaisesRegex(AssertionError, "has no mode 'most'"):
            self.evaluate("""
                try { new client.Gauge({ name: 'odd', help: 'G', mode: 'most' }); } catch (refused) {}
                new client.Gauge({ name: 'odd', help: 'G', mode: 'most' }); // the name was not taken before
                """)

    def test_a_label_set_that_is_zeroed_again_and_again_is_one_series(self):
        found, _ = self.evaluate("""
            const zeroed = new client.Histogram({ name: 'zeroed', help: 'Z', labelNames: ['x'] });
            const index = () => { zeroed.zero({ x: 'a' }); return zeroed._family.child({ x: 'a' }).index; };
            const first = index();
            for (let i = 0; i < 1000; i += 1) index();
            return [first, index()];""")
        self.assertEqual(found[0], found[1])
        self.assertGreater(found[0], 0)
        self.assertEqual(segments.samples(self.segment)['zeroed_count{x="a"}'], 0)

    def test_label_sets_without_bound_share_a_series_and_cost_no_memory(self):
        found, _ = self.evaluate("""
            const many = new client.Counter({ name: 'many_total', help: 'Many', labelNames: ['x'], seriesLimit: 10 });
            const heap = () => { gc(); return process.memoryUsage().heapUsed; };
            for (let i = 0; i < 10000; i += 1) many.inc({ x: i });
            const before = heap();
            for (let i = 10000; i < 1000000; i += 1) many.inc({ x: `value ${i}` });
            many.inc({ x: { toString: () => '0' } });
            return heap() - before;""", flags=["--expose-gc"])
        self.assertLess(found, 1_000_000, "not a byte a label set; the heap alone moves by a third of it")
        counted = segments.samples(self.segment)
        self.assertEqual(counted['many_total{x="0"}'], 2)
        self.assertEqual(counted['many_total{x="__overflow__"}'], 999990)

    def test_copies_of_the_package_in_a_process_count_in_the_same_family(self):
        found, _ = self.evaluate("""
            const copies = [client];
            for (let i = 0; i < 9; i += 1) {
              for (const name of Object.keys(require.cache)) {
                if (name.includes('@shmetrics')) delete require.cache[name];
              }
              copies.push(require('@shmetrics/prom-client'));
            }
            for (const copy of copies) new copy.Counter({ name: 'copies_total', help: 'Copies' }).inc(2);
            return [new Set(copies).size, await client.register.metrics(), await copies[9].register.metrics()];""")
        self.assertEqual(found[0], 10)
        self.assertEqual([samples_of(text) for text in found[1:]], [{"copies_total": 20}] * 2)

    def test_a_reading_that_fails_rejects_and_is_no_empty_page(self):
        found, _ = self.evaluate("""
            new client.Counter({ name: 'a_total', help: 'A' }).inc();
            const fs = require('fs');
            for (const fd of fs.readdirSync('/proc/self/fd')) {
              let target = '';
              try { target = fs.readlinkSync(`/proc/self/fd/${fd}`); } catch { continue; }
              if (target === process.env.SHMETRICS_SEGMENT) fs.closeSync(Number(fd));
            }
            fs.unlinkSync(process.env.SHMETRICS_SEGMENT);
            return client.register.metrics().then(() => 'shown', error => `${error.name}: ${error.message}`);""")
        self.assertRegex(found, "^Error: there is no descriptor")

    def test_any_label_value_is_counted(self):
        self.evaluate(r"""
            const odd = new client.Counter({ name: 'odd_total', help: 'Odd', labelNames: ['x'] });
            const values = ['\ud800', 'a\0b', 'ä'.repeat(513), 'ä'.repeat(512), null, Symbol.iterator];
            for (const x of values) odd.inc({ x });""")
        self.assertEqual(sorted(segments.samples(self.segment).values()), [1, 1, 1, 1, 2])

    def test_a_segment_that_cannot_be_opened_leaves_prom_client_itself_and_says_so(self):
        found, warnings = node.evaluate("/proc/none.seg", """
            new client.Counter({ name: 'jobs', help: 'Jobs' }).inc();
            client.releaseWorker();
            client.contentType = client.openMetricsContentType;
            const isTheirs = client.contentType === require('prom-client').register.contentType;
            client.contentType = client.prometheusContentType;
            return [isTheirs && client.Counter === require('prom-client').Counter, await client.register.metrics()];""")
        self.assertEqual((found[0], samples_of(found[1])), (True, {"jobs_total": 1}))
        self.assertEqual(warnings.count("metrics stay in each process"), 1)

    def test_a_push_gateway_is_sent_what_all_workers_have_counted(self):
        self.evaluate("new client.Counter({ name: 'a_total', help: 'A' }).inc(5);")
        found, _ = self.evaluate("""
            new client.Counter({ name: 'a_total', help: 'A' }).inc(2);
            const server = require('http').createServer();
            const pushed = new Promise(resolve => server.on('request', async (request, response) => {
              let text = '';
              for await (const chunk of request) text += chunk;
              response.end();
              resolve([request.method, request.url, text]);
            }));
            await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
            const gateway = new client.Pushgateway(`http://127.0.0.1:${server.address().port}`);
            await gateway.pushAdd({ jobName: 'crm' });
            server.close();
            return pushed;""")
        self.assertEqual(found[:2], ["POST", "/metrics/job/crm"])
        self.assertEqual(samples_of(found[2]), {"a_total": 7})

    def test_where_addons_are_not_allowed_the_package_is_prom_client_itself(self):
        found, warnings = self.evaluate("""
            new client.Counter({ name: 'a_total', help: 'A' }).inc();
            const own = client.registryOf('/dev/shm/none.seg');
            new client.Counter({ name: 'b_total', help: 'B', registers: [own] }).inc();
            return [await client.register.metrics(), await own.metrics()];""", flags=["--no-addons"])
        self.assertEqual([samples_of(text) for text in found], [{"a_total": 1}, {"b_total": 1}])
        self.assertEqual(warnings.count("metrics stay in each process"), 1)
        self.assertFalse(self.segment.exists())

    def test_an_import_finds_the_names_too(self):
        with tempfile.TemporaryDirectory() as directory:
            program = pathlib.Path(directory) / "program.mjs"
            (pathlib.Path(directory) / "node_modules").symlink_to(node.MODULES)
            program.write_text("import { Counter, register, Gauge, linearBuckets } from '@shmetrics/prom-client';\n"
                               "new Counter({ name: 'imported_total', help: 'I' }).inc(linearBuckets(1, 1, 2).length);")
            node.run(self.segment, program)
        self.assertEqual(segments.samples(self.segment), {"imported_total": 2})


if __name__ == "__main__":
    unittest.main()
