// Pages of others in a real browser on the exporter's own machine, where requests without a token are let in: none of
// them gets a number, by whatever way a page may ask. What the exporter answered is read from its own counts: a browser
// does not show every answer that it keeps from a page.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { directory, endAll, startBrowser, startExporter, startWorkers } from "./stage.mjs";

const guarded = ["/metrics", "/api/metrics", "/api/v1/snapshot", "/", "/ui/", "/metrics?token="];
const open = ["/ui/icon.svg", "/ui/app.js", "/ui/style.css"]; // the same in every copy of the program
let browser, exporter, foreign, port;

before(async () => {
  await startWorkers(`${directory}/shop.seg`, 10);
  exporter = await startExporter([`${directory}/shop.seg`]);
  foreign = createServer((request, response) => {
    const isScript = request.url === "/worker.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? `
      self.addEventListener("install", () => self.skipWaiting());
      self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
      self.addEventListener("message", async (event) => event.source.postMessage(
        await fetch(event.data.url, { mode: event.data.mode }).then((r) => r.text(), (error) => String(error))));`
      : "<!doctype html><title>a page of somebody else's</title><body>");
  }).listen(0, "127.0.0.1");
  await once(foreign, "listening");
  port = foreign.address().port;
  browser = await startBrowser("--host-resolver-rules=MAP evil.test 127.0.0.1");
});
after(async () => {
  await browser?.close();
  foreign?.close();
  endAll();
});

/** Of another name, of the same name at another port, and of the other name of this machine. */
const origins = () => [`http://evil.test:${port}`, `http://127.0.0.1:${port}`, `http://localhost:${port}`];

async function visited(origin) {
  const page = await (await browser.newContext({ serviceWorkers: "allow" })).newPage();
  await page.goto(origin);
  return page;
}

/** status and handler -> how often it was answered, this very request not yet among them. */
async function counts() {
  const text = await (await fetch(exporter.url + "/metrics")).text();
  const lines = text.matchAll(/requests_total\{code="(\d+)",handler="(\w+)"\} (\d+)/g);
  return new Map([...lines].map(([, code, handler, count]) => [`${code} ${handler}`, Number(count)]));
}

// The browser itself asks for /favicon.ico of a page that it shows, also of one that only says 401.
const ICON = "404 other";

/** Runs `visit`, and waits until `least` requests were refused. Nothing else was answered, but for our own reading. */
async function refused(least, visit) {
  const before = await counts();
  const result = await visit();
  let readings = 1;
  for (const begin = Date.now(); ; ++readings) {
    const grown = [...await counts()].map(([key, count]) => [key, count - (before.get(key) ?? 0)]);
    const answered = grown.filter(([key, more]) => more > 0 && key !== ICON && !key.startsWith("401 "));
    assert.deepEqual(answered, [["200 metrics", readings]]);
    if (grown.reduce((sum, [key, more]) => sum + (key.startsWith("401 ") ? more : 0), 0) >= least) return result;
    assert.ok(Date.now() - begin < 20_000, `${least} requests were refused`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

test("the machine's own client is let in, so what is refused below is refused for being foreign", async () => {
  assert.match(await (await fetch(exporter.url + "/metrics")).text(), /shop_items_sold_total/);
  const page = await browser.newPage();
  assert.equal((await page.goto(exporter.url + "/metrics")).status(), 200);
  await page.close();
});

for (const mode of ["cors", "no-cors"]) {
  test(`fetch, ${mode}, with and without credentials`, async () => {
    for (const origin of origins()) {
      const page = await visited(origin);
      const read = (paths) => page.evaluate(([urls, how]) => Promise.all(urls.flatMap((url) =>
        ["omit", "include"].map((credentials) => fetch(url, { mode: how, credentials })
          .then((response) => response.text(), () => "")))), [paths.map((path) => exporter.url + path), mode]);
      const texts = await refused(2 * guarded.length, () => read(guarded));
      assert.deepEqual([...texts, ...await read(open)].filter((text) => text !== ""), [], origin);
      await page.context().close();
    }
  });
}

test("scripts, style sheets, pictures, frames, objects: none loads, not even what is open to all", async () => {
  const elements = { script: "src", img: "src", iframe: "src", object: "data", embed: "src", video: "src" };
  for (const origin of origins()) {
    const page = await visited(origin);
    const loaded = (paths) => page.evaluate(async ([urls, kinds]) => {
      const asked = urls.flatMap((url) => [...Object.entries(kinds), ["link", "href"]].map(([kind, key]) => {
        const element = document.createElement(kind);
        if (kind === "link") element.rel = "stylesheet";
        element[key] = url;
        document.body.append(element);
        return new Promise((done) => {
          element.onload = () => done(kind === "iframe" || kind === "object" || kind === "embed" ? "" : `${kind} ${url}`);
          element.onerror = () => done("");
          setTimeout(() => done(""), 3000);
        });
      }));
      return (await Promise.all(asked)).filter((one) => one !== "");
    }, [paths.map((path) => exporter.url + path), elements]);
    // One element at least asks for each; the browser asks once for several of the same kind.
    assert.deepEqual(await refused(guarded.length, () => loaded(guarded)), [], origin);
    assert.deepEqual(await loaded(open), [], origin);
    const shown = page.frames().filter((frame) => frame !== page.mainFrame());
    for (const frame of shown) assert.doesNotMatch(await frame.content(), /shop_|shmetrics/, frame.url());
    await page.context().close();
  }
});

test("a service worker, where the browser trusts the foreign page enough to have one", async () => {
  for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
    const page = await visited(origin);
    const texts = await refused(2 * guarded.length, () => page.evaluate(async (urls) => {
      await navigator.serviceWorker.register("/worker.js");
      const { active } = await navigator.serviceWorker.ready;
      const said = [];
      for (const mode of ["cors", "no-cors"]) {
        for (const url of urls) {
          const answer = new Promise((done) => navigator.serviceWorker.addEventListener("message",
            (event) => done(event.data), { once: true }));
          active.postMessage({ url, mode });
          said.push(await answer);
        }
      }
      return said;
    }, guarded.map((path) => exporter.url + path)));
    assert.equal(texts.length, 2 * guarded.length);
    for (const text of texts) assert.match(text, /^$|TypeError/, origin);
    await page.context().close();
  }
});

test("links, windows and forms that lead there", async () => {
  for (const origin of origins()) {
    for (const path of ["/metrics", "/api/v1/snapshot", "/"]) {
      const page = await visited(origin), url = exporter.url + path;
      await refused(3, async () => {
        const popup = page.waitForEvent("popup");
        await page.evaluate((there) => void window.open(there), url);
        await (await popup).waitForLoadState();
        await page.evaluate((there) => {
          document.body.innerHTML = `<a href="${there}">there</a>`;
          document.querySelector("a").click();
        }, url);
        await page.waitForURL(url);
        await page.goto(origin);
        await page.evaluate((there) => {
          document.body.innerHTML = `<form method="post" action="${there}"></form>`;
          document.querySelector("form").submit();
        }, url);
        await page.waitForURL(url);
      });
      await page.context().close();
    }
  }
});

test("a name of somebody else's that leads to the exporter itself", async () => {
  const rebound = exporter.url.replace("127.0.0.1", "evil.test");
  const page = await browser.newPage();
  for (const path of guarded) assert.equal((await page.goto(rebound + path)).status(), 401, path);
  await page.goto(rebound + "/ui/icon.svg");
  const statuses = await page.evaluate((paths) => Promise.all(paths.map((path) => fetch(path).then((r) => r.status))),
    guarded);
  assert.deepEqual(statuses, guarded.map(() => 401));
  await page.close();
});

test("what a page opens to be told of changes, or to talk", async () => {
  for (const origin of origins()) {
    const page = await visited(origin);
    const ends = await refused(2, () => page.evaluate((url) => Promise.all([
      new Promise((done) => { new EventSource(url + "/metrics").onerror = () => done("refused"); }),
      new Promise((done) => { new WebSocket(url.replace("http", "ws") + "/metrics").onerror = () => done("refused"); }),
    ]), exporter.url));
    assert.deepEqual(ends, ["refused", "refused"]);
    await page.context().close();
  }
});
