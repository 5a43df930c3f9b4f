"""The package's names: what they do as prom-client does, and what they do otherwise.

usage: api_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import difflib
import json
import re
import unittest

import node

node.skip_without("prom-client")
from segments import new_directory, samples_of  # noqa: E402

import prometheus_client.openmetrics.parser  # noqa: E402


def new_segment():
    return new_directory() / "test.seg"


def values_of(metrics):
    """{(name, labels): value} of getMetricsAsJSON(), without what docs/node.md says is otherwise: labels that miss are
    "" here, all are texts, and there are no quantiles."""
    found = {}
    for metric in metrics:
        for value in metric["values"]:
            labels = {name: text(label) for name, label in value["labels"].items()}
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
        seed, count = 20, 300
        ours, theirs = (json.loads(node.run(new_segment(), node.HERE / "generated.js", package, seed, count)[0])
                        for package in ("@shmetrics/prom-client", "prom-client"))
        self.assertFalse(list(difflib.unified_diff(theirs["errors"], ours["errors"], "theirs", "ours", n=0)))
        self.assertGreater(len(theirs["errors"]), 100)
        mine, peers = values_of(ours["json"]), values_of(theirs["json"])
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


if __name__ == "__main__":
    unittest.main()
