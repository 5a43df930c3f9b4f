// The live page as a person has it: in a real browser, on real workers.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import {
  axeSource, cpuSeconds, directory, endAll, openPage, pictures, startBrowser, startExporter, startWorkers, token,
} from "./stage.mjs";

const segment = `${directory}/shop.seg`;
let browser, exporter, pids;

before(async () => {
  pids = await startWorkers(segment, 5000);
  exporter = await startExporter([segment]);
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  endAll();
});

async function opened(path = "/ui/", options = {}, on = exporter) {
  const seen = await openPage(browser, on.url + path, options);
  await seen.page.waitForSelector("body[data-ready]");
  return seen;
}
const rows = (page) => page.$$eval(".row:not(.columns)", (found) => found.map((row) => ({
  name: row.querySelector(".strong")?.textContent, labels: row.querySelector(".labels")?.textContent.trim(),
  value: row.querySelector(".value").title.replaceAll(",", ""),
})));
async function search(page, words) {
  await page.fill("#search", words);
  await page.waitForFunction((said) => document.querySelector("#search").value === said, words);
}

test("it loads without an error in the console and asks nobody else", async () => {
  const { page, faults } = await opened();
  await page.waitForTimeout(3000);
  assert.deepEqual(faults, []);
  assert.match(await page.textContent("#pulse"), /Live/);
  await page.context().close();
});

test("its numbers are those of the scrape, in all their digits", async () => {
  const { page } = await opened();
  const text = await (await fetch(exporter.url + "/metrics")).text();
  const scraped = (line) => text.split("\n").find((found) => found.startsWith(line + " ")).slice(line.length + 1);
  await search(page, "app_fixed_total");
  assert.deepEqual((await rows(page)).slice(1), [
    { name: undefined, labels: "size=huge", value: scraped('app_fixed_total{size="huge"}') },
    { name: undefined, labels: "size=small", value: scraped('app_fixed_total{size="small"}') }]);
  assert.equal(scraped('app_fixed_total{size="huge"}'), "18446744073709551615");
  await search(page, "app_cost_dollars_total");
  assert.equal((await rows(page))[0].value, scraped("app_cost_dollars_total"));
  for (const item of ["item-0", "item-4999"]) {
    await search(page, `"${item}"`);
    assert.equal((await rows(page))[1].value, scraped(`shop_items_sold_total{shard="${item.at(-1)}",item="${item}"}`));
  }
  await page.context().close();
});

test("its first screen says how the application is, over all of a family and by a label", async () => {
  const { page } = await opened();
  await page.selectOption("#interval", "1000");
  const tiles = () => page.$$eval("#overview-tiles > div", (all) => Object.fromEntries(all.map((tile) =>
    [tile.querySelector("dt").textContent, tile.querySelector(".figure").textContent])));
  await page.waitForFunction(() => /ms/.test(document.querySelector("#overview-tiles > div:last-child .figure")
    ?.textContent));
  await page.waitForTimeout(4000);
  assert.equal(await page.textContent("#overview-of"), "app_http_requests_total · app_http_request_duration_seconds");
  const [shown, families] = [await tiles(), await page.evaluate(async () =>
    (await (await fetch("../api/v1/snapshot")).json()).families.map(({ name }) => name))];
  assert.ok(families.includes("app_http_requests_total"));
  assert.ok(Number(shown["Requests a second"]) > 50, JSON.stringify(shown)); // three workers, one in 4 ms at most
  assert.match(shown.Errors, /^[\d.]+ %$/);
  const [median, p95] = [parseFloat(shown.p50), parseFloat(shown.p95)];
  assert.ok(median > 12 && median < 19 && p95 > 40 && p95 < 70, JSON.stringify(shown)); // of e^-4.2 and 0.8: 15, 56 ms
  const line = await page.getAttribute("#overview-tiles polyline", "points");
  assert.ok(parseFloat(line) > 0, `a first answer has no rate, so the line begins behind it, and not at 0: ${line}`);
  await page.selectOption("#by", "route");
  const values = () => page.$$eval("#overview-body tr", (all) => all.map((row) => row.firstChild.textContent).sort());
  assert.deepEqual(await values(), ["/", "/orders", "/search", "/users/:id"]);
  await page.selectOption("#by", "method");
  assert.deepEqual(await values(), ["GE<U+200B>T", "GET", "POST"]);
  await page.click("#plumbing summary");
  assert.ok(await page.isVisible("#workers"));
  const named = await page.$$eval("#health > div, #overview-tiles > div, .columns > span", (all) =>
    all.filter(({ title }) => !title).length);
  assert.equal(named, 0, "every number has its help");
  await page.context().close();
});

