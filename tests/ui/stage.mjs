// What the browser test plays on: workers, exporters and chromium, each ended with the test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const folder = process.env.SHMETRICS_UI_FOLDER, exporterProgram = process.env.SHMETRICS_EXPORTER_PROGRAM;
const workerProgram = process.env.SHMETRICS_UI_WORKER;
const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");
export const axeSource = readFileSync(join(folder, "node_modules/axe-core/axe.min.js"), "utf8");
export const pictures = join(folder, "pictures");
export const token = "correct-horse-battery-staple";

export const directory = mkdtempSync("/dev/shm/shmetrics-ui-");
const programs = [];

export async function startWorkers(segment, series) {
  const worker = spawn(workerProgram, [segment, String(series)], { stdio: ["pipe", "pipe", "inherit"] });
  programs.push(worker);
  const [line] = await once(worker.stdout, "data");
  return String(line).trim().split(" ").slice(1).map(Number);
}

export async function startExporter(segments, ...flags) {
  const exporter = spawn(exporterProgram,
    [...segments.flatMap((segment) => ["--segment", segment]), "--web.listen-address=127.0.0.1:0", ...flags],
    { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, METRICS_TOKEN: token } });
  programs.push(exporter);
  let log = "";
  for await (const part of exporter.stderr) {
    log += part;
    const found = /msg="?listening"?.*?127\.0\.0\.1:(\d+)/.exec(log);
    if (found) return { url: `http://127.0.0.1:${found[1]}`, pid: exporter.pid, end: () => exporter.kill("SIGKILL") };
  }
  throw new Error(`the exporter does not start: ${log}`);
}

export const startBrowser = (...flags) => chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", ...flags],
});

/** A page that notes what no page of ours may do. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin + "/")) faults.push(`foreign request: ${request.url()}`);
    if (request.url().includes("token")) faults.push(`a token in an address: ${request.url()}`);
  });
  await page.goto(url);
  return { page, faults };
}

/** Seconds of processor time of a process so far. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function endAll() {
  for (const program of programs) program.kill("SIGKILL");
  rmSync(directory, { recursive: true });
}
