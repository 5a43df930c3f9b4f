"""Shmetrics\\Storage behind promphp's classes, and the functions of the extension; with several processes.

usage: storage_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import json
import os
import signal
import subprocess
import time
import unittest

import phps

phps.skip_without("php")
from segments import deaths_in, dump, new_directory, samples, samples_of, workers  # noqa: E402

REGISTRY = "$r = new Prometheus\\CollectorRegistry(new Shmetrics\\Storage(), false); "
RENDER = "echo (new Prometheus\\RenderTextFormat())->render($r->getMetricFamilySamples());"


class OneSegment(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.segment = new_directory() / "test.seg"

    def php(self, source, **more):
        return phps.run(self.segment, source, **more)

    def shown(self):
        return samples(self.segment)


class PhpStorage(OneSegment):
    def test_what_promphp_shows_is_what_a_scrape_shows(self):
        text = self.php(REGISTRY + """
            $r->getOrRegisterCounter('app', 'hits', 'Hits', ['path', 'code'])->inc(['/', 200]);
            $r->getOrRegisterCounter('app', 'hits', 'Hits', ['path', 'code'])->incBy(2.5, ['/', '404']);
            $r->getOrRegisterGauge('', 'temperature', '')->set(-4.5);
            $h = $r->getOrRegisterHistogram('app', 'seconds', 'Duration', ['path'], [0.1, 1, 3]);
            foreach ([0.1, 0.5, 7] as $v) { $h->observe($v, ['/']); }
            $r->getOrRegisterSummary('app', 'bytes', 'Size')->observe(512);""" + RENDER)
        self.assertEqual(samples_of(text), self.shown())
        self.assertEqual(self.shown(), {
            'app_hits_total{code="200",path="/"}': 1, 'app_hits_total{code="404",path="/"}': 2.5, "temperature": -4.5,
            'app_seconds_bucket{le="0.1",path="/"}': 1, 'app_seconds_bucket{le="1",path="/"}': 2,
            'app_seconds_bucket{le="3",path="/"}': 2, 'app_seconds_bucket{le="+Inf",path="/"}': 3,
            'app_seconds_sum{path="/"}': 7.6, 'app_seconds_count{path="/"}': 3, "app_bytes_sum": 512,
            "app_bytes_count": 1})
        self.assertIn("# HELP app_hits Hits\n# TYPE app_hits counter\n", text)

    def test_a_family_tells_its_labels_and_a_sample_those_beyond_them(self):
        self.assertEqual(self.php(REGISTRY + """
            $r->getOrRegisterHistogram('', 'h', 'H', ['path'], [1])->observe(0.5, ['/']);
            [$family] = $r->getMetricFamilySamples();
            [$bucket] = $family->getSamples();
            echo json_encode([$family->getLabelNames(), $bucket->getLabelNames(), $bucket->getLabelValues(),
              array_map(fn ($sample) => $sample->getName(), array_slice($family->getSamples(), 2))]);"""),
            '[["path"],["le"],["\\/","1"],["h_count","h_sum"]]')

    def test_labels_may_have_the_names_that_a_scrape_adds_elsewhere(self):
        text = self.php("""$r = new Prometheus\\CollectorRegistry(new Shmetrics\\Storage(['all' => 'all']), false);
            $r->getOrRegisterCounter('', 'jobs_total', 'J', ['worker', 'queue'])->inc(['w1', 'mail']);
            $r->getOrRegisterGauge('', 'waiting', 'W', ['quantile', 'le', 'queue'])->set(2, ['0.5', '7', 'mail']);
            $r->getOrRegisterHistogram('', 'seconds', 'S', ['worker', 'queue'], [1])->observe(0.5, ['w1', 'mail']);
            $r->getOrRegisterGauge('', 'all', 'A', ['le'])->set(3, ['x']);""" + RENDER)
        self.assertEqual(samples_of(text), self.shown())
        self.assertEqual(self.shown()['seconds_count{queue="mail",worker="w1"}'], 1)

    def test_what_one_process_sets_another_changes(self):
        self.php(REGISTRY + "$r->getOrRegisterGauge('', 'queue', 'Q', ['n'])->set(10, ['a']);")
        self.php(REGISTRY + """$g = $r->getOrRegisterGauge('', 'queue', 'Q', ['n']);
            $g->inc(['a']); $g->incBy(-3, ['a']);""")
        self.assertEqual(self.shown(), {'queue{n="a"}': 8})

    def test_a_gauge_has_the_mode_that_the_storage_was_told(self):
        source = """$s = new Shmetrics\\Storage(['active' => 'livesum', 'size' => 'all']);
            $r = new Prometheus\\CollectorRegistry($s, false);
            $r->getOrRegisterGauge('', 'active', 'A')->inc(); $r->getOrRegisterGauge('', 'size', 'S')->set(3);"""
        self.php(source)
        self.php(source + RENDER)
        self.assertEqual(self.shown(), {"active": 0, 'size{worker="0"}': 3})
        self.assertIn('size{worker="0"} 3', self.php(REGISTRY + RENDER))
        self.assertIn("no such mode", self.php(source.replace("livesum", "average"), code=255))

    def test_the_storage_cannot_be_wiped_and_says_so(self):
        self.assertEqual(self.php(REGISTRY + """
            $r->getOrRegisterCounter('', 'a_total', 'A')->inc();
            try { $r->wipeStorage(); } catch (Prometheus\\Exception\\StorageException $e) { echo 'cannot'; }"""),
            "cannot")
        self.assertEqual(self.shown(), {"a_total": 1})

    def test_processes_that_count_at_once_lose_nothing(self):
        source = (f"require '{phps.HERE}/autoload.php'; {REGISTRY} for ($i = 0; $i < 5000; ++$i) {{"
                  "$r->getOrRegisterCounter('', 'a_total', 'A', ['n'])->inc([$i % 7]);"
                  "$r->getOrRegisterGauge('', 'g', 'G')->inc(); }")
        running = [subprocess.Popen(["php", *phps.settings(shmetrics__segment=self.segment), "-r", source],
                                    env=phps.environment()) for _ in range(6)]
        self.assertEqual([process.wait(120) for process in running], [0] * 6)
        found = self.shown()
        self.assertEqual(sum(value for name, value in found.items() if name.startswith("a_total")), 30000)
        self.assertEqual(found["g"], 30000)

    def test_labels_that_do_not_fit_and_other_things_than_metrics_count_nothing(self):
        good = """['name' => 'a_total', 'help' => 'A', 'type' => 'counter', 'labelNames' => ['p'],
            'labelValues' => ['/'], 'value' => 1, 'command' => 1]"""
        for other in ("'labelValues' => []", "'labelValues' => ['a', 'b']", "'labelValues' => [new stdClass]",
                      "'value' => '7x'", "'value' => null", "'labelNames' => [1]", "'labelNames' => 'p'", "'name' => 7",
                      "'type' => null", "'type' => 'native'", "'command' => 3", "'type' => 'histogram'"):
            with self.subTest(other):
                self.assertEqual(self.php("try { Shmetrics\\update([%s] + %s); } catch (Error $e) { echo 'refused'; }"
                                          % (other, good)), "refused")
        self.assertIn("takes 1 label values and was given 2",
                      self.php("Shmetrics\\gauge('g', 'G', ['p'])->set(1, ['a', 'b']);", code=255))
        self.php(f"Shmetrics\\update({good});")
        self.assertEqual(self.shown(), {'a_total{p="/"}': 1})

    def test_a_label_value_may_be_an_object_that_changes_the_others(self):
        self.php("""class Text { function __construct(private Closure $change) {}
              function __toString(): string { ($this->change)(); return str_repeat('b', 30); } }
            $a = str_repeat('a', 30); $values = [&$a, 0];
            $values[1] = new Text(function () use (&$a, &$values) { $a = str_repeat('c', 30); $values = null; });
            $data = ['name' => 'a_total', 'help' => 'A', 'type' => 'counter', 'labelNames' => ['p', 'q'],
              'labelValues' => &$values, 'value' => 1, 'command' => 1];
            Shmetrics\\update($data);""")
        self.assertEqual(self.shown(), {f'a_total{{p="{"a" * 30}",q="{"b" * 30}"}}': 1})

    def test_a_request_that_has_no_memory_left_for_all_families_ends_as_any_other(self):
        self.php("$c = Shmetrics\\counter('a_total', 'A', ['n']); for ($i = 0; $i < 900; ++$i)"
                 "$c->inc([str_repeat('x', 99) . $i]);")
        said = self.php(REGISTRY + "ini_set('memory_limit', memory_get_usage(true)); " + RENDER, code=255)
        self.assertIn("Allowed memory size", said)

    def test_label_sets_beyond_the_limit_share_a_series(self):
        self.php(REGISTRY + """$c = $r->getOrRegisterCounter('', 'a_total', 'A', ['n']);
            for ($i = 0; $i < 50; ++$i) $c->inc([$i]);""", shmetrics__series_limit=10)
        found = self.shown()
        self.assertEqual(len(found), 11)
        self.assertEqual(found['a_total{n="__overflow__"}'], 40)

    def test_text_that_is_no_utf_8_and_odd_numbers_hurt_nobody(self):
        self.php(REGISTRY + """$c = $r->getOrRegisterCounter('', 'a_total', 'A', ['n']);
            $c->inc(["\\xff"]); $c->incBy(-1, ['x']); $c->incBy(NAN, ['x']); $c->incBy('2', ['text']);
            $c->inc([true]); $c->inc([1.5]); $x = 'ref'; $v = [&$x]; $c->inc($v);""")
        found = self.shown()
        for value, expected in (("__overflow__", 1), ("1", 1), ("1.5", 1), ("ref", 1), ("x", 0), ("text", 2)):
            self.assertEqual(found[f'a_total{{n="{value}"}}'], expected)


class PhpFunctions(OneSegment):
    def test_each_kind_counts_without_promphp(self):
        text = self.php("""
            $c = Shmetrics\\counter('hits_total', 'Hits', ['p']); $c->inc(['/']); $c->add(2, ['/']);
            $g = Shmetrics\\gauge('temperature', 'T', mode: 'max'); $g->set(5); $g->add(-1);
            Shmetrics\\histogram('seconds', 'S', [], [1, 2])->observe(1.5);
            Shmetrics\\histogram('default_seconds', 'S')->observe(0.004);
            Shmetrics\\summary('bytes', 'B')->observe(7);
            for ($i = 0; $i < 9; ++$i)
              Shmetrics\\native_histogram('native_seconds', 'N', ['p'], 0.25, 4)->observe($i, ['/']);
            echo Shmetrics\\render();""")
        found = samples_of(text)
        self.assertEqual(found, self.shown())
        for name, value in (('hits_total{p="/"}', 3), ("temperature", 4), ('seconds_bucket{le="2"}', 1),
                            ('seconds_bucket{le="1"}', 0), ('default_seconds_bucket{le="0.005"}', 1), ("bytes_sum", 7),
                            ('native_seconds_bucket{le="2",p="/"}', 3), ('native_seconds_count{p="/"}', 9)):
            self.assertEqual(found[name], value)
        families = {family["name"]: family for family in json.loads(dump(self.segment, "json"))["families"]}
        self.assertIn("native", families["native_seconds"]["series"][0])
        self.assertNotIn("native", families["seconds"]["series"][0])

    def test_a_nul_in_a_name_or_help_is_refused(self):
        said = self.php("""
            foreach ([["hits\\0x", 'H', []], ['hits', "H\\0x", []], ['hits', 'H', ["path\\0x"]]] as $schema)
              try { Shmetrics\\counter(...$schema)->inc(array_fill(0, count($schema[2]), '/')); }
              catch (ValueError $e) { echo $e->getMessage(), "\\n"; }""")
        self.assertEqual(said.split("\n"), [f"a NUL follows '{what}': names and help must not have one"
                                            for what in ("hits", "H", "path")] + [""])
        self.assertEqual(self.shown(), {})

    def test_an_update_of_another_kind_is_refused(self):
        for source in ("Shmetrics\\counter('a_total', 'A')->set(1)", "Shmetrics\\counter('a_total', 'A')->observe(1)",
                       "Shmetrics\\gauge('g', 'G')->observe(1)", "Shmetrics\\summary('s', 'S')->inc()",
                       "Shmetrics\\histogram('h', 'H')->set(1)",
                       "Shmetrics\\native_histogram('n', 'N', [], 1, 9)->inc()",
                       "Shmetrics\\native_histogram('n', 'N')", "Shmetrics\\gauge('g', 'G', [], 'none')",
                       "Shmetrics\\counter('a_total', 'A', [7])", "Shmetrics\\histogram('h', 'H', [], ['x'])",
                       "clone Shmetrics\\counter('a_total', 'A')",
                       "serialize(Shmetrics\\counter('a_total', 'A'))"):
            with self.subTest(source):
                self.assertEqual(self.php(f"try {{ {source}; }} catch (Throwable $e) {{ echo 'refused'; }}"), "refused")

    def test_another_schema_in_the_same_process_is_another_generation(self):
        said = self.php("""
            foreach ([['a'], ['a', 'b'], ['a']] as $names) {
              Shmetrics\\counter('hits_total', 'Hits', $names)->inc(array_fill(0, count($names), 'x'));
            }
            foreach ([[1, 2], [1, 4]] as $bounds) { Shmetrics\\histogram('h', 'H', [], $bounds)->observe(1.5); }""")
        self.assertEqual(said, "", "nothing is refused")
        found = self.shown()
        self.assertEqual(found['hits_total{a="x"}'], 2)
        self.assertEqual(found['hits_total{a="x",b="x"}'], 1)
        self.assertEqual(found["h_count"], 2)

    def test_another_kind_is_refused_and_said_once_until_no_other_worker_lives(self):
        source = "Shmetrics\\counter('a_total', 'A')->inc(); echo 'here'; fgets(STDIN);"
        given = ["php", *phps.settings(shmetrics__segment=self.segment), "-r"]
        with subprocess.Popen([*given, source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            self.assertEqual(other.stdout.read(4), b"here")
            goes_on = "while (true) { Shmetrics\\gauge('a_total', 'A')->set(7); usleep(10000); }"
            said = self.segment.parent / "said"
            with open(said, "w") as log:
                waiting = subprocess.Popen([*given, goes_on], stdout=log, stderr=log)
            self.addCleanup(waiting.wait)
            self.addCleanup(waiting.kill)
            for _ in range(600):
                if "a_total" in said.read_text():
                    break
                time.sleep(0.1)
            self.assertEqual(self.shown(), {"a_total": 1})
            other.stdin.close()
        for _ in range(600):
            if self.shown() == {"a_total": 7}:
                break
            time.sleep(0.1)
        self.assertEqual(self.shown(), {"a_total": 7})
        self.assertEqual(said.read_text().count("a_total"), 1, said.read_text())


class PhpSegment(OneSegment):
    def test_what_never_counts_opens_nothing(self):
        self.php("new Shmetrics\\Storage(); phpinfo();")
        self.assertFalse(self.segment.exists())

    def test_without_a_segment_the_program_runs_and_the_log_says_why_once(self):
        said = phps.run(self.segment.parent / "none" / "a.seg", """
            for ($i = 0; $i < 3; ++$i) Shmetrics\\counter('a_total', 'A')->inc();
            try { Shmetrics\\render(); } catch (Exception $e) { echo 'ran'; }""")
        self.assertIn("ran", said)
        self.assertEqual(said.count("/none:"), 1, said)

    def test_mode_and_group_are_those_of_the_settings(self):
        self.php("Shmetrics\\counter('a_total', 'A')->inc();", shmetrics__mode="0640", shmetrics__group=os.getgid())
        found = self.segment.stat()
        self.assertEqual((found.st_mode & 0o777, found.st_gid), (0o640, os.getgid()))

    def test_a_group_may_have_any_number_of_members(self):
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
            self.skipTest("NOT TESTED: needs root, to show a program another /etc/group")
        groups = self.segment.parent / "group"
        groups.write_text("many:x:65534:" + ",".join(f"user{i}" for i in range(20000)) + "\n")
        php = phps.settings(shmetrics__segment=self.segment, shmetrics__group="many")
        subprocess.run(["unshare", "--mount", "sh", "-c", f'mount --bind {groups} /etc/group && exec php "$@"', "sh",
                        *map(str, php), "-r", "Shmetrics\\counter('a_total', 'A')->inc();"], env=phps.environment(),
                       check=True, timeout=60)
        self.assertEqual(self.segment.stat().st_gid, 65534)

    def test_settings_that_are_none_open_nothing(self):
        for name, value in (("shmetrics__mode", "rw"), ("shmetrics__mode", "7777"), ("shmetrics__group", "nogroups")):
            with self.subTest(value):
                said = self.php("Shmetrics\\counter('a_total', 'A')->inc();", **{name: value})
                self.assertIn(name.replace("__", "."), said)
                self.assertFalse(self.segment.exists())

    def test_a_script_must_not_choose_the_segment(self):
        self.assertEqual(self.php("var_dump(ini_set('shmetrics.segment', '/dev/shm/other.seg'));"), "bool(false)\n")


class PhpEnds(OneSegment):
    def deaths_after(self, program):
        self.segment = new_directory() / "test.seg"
        source = f"Shmetrics\\counter('a_total', 'A')->inc(); {program}"
        subprocess.run(["php", *phps.settings(shmetrics__segment=self.segment), "-r", source],
                       env=phps.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        self.assertEqual(self.shown()["a_total"], 1)
        return deaths_in(self.segment)

    def test_a_process_that_leaves_in_order_is_no_death(self):
        for program in ("", "exit(3);", "throw new Exception('expected');", "trigger_error('x', E_USER_ERROR);",
                        "posix_kill(getmypid(), SIGTERM); sleep(9);",
                        "if (pcntl_fork() === 0) exit; pcntl_wait($status);", "system('true');",
                        "ini_set('memory_limit', '4M'); str_repeat('x', 9 << 20);", "pcntl_exec('/bin/true');"):
            with self.subTest(program):
                self.assertEqual(self.deaths_after(program), 0)

    def test_a_process_whose_exec_fails_goes_on_with_its_gauges(self):
        text = self.php("""$g = Shmetrics\\gauge('g', 'G', [], 'livesum'); $g->set(3);
            @pcntl_exec('/no/such/program'); $g->add(1); echo Shmetrics\\render();""")
        self.assertEqual(samples_of(text), {"g": 4})
        self.assertEqual(self.deaths_after("@pcntl_exec('/none'); posix_kill(getmypid(), SIGKILL);"), 1)

    def test_a_handler_of_the_program_stays_its_own(self):
        self.assertEqual(self.php("""pcntl_async_signals(true); pcntl_signal(SIGTERM, function () { echo 'own'; });
            Shmetrics\\counter('a_total', 'A')->inc(); posix_kill(getmypid(), SIGTERM);"""), "own")

    def test_sigterm_ends_the_process_by_that_signal(self):
        source = "Shmetrics\\counter('a_total', 'A')->inc(); posix_kill(getmypid(), SIGTERM); sleep(9);"
        self.assertEqual(self.php(source, code=-signal.SIGTERM), "")

    def test_a_kill_is_a_death(self):
        self.assertEqual(self.deaths_after("posix_kill(getmypid(), SIGKILL);"), 1)

    def test_the_table_of_workers_names_the_script(self):
        script = self.segment.parent / "queue.php"
        script.write_text("<?php Shmetrics\\counter('a_total', 'A')->inc();")
        subprocess.run(["php", *phps.settings(shmetrics__segment=self.segment), script], check=True, timeout=60)
        self.assertEqual([worker["program"] for worker in workers(self.segment)], ["queue.php"])


if __name__ == "__main__":
    unittest.main()
