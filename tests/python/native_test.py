"""Native histograms by the package: what they count, what they refuse.

usage: native_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import json
import unittest

import segments
from segments import samples

from shmetrics import Histogram, NativeBuckets


def native_of(name):
    """What the first series of the family says of its native buckets."""
    families = json.loads(segments.dump(segments.SEGMENT, "json"))["families"]
    return next(family for family in families if family["name"] == name)["series"][0]["native"]


class PythonNative(unittest.TestCase):
    longMessage = False

    def test_a_native_histogram_has_the_buckets_between_its_ends(self):
        seconds = Histogram("nat_seconds", "Native", ["x"], native=NativeBuckets(0.25, 4)).labels(x=1)
        for value in (0.125, 0.25, 1.0625, 1.125, 9, -1, float("nan")):
            seconds.observe(value)
        native = native_of("nat_seconds")
        self.assertEqual([[1, 1.0905077326652577, 1], [1.0905077326652577, 1.189207115002721, 1], [4, "+Inf", 1]],
                         native.pop("buckets"))
        self.assertEqual({"schema": 3, "zero_threshold": 0.25, "zero_count": 2}, native)
        self.assertEqual({'nat_seconds_bucket{le="0.25",x="1"}': 2, 'nat_seconds_bucket{le="0.5",x="1"}': 2,
                          'nat_seconds_bucket{le="1",x="1"}': 2, 'nat_seconds_bucket{le="2",x="1"}': 4,
                          'nat_seconds_bucket{le="4",x="1"}': 4, 'nat_seconds_bucket{le="+Inf",x="1"}': 5,
                          'nat_seconds_count{x="1"}': 5, 'nat_seconds_sum{x="1"}': 11.5625}, samples(prefix="nat_"))

    def test_its_scopes_are_those_of_any_histogram(self):
        seconds = Histogram("scope_seconds", "Scope", native=NativeBuckets(low=1e-6, high=60, factor=1.5))
        with seconds.time():
            pass
        seconds.time()(lambda: None)()
        self.assertEqual((1, 2), (native_of("scope_seconds")["schema"], samples()["scope_seconds_count"]))

    def test_buckets_that_cannot_be_are_refused(self):
        mistakes = {"low of native": (0, 1), "high of native": (2, 1), "factor of": (1, 2, 0),
                    "above 1": (1, 2, 1), "take the factor 1.0443": (1e-9, 1e9, 1.01)}
        for words, buckets in mistakes.items():
            with self.assertRaisesRegex(ValueError, words):
                Histogram("refused", "Refused", native=NativeBuckets(*buckets))
        with self.assertRaisesRegex(ValueError, "give one of them"):
            Histogram("refused", "Refused", buckets=[1], native=NativeBuckets(1, 2))


if __name__ == "__main__":
    unittest.main()