test("what lies in the first bucket is at most its end", async () => {
  const { page } = await opened();
  const texts = await page.evaluate(async () => {
    const { quantileText } = await import("./overview.js");
    const family = { name: "app_seconds" };
    return [[[0, 0.001, 5], [0.001, 0.002, 0]], [[0, 0.001, 0], [0.001, 0.002, 5]]]
      .map((buckets) => quantileText(family, 0.5, buckets));
  });
  assert.deepEqual(texts, ["≤ 1 ms", "1.5 ms"]);
  await page.context().close();
});

test("on paper are the rows that one does not see", async () => {
  const { page } = await opened();
  await page.check("input[value=counter]", { force: true });
  const count = () => page.$$eval(".row", (all) => all.length);
  const before = await count();
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  const printed = await count();
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  assert.ok(before < 120 && printed > 1900, `${before}, ${printed}`);
  assert.ok(await count() < 120);
  await page.context().close();
});

test("search and kind filter, and nothing found says so", async () => {
  const { page } = await opened();
  await search(page, "sold item-4242");
  assert.deepEqual((await rows(page)).map(({ labels }) => labels), [undefined, "shard=2 item=item-4242"]);
  await search(page, "");
  await page.check("input[value=histogram]", { force: true });
  const kinds = await page.$$eval("#list .badge", (all) => all.map((one) => one.dataset.kind));
  assert.deepEqual([...new Set(kinds)], ["histogram"]);
  await search(page, "no such thing");
  assert.match(await page.textContent("#empty"), /Nothing matches/);
  await page.context().close();
});

test("quantiles of a native histogram are those of its native buckets", async () => {
  const { page } = await opened();
  const [native, classic, open] = await page.evaluate(async () => {
    const { bucketsOf, quantile } = await import("./feed.js");
    const buckets = [[1, 2], [2, 2], [4, 4], ["+Inf", 5]];
    const native = { zero_threshold: 1, zero_count: 2, buckets: [[2, 2.2, 1], [3.8, 4, 1], [4, "+Inf", 1]] };
    const of = (said) => [0.2, 0.5, 0.8, 0.99].map((q) => quantile(q, bucketsOf(said)));
    return [of({ buckets, native }), of({ buckets }), quantile(0.5, [])];
  });
  assert.deepEqual(native, [0.5, 2 + (2.2 - 2) * 0.5, 4, 4]);
  assert.deepEqual(classic, [0.5, 2.5, 4, 4]);
  assert.ok(Number.isNaN(open));
  await search(page, "app_native_seconds");
  await page.waitForFunction(() =>
    [...document.querySelectorAll("#list .quantiles")].some((cell) => cell.textContent.includes(" ms · ")));
  const shown = await page.$$eval("#list .quantiles", (all) => all.map((one) => one.textContent).join(""));
  const median = Number(/([\d.]+) ms/.exec(shown)[1]); // of e^-4.2 seconds: 15.0 ms
  assert.ok(median > 12 && median < 19, shown);
  await page.context().close();
});

