"""What gauges are beyond those of prometheus_client.

usage: gauge_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
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
        self.assertEqual({'depth{queue="sms"}': 2}, samples(path))
        gauge.labels("mail").inc()
        self.assertEqual(1, samples(path)['depth{queue="mail"}'])

    def test_modes_have_the_numbers_of_the_c_api(self):
        header = pathlib.Path(__file__).parents[2] / "client/c/include/shmetrics/shmetrics.h"
        enum = header.read_text().split("enum shmetrics_gauge_mode {")[1].split("}")[0]
        numbers = {name.lower(): int(number) for name, number in re.findall(r"SHMETRICS_(\w+) = (\d+)", enum)}
        self.assertEqual(numbers, {mode: number for number, mode in enumerate(shmetrics._MODES)})


if __name__ == "__main__":
    unittest.main()
