"""What gauges are beyond those of prometheus_client.

usage: gauge_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import os
import pathlib
import re
import unittest

import segments
from segments import samples

import shmetrics
from shmetrics import Gauge, Registry


class PythonGauges(unittest.TestCase):
    def test_remove_takes_this_processes_value_away_until_it_is_set_again(self):
        path = segments.new_directory() / "a.seg"
        gauge = Gauge("depth", "Depth", ["queue"], registry=Registry(path), multiprocess_mode="max")
        gauge.labels("mail").set(3)
        gauge.labels("sms").set(2)
        gauge.remove("mail")
        gauge.remove("never")
        self.assertEqual({'depth{queue="sms"}': 2}, samples(path))
        gauge.labels("mail").inc()
        self.assertEqual(1, samples(path)['depth{queue="mail"}'])

    def test_remove_of_what_was_never_set_shows_nothing_and_of_a_shared_value_is_for_all(self):
        path = segments.new_directory() / "a.seg"
        gauges = {mode: Gauge(mode, "G", ["x"], registry=Registry(path), multiprocess_mode=mode)
                  for mode in ("sum", "shared")}
        for gauge in gauges.values():
            gauge.remove("never")
        self.assertEqual({}, samples(path))
        self.assertEqual(0, os.waitpid(segments.forked(lambda: [g.labels("a").set(3) for g in gauges.values()]), 0)[1])
        self.assertEqual({'sum{x="a"}': 3, 'shared{x="a"}': 3}, samples(path))
        for gauge in gauges.values():
            gauge.remove("a")
        self.assertEqual({'sum{x="a"}': 3}, samples(path))
        for wrong in ((), ("a", "b")):
            with self.assertRaisesRegex(ValueError, "takes 1 values"):
                gauges["sum"].remove(*wrong)

    def test_own_value_is_what_this_process_has_set_whatever_others_show(self):
        for mode in shmetrics._MODES:
            family = Gauge(f"own_{mode}_now", "Own", ["x"], multiprocess_mode=mode)
            gauge = family.labels("a")
            self.assertIsNone(gauge.own_value())
            gauge.set(5)
            ours = None if mode == "shared" else 5  # that is nobody's own
            self.assertEqual(ours, gauge.own_value())
            child = os.fork()
            if child == 0:
                is_unset = gauge.own_value() is None
                gauge.set(2.5)
                os._exit(0 if is_unset and gauge.own_value() == (ours and 2.5) else 1)
            self.assertEqual(0, os.waitpid(child, 0)[1], mode)
            self.assertEqual(ours, gauge.own_value())
            family.remove("a")
            self.assertIsNone(gauge.own_value())
        self.assertIsNone(Gauge("own_dropped", "Own", ["x"], series_limit=1).labels("a").own_value())
        with self.assertRaisesRegex(ValueError, "call labels"):
            Gauge("own_family", "Own", ["x"]).own_value()

    def test_modes_have_the_numbers_of_the_c_api(self):
        header = pathlib.Path(__file__).parents[2] / "client/c/include/shmetrics/shmetrics.h"
        enum = header.read_text().split("enum shmetrics_gauge_mode {")[1].split("}")[0]
        numbers = {name.lower(): int(number) for name, number in re.findall(r"SHMETRICS_(\w+) = (\d+)", enum)}
        self.assertEqual(numbers, {mode: number for number, mode in enumerate(shmetrics._MODES)})


if __name__ == "__main__":
    unittest.main()