test("labels of markup, quotes and lines are text", async () => {
  const { page, faults } = await opened();
  await search(page, "app_odd_total");
  const labels = (await rows(page)).slice(1).map((row) => row.labels);
  assert.deepEqual(labels,
    ["text=∅", "text=<script>document.title='owned'</script>", 'text=a "quoted" \\ word', "text=two␊lines"]);
  assert.equal(await page.title(), "shmetrics");
  assert.equal(await page.$("#list script, #list b"), null);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test("the keys reach every row, open one and come back to it", async () => {
  const { page } = await opened();
  await page.keyboard.press("/");
  await page.keyboard.type("app_http_requests");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-rowindex"));
  assert.equal(await focused(), "2");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), "4");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#panel[open] canvas");
  assert.equal(await page.textContent("#panel-title"), "app_http_requests_total");
  await page.keyboard.press("Escape");
  assert.equal(await focused(), "4");
  await page.keyboard.press("End");
  assert.ok(Number(await focused()) > 10);
  await page.context().close();
});

test("a wrong token has a clear message, the right one is in no address", async () => {
  const guarded = await startExporter([segment], "--no-web.localhost-bypass");
  const { page, faults } = await openPage(browser, guarded.url + "/ui/");
  const refused = /status of 401/; // what the browser itself notes of a 401
  for (const wrong of ["not-the-right-token", "no-header-holds-a-€"]) {
    await page.fill("#token", wrong);
    await page.click("#login button");
    await page.waitForFunction(() => /does not accept/.test(document.querySelector("#login-text").textContent));
    await page.evaluate(() => { document.querySelector("#login-text").textContent = ""; });
  }
  await page.fill("#token", token);
  await page.click("#login button");
  await page.waitForSelector("body[data-ready]");
  assert.ok(!page.url().includes("token"));
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  assert.deepEqual(faults.filter((fault) => !refused.test(fault)), []);
  const other = await browser.newPage();
  await other.goto(`${guarded.url}/ui/?token=${token}`);
  await other.waitForSelector("body[data-ready]");
  assert.equal(other.url(), guarded.url + "/ui/");
  await other.close();
  await page.context().close();
});

test("several segments are a choice", async () => {
  const odd = 'a "b"\\\r\n\u202e';
  const both = await startExporter([`shop=${segment}`, `${odd}=${directory}/none.seg`]);
  const { page } = await opened("/ui/", {}, both);
  assert.match(await page.textContent("#segment-line"), /shop\.seg/);
  assert.equal(await page.textContent("#segment option:last-child"), 'a "b"\\\u240d\u240a<U+202E>');
  await page.selectOption("#segment", { index: 1 });
  await page.waitForFunction(() => /There is no segment/.test(document.querySelector("#problem").textContent));
  await page.context().close();
});

test("one snapshot is under way at a time, however slow", async () => {
  const { page } = await openPage(browser, exporter.url + "/ui/");
  let now = 0, most = 0, count = 0;
  await page.route("**/api/v1/snapshot*", async (route) => {
    most = Math.max(most, ++now);
    ++count;
    await new Promise((wake) => setTimeout(wake, 1500));
    --now;
    await route.continue();
  });
  await page.selectOption("#interval", "1000");
  for (let i = 0; i < 20; ++i) {
    await page.waitForTimeout(250);
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  }
  assert.ok(count >= 2);
  assert.equal(most, 1);
  await page.context().close();
});

test("an exporter that is gone is said", async () => {
  const mortal = await startExporter([segment]);
  const { page } = await opened("/ui/", {}, mortal);
  mortal.end();
  await page.waitForFunction(() => /does not answer/.test(document.querySelector("#problem").textContent));
  await page.context().close();
});

test("axe finds nothing serious, light and dark, list, panel and login", async () => {
  const guarded = await startExporter([segment], "--no-web.localhost-bypass");
  for (const colorScheme of ["light", "dark"]) {
    for (const place of ["list", "panel", "login"]) {
      const options = { colorScheme, bypassCSP: true }; // so that axe can be put into the page
      const { page } = place === "login" ? await openPage(browser, guarded.url + "/ui/", options)
        : await opened("/ui/", options);
      if (place === "panel") await openHistogram(page);
      await page.addScriptTag({ content: axeSource });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
      const found = serious.map(({ id, nodes: [node] }) => [colorScheme, place, id, node.html, node.failureSummary]);
      assert.deepEqual(found, []);
      await page.context().close();
    }
  }
});

