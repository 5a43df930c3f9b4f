"""The binary part of the package alone: what runs without prom-client, and so without npm.

usage: addon_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import json
import unittest

import node

node.skip_without()
from segments import new_directory, samples, samples_of  # noqa: E402

ADDON = node.MODULES / "@shmetrics" / "prom-client" / "lib" / "addon.js"


class NodeAddon(unittest.TestCase):
    def setUp(self):
        self.segment = new_directory() / "test.seg"

    def evaluate(self, program):
        source = (f"const addon = require('{ADDON}'); (async () => {{ {program} }})()"
                  ".then(result => console.log(JSON.stringify(result)));")
        return json.loads(node.run(self.segment, "-e", source)[0])

    def test_each_kind_counts_and_is_rendered(self):
        found = self.evaluate("""
            const [counter] = addon.declare('counter', 'a_total', 'A', ['x', 'y'], [], 0, 0);
            const kept = addon.find(counter, ['1', 'ä'], true);
            addon.counterAdd(kept); addon.counterAdd(kept, 0.5);
            addon.counterAdd(addon.find(counter, ['2', ''], false), 3);
            const gauge = addon.find(addon.declare('gauge', 'g', 'G', [], [], 5, 0)[0], [], true);
            addon.gaugeSet(gauge, 5); addon.gaugeAdd(gauge, -2); addon.gaugeAdd(gauge);
            const [gone] = addon.declare('gauge', 'gone', 'G', [], [], 2, 0);
            addon.gaugeSet(addon.find(gone, [], true), 1); addon.gaugeRemove(gone, []);
            const seconds = addon.find(addon.declare('histogram', 'h', 'H', [], [1, 2], 0, 0)[0], [], true);
            addon.histogramObserve(seconds, 1.5);
            addon.summaryObserve(addon.find(addon.declare('summary', 's', 'S', [], [], 0, 0)[0], [], true), 7);
            return (await addon.render(0)).join('');""")
        shown = samples_of(found)
        self.assertEqual(shown, samples(self.segment))
        self.assertEqual(shown, {
            'a_total{x="1",y="ä"}': 1.5, 'a_total{x="2",y=""}': 3, "g": 4, 'h_bucket{le="1"}': 0, 'h_bucket{le="2"}': 1,
            'h_bucket{le="+Inf"}': 1, "h_sum": 1.5, "h_count": 1, "s_sum": 7, "s_count": 1})

    def test_what_breaks_a_rule_is_told_and_inert(self):
        code, message, refused, shown = self.evaluate("""
            const [family, code, message] = addon.declare('counter', 'wrong', 'Wrong', ['__x'], [], 0, 0);
            addon.counterAdd(addon.find(family, ['a'], true));
            addon.counterAdd(12345); addon.counterAdd('no index'); addon.counterAdd();
            let refused = 0;
            for (const call of [() => addon.find(99, [], true), () => addon.declare('counter', 5, 'A', [], [], 0, 0),
                () => addon.declare('counter', 'a_total', 'A', Array(17).fill('x'), [], 0, 0),
                () => addon.declare('counter', 'a_total', 'A', [], [], 0, 0, 1), () => addon.render(0, 1),
                () => addon.open('/proc/none.seg')]) {
              try { call(); } catch { refused += 1; }
            }
            return [code, message, refused, await addon.render(0)];""")
        self.assertEqual((code, refused, shown), (5, 6, []))
        self.assertIn("label '__x' begins with '__'", message)


if __name__ == "__main__":
    unittest.main()
