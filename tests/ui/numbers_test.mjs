// What the page makes of the exporter's numbers, without a browser. Usage: node --test numbers_test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

/** A module of the page and those that it imports, as addresses: node takes their files for no modules. */
const addressOf = (name) => {
  const source = readFileSync(new URL(`../../exporter/ui/${name}`, import.meta.url), "utf8");
  const whole = source.replace(/from "\.\/(\w+\.js)"/g, (_, other) => `from "${addressOf(other)}"`);
  return "data:text/javascript," + encodeURIComponent(whole);
};
globalThis.location = { href: "http://localhost:5000/ui/" };
globalThis.sessionStorage = { getItem: () => null };
const { measured, percent, tiny } = await import(addressOf("format.js"));
const { Feed } = await import(addressOf("feed.js"));
const { grouped } = await import(addressOf("overview.js"));

/** What a feed has after these snapshots. */
async function fed(...snapshots) {
  const feed = new Feed();
  for (const snapshot of snapshots) {
    globalThis.fetch = async (path) =>
      new Response(path.startsWith("../metrics") ? "shmetrics_segment_up 1\n" : JSON.stringify(snapshot));
    await feed.update();
  }
  return feed;
}
const counters = (path, series) => ({ segment: { path, state: "up" }, workers: [],
  families: [{ name: "app_requests_total", type: "counter", help: "", series }] });

test("three digits are those of the number, of every size", () => {
  for (const [value, text] of [[0, "0"], [0.25, "0.25"], [99.96, "100"], [250, "250"], [999.6, "1k"], [1000, "1k"],
    [1234, "1.23k"], [99_950, "100k"], [100_000, "100k"], [250_000, "250k"], [999_999, "1M"], [1e8, "100M"],
    [-250_000, "-250k"], [1e12, "1T"], [1.5e16, "15000T"], [2e-4, "2.0e-4"], [NaN, "–"], [Infinity, "–"]]) {
    assert.equal(tiny(value), text);
  }
  assert.equal(measured({ name: "app_bytes" }, 100_000), "100k B");
  assert.equal(measured({ name: "app_seconds" }, 0.1), "100 ms");
  assert.deepEqual([0, 0.0012, 0.01, 0.1, 0.125, 1, 20].map(percent),
    ["0 %", "0.12 %", "1 %", "10 %", "12.5 %", "100 %", "2000 %"]);
});

test("series of two generations whose labels differ in name alone are two", async () => {
  const both = counters("/a", [{ labels: { verb: "GET" }, value: 7 }, { labels: { method: "GET" }, value: 5 }]);
  const feed = await fed(both, both);
  assert.deepEqual(feed.families[0].series.map(({ labels, now }) => [labels, now]), [[{ verb: "GET" }, 7],
    [{ method: "GET" }, 5]]);
  assert.equal(feed.series.size, 2);
});

test("no value of a label can pass for two", async () => {
  const series = [{ labels: { a: "x\0y", b: "z" }, value: 7 }, { labels: { a: "x", b: "y\0z" }, value: 5 }];
  const both = counters("/a", series);
  const feed = await fed(both, both);
  assert.deepEqual(feed.families[0].series.map(({ now }) => now), [7, 5]);
});

test("another segment has another past, also if the exporter now names it first", async () => {
  const [before, now] = [1_000_000, 5].map((value) => [{ labels: {}, value }]);
  const same = await fed(counters("/a", before), counters("/a", before));
  assert.equal(same.rate(same.families[0].series[0]), 0);
  const other = await fed(counters("/b", now), counters("/a", before));
  assert.equal(other.samples, 1);
  assert.ok(Number.isNaN(other.rate(other.families[0].series[0])));
});

test("a label of any name divides, also among series that do not have it", () => {
  const groups = grouped({ series: [{ labels: { constructor: "a" } }, { labels: {} }] }, "constructor");
  assert.deepEqual([...groups.keys()], ["a", ""]);
});
