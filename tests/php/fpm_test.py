"""php-fpm behind nginx under load: what it has answered is counted, however its workers end, and any of them shows it.

usage: fpm_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS [SECONDS]
"""
import os
import signal
import time
import unittest

import phps
from served import SECONDS, Served

phps.skip_without("php-fpm", "nginx", "wrk")
from segments import deaths_in, get, samples, samples_of  # noqa: E402
from wrk import Load  # noqa: E402

STATIC = "pm = static\npm.max_children = 3\n"
DYNAMIC = ("pm = dynamic\npm.max_children = 3\npm.start_servers = 2\npm.min_spare_servers = 1\n"
           "pm.max_spare_servers = 2\n")
ON_DEMAND = "pm = ondemand\npm.max_children = 3\npm.process_idle_timeout = 1s\n"


class PhpFpm(Served):
    def start(self, lines, **more):
        fpm = phps.Fpm({"www": lines} if isinstance(lines, str) else lines, **more)
        self.addCleanup(fpm.close)
        fpm.up()
        return fpm

    def test_killed_workers_lose_no_answer(self):
        for lines in (STATIC, DYNAMIC, ON_DEMAND):
            with self.subTest(lines):
                self.assert_kills_lose_no_answer(self.start(lines), "php-fpm")

    def test_a_request_that_kills_its_worker_is_counted(self):
        fpm = self.start(STATIC)
        self.assertIn("502", get(fpm.port, "/die"))
        self.assertEqual(self.counted(fpm, "/die"), 1)

    def test_workers_that_end_after_some_requests_are_no_deaths(self):
        fpm = self.start(STATIC + "pm.max_requests = 5")
        before = set(fpm.workers())
        Load(fpm, SECONDS).assert_counted(self, self.counted)
        self.assertLess(before & set(fpm.workers()), before, "some were followed by others")
        fpm.stop()
        self.assertEqual(deaths_in(fpm.segment), 0)
        self.assertEqual(samples(fpm.segment, "app_active"), {"app_active": 0})

    def test_workers_on_demand_come_and_go_without_a_loss(self):
        fpm = self.start(ON_DEMAND)
        Load(fpm, SECONDS).assert_counted(self, self.counted)
        for _ in range(300):
            if not fpm.workers():
                break
            time.sleep(0.1)
        self.assertEqual(fpm.workers(), [])
        self.assertEqual(deaths_in(fpm.segment), 0)
        fpm.up()
        self.assertEqual(self.counted(fpm, "/up"), 2)

    def test_a_request_that_takes_too_long_is_counted_and_its_end_is_no_death(self):
        fpm = self.start(STATIC + "request_terminate_timeout = 1s")
        load = Load(fpm, SECONDS)
        self.assertIn("50", get(fpm.port, "/hang", 60))
        load.assert_counted(self, self.counted)
        self.assertEqual(self.counted(fpm, "/hang"), 1)
        fpm.stop()
        self.assertEqual(deaths_in(fpm.segment), 0)

    def test_a_reload_under_load_loses_no_answer_and_is_no_death(self):
        for patience, cut in (("10s", 0), ("0", 3)):
            with self.subTest(patience=patience):
                fpm = self.start(DYNAMIC, patience=patience)
                load = Load(fpm, SECONDS)
                before = set(fpm.workers())
                time.sleep(SECONDS / 2)
                fpm.process.send_signal(signal.SIGUSR2)
                load.assert_counted(self, self.counted, cut)
                fpm.up()
                self.assertFalse(before & set(fpm.workers()))
                fpm.stop(signal.SIGQUIT)
                self.assertEqual(deaths_in(fpm.segment), 0)

    def test_code_that_is_swapped_under_a_worker_counts_on_with_other_labels(self):
        fpm = self.start("pm = static\npm.max_children = 1", zend_extension="opcache.so", opcache__revalidate_freq=0,
                         opcache__file_update_protection=0)
        worker = fpm.up()
        old = fpm.app.read_text()
        new = old.replace("['path'])->inc([$path])", "['path', 'release'])->inc([$path, 'two'])")
        self.assertNotEqual(new, old)
        for text, seconds in ((new, 1000), (old, 2000)):
            fpm.app.write_text(text)
            os.utime(fpm.app, (time.time() + seconds,) * 2)
            self.assertEqual(fpm.up(), worker, "the same process")
        found = samples_of(get(fpm.port, "/metrics"), "app_requests_total")
        self.assertEqual(found, {'app_requests_total{path="/up"}': 3,
                                 'app_requests_total{path="/up",release="two"}': 1}, fpm.said())

    def test_the_environment_of_the_pool_names_the_segment_too(self):
        fpm = self.start(STATIC + "env[SHMETRICS_SEGMENT] = {folder}/data/app.seg")
        self.assertEqual(self.counted(fpm, "/up"), 1)

    def test_a_count_of_the_preloaded_script_and_those_of_the_workers_are_one(self):
        fpm = self.start(STATIC, zend_extension="opcache.so", opcache__preload=phps.HERE / "preload.php",
                         opcache__preload_user=phps.USER, shmetrics__segment="{folder}/data/app.seg")
        self.assertEqual(samples(fpm.segment, "app_preloads_total"), {"app_preloads_total": 1})
        self.assertEqual(self.counted(fpm, "/up"), 1, fpm.said())

    @unittest.skipUnless(os.geteuid() == 0, "pools of several users need root")
    def test_pools_of_two_users_count_in_one_segment(self):
        group = f"php_admin_value[shmetrics.group] = {phps.USER}\nphp_admin_value[shmetrics.mode] = 0660\n"
        fpm = phps.Fpm({"www": STATIC + group, "other": STATIC + group + f"user = nobody\ngroup = {phps.USER}\n"})
        self.addCleanup(fpm.close)
        (fpm.folder / "data").chmod(0o770)
        for port in fpm.ports.values():
            fpm.up(port)
        self.assertEqual(self.counted(fpm, "/up"), 2, fpm.said())
        for port in fpm.ports.values():
            shown = samples_of(get(port, "/metrics"), "app_requests_total")
            self.assertEqual(shown, {'app_requests_total{path="/up"}': 2})
        self.assert_kills_lose_no_answer(fpm, "php-fpm", "--segment.group", phps.USER)


if __name__ == "__main__":
    unittest.main()