async function openHistogram(page) {
  await search(page, "duration_seconds /orders");
  await page.waitForTimeout(200);
  await page.click(".row:has(.labels)");
  await page.waitForSelector("#panel[open] canvas");
}

test("pictures", async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const device of ["desktop", "phone"]) {
      const isMobile = device === "phone";
      const viewport = isMobile ? { width: 390, height: 844 } : { width: 1280, height: 900 };
      const options = { colorScheme, viewport, isMobile, hasTouch: isMobile, deviceScaleFactor: isMobile ? 2 : 1 };
      const { page } = await opened("/ui/", options);
      await page.selectOption("#interval", "1000");
      await page.waitForTimeout(14_000);
      await page.screenshot({ path: `${pictures}/${device}-${colorScheme}.png` });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= viewport.width, `${device} is ${width} pixels wide`);
      await page.evaluate(() => document.querySelector("#metrics-title").scrollIntoView());
      await page.waitForTimeout(300);
      await page.screenshot({ path: `${pictures}/${device}-${colorScheme}-list.png` });
      await openHistogram(page);
      await page.waitForTimeout(1500);
      await page.screenshot({ path: `${pictures}/${device}-${colorScheme}-panel.png` });
      await page.context().close();
    }
  }
});

test("5,000 series scroll with few rows built; what it costs", async () => {
  const { page } = await opened();
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const used = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration").value;
  };
  await page.waitForFunction(() => performance.getEntriesByName("first-chart").length > 0);
  const first = await page.evaluate(() => performance.getEntriesByName("first-chart")[0].startTime);
  const [exporterBefore, pageBefore] = [cpuSeconds(exporter.pid), await used()];
  await page.waitForTimeout(10_000);
  const exporterShare = (cpuSeconds(exporter.pid) - exporterBefore) * 10, pageShare = (await used() - pageBefore) * 10;
  const slowest = await page.evaluate(async () => {
    let worst = 0, last = performance.now();
    for (let i = 0; i < 120; ++i) {
      scrollBy(0, 1500);
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      worst = Math.max(worst, now - last);
      last = now;
    }
    scrollTo(0, document.documentElement.scrollHeight);
    await new Promise((wake) => setTimeout(wake, 100));
    return worst;
  });
  const built = await page.$$eval(".row", (found) => found.length);
  assert.ok(built > 10 && built < 120, `${built} rows are built`);
  assert.match((await rows(page)).at(-1).labels, /shard=9 item=item-999$/);
  const sizes = await page.evaluate(() => performance.getEntries().filter(({ name }) => name.includes("/ui/"))
    .reduce((total, entry) => total + (entry.encodedBodySize ?? 0), 0));
  console.log(`page: ${sizes} bytes compressed; first chart after ${first.toFixed(0)} ms; at 5,000 series every 2 s: `
    + `exporter ${exporterShare.toFixed(1)} % of a core, page ${pageShare.toFixed(1)} %; ${built} rows built, `
    + `slowest frame ${slowest.toFixed(0)} ms`);
  await page.context().close();
});

test("a killed worker shows within 5 s", async () => {
  const { page } = await opened();
  const shows = (state) => page.waitForFunction(([pid, wanted]) => [...document.querySelectorAll("#workers tr")].some(
    (row) => row.children[2].textContent === pid && row.dataset.state === wanted),
    [String(pids[1]), state], { timeout: 5000 });
  await shows("live");
  process.kill(pids[1], "SIGKILL");
  await shows("dead");
  await page.context().close();
});

test("the snapshot is what `shmetrics dump` says of a segment at rest", async () => {
  await startWorkers(`${directory}/rest.seg`, 3).then((all) => all.forEach((pid) => process.kill(pid, "SIGKILL")));
  const resting = await startExporter([`${directory}/rest.seg`]);
  await new Promise((wake) => setTimeout(wake, 500));
  const dumped = execFileSync(process.env.SHMETRICS_PROGRAM, ["dump", `${directory}/rest.seg`, "--format", "json"]);
  assert.equal(await (await fetch(resting.url + "/api/v1/snapshot")).text(), String(dumped));
});
