// The live page: asks, shows, asks again.
import { Feed, Refused, hasToken, setToken } from "./feed.js";
import { age, bytes, element, say, short, visible } from "./format.js";
import { List } from "./list.js";
import { Overview } from "./overview.js";
import { Panel } from "./panel.js";

const find = (id) => document.getElementById(id);
const kinds = ["", "counter", "gauge", "histogram", "summary", "info"];
const feed = new Feed();
const panel = new Panel(feed);
const overview = new Overview(feed);
const list = new List(find("list"), feed, overview, (series) => panel.open(series));
let timer = 0, isAsking = false, lastAnswer = 0;

function sum(samples, labels = {}) {
  const has = (sample) => Object.entries(labels).every(([name, value]) => sample.labels[name] === value);
  return (samples ?? []).filter(has).reduce((total, { value }) => total + value, 0);
}

/** Self metrics are of all segments; with one that has no name there is no label. */
function own(name, labels = {}) {
  const segment = feed.segment || feed.segments[0];
  return sum(feed.self[`shmetrics_${name}`], segment ? { ...labels, segment } : labels);
}

function tile(name, value, detail, help, { of, isBad } = {}) {
  const bar = element("div", { class: "meter" });
  const made = element("div", { title: help }, element("dt", {}, name), element("dd", { class: "figure" }, value),
    element("dd", { class: "quiet" }, detail));
  if (isBad) made.dataset.state = "bad";
  if (of !== undefined) {
    const fill = element("div");
    fill.style.width = `${Math.min(100, Math.max(of > 0 ? 1 : 0, of * 100))}%`;
    if (of > 0.8) made.dataset.state = "bad";
    bar.append(fill);
    made.lastChild.prepend(bar);
  }
  return made;
}

function showHealth() {
  const { cells, directory_bytes: directory } = feed.status;
  const states = (state) => feed.workers.filter((worker) => worker.state === state).length;
  const dropped = own("updates_dropped_total"), refused = own("values_refused_total");
  const overflow = own("series_overflow_total"), undeclared = own("declarations_refused_total");
  const used = own("slots", { state: "used" }), slots = used + own("slots", { state: "free" });
  const part = (number, limit) => `of ${short(limit)} · ${(number / (limit || 1) * 100).toFixed(1)} %`;
  const isLossy = dropped > 0 || overflow > 0 || undeclared > 0;
  find("health").replaceChildren(
    tile("Workers live", short(states("live")), `${states("dead")} dead · ${states("released")} released`,
      "Processes that have counted and run; dead ones were killed or crashed, released ones ended in order"),
    tile("Series", short(feed.series.size), `${feed.families.length} families`,
      "Label sets that have values of their own"),
    tile("Updates dropped", short(dropped),
      undeclared ? `${short(undeclared)} declarations refused`
        : overflow ? `${short(overflow)} label sets had no room` : `${short(refused)} values refused`,
      "Updates that count nowhere; shmetrics doctor says why, and what to do", { isBad: isLossy }),
    tile("Worker deaths", short(own("worker_deaths_total")), "killed or crashed",
      "Workers that ended without saying so; nothing that they counted is lost"),
    tile("Slots", short(used), part(used, slots), "One a thread that counts; without a free one it counts more slowly",
      { of: used / slots }),
    tile("Cells", short(cells.used), part(cells.used, cells.limit), "8 bytes of each slot: a counter takes one",
      { of: cells.used / cells.limit }),
    tile("Directory", bytes(directory.used), `of ${bytes(directory.limit)}`, "Names, help and labels of all series",
      { of: directory.used / directory.limit }));
  const isBad = isLossy || states("dead") > 0 || states("live") === 0;
  say(find("plumbing-line"), `${states("live")} live · ${states("dead")} dead · ${short(dropped)} updates dropped · `
    + `cells ${(cells.used / cells.limit * 100).toFixed(1)} %`);
  find("plumbing").dataset.state = isBad ? "bad" : "good";
  const { path, created, id } = feed.status;
  say(find("segment-line"), `${visible(path)} · created ${new Date(created).toLocaleString("en-GB")} · ${id.slice(0, 8)}`);
}

function workerRow(worker) {
  const row = element("tr", {});
  const state = element("span", { class: "state" });
  const classes = ["", "", "number", "number", "number", "number wide", "number wide", "wide mono"];
  row.append(...classes.map((name) => element("td", { class: name })));
  row.children[1].append(state);
  return fillWorker(row, worker);
}

function fillWorker(row, worker) {
  const lived = worker.started ? (Date.now() - Date.parse(worker.started)) / 1000 : NaN;
  const texts = [worker.worker, worker.state, worker.pid, worker.state === "live" ? age(lived) : "–",
    short(worker.adopted), short(worker.deaths), short(worker.slots), worker.program];
  row.dataset.state = worker.state;
  texts.forEach((text, i) => say(row.children[i].firstElementChild ?? row.children[i], String(text)));
  return row;
}

/** The living first. */
function showWorkers() {
  const body = find("workers");
  const order = { live: 0, dead: 1, released: 2 };
  const workers = feed.workers.toSorted((a, b) => order[a.state] - order[b.state] || a.worker - b.worker);
  while (body.children.length > workers.length) body.lastChild.remove();
  workers.forEach((worker, i) => {
    if (body.children[i]) fillWorker(body.children[i], worker);
    else body.append(workerRow(worker));
  });
  say(find("workers-count"), workers.length ? "" : "none has counted yet");
}

function showList() {
  const { count, families } = list.update();
  const isFiltered = find("search").value.trim() !== "" || kindChosen() !== "";
  const inFamilies = `${short(families)} ${families === 1 ? "family" : "families"}`;
  say(find("found"), count === 0 ? "" : `${short(count)} series in ${inFamilies}`);
  find("empty").hidden = families > 0;
  say(find("empty"), isFiltered ? "Nothing matches. Remove a word, or choose another kind."
    : "No series yet. They come when a worker declares its first metric.");
}

const kindChosen = () => find("kinds").querySelector("input:checked").value;

function showSegments() {
  const names = feed.segments.filter(Boolean), choice = find("segment");
  find("segment-choice").hidden = names.length < 2;
  if (names.join("\0") === [...choice.options].map(({ value }) => value).join("\0")) return;
  choice.replaceChildren(...names.map((name) => element("option", { value: name }, visible(name))));
  if (names.includes(feed.segment)) choice.value = feed.segment;
}

function pulse(state, text) {
  find("pulse").dataset.state = state;
  say(find("pulse-text"), text);
}

function complain(text) {
  find("problem").hidden = !text;
  say(find("problem"), text);
}

function askForToken(text) {
  find("main").hidden = true;
  find("login").hidden = false;
  find("login-text").textContent = text;
  pulse("wait", "Waiting for a token");
  find("token").focus();
}

function show() {
  find("login").hidden = true;
  find("main").hidden = false;
  document.body.dataset.ready = "";
  showSegments();
  const isUp = feed.status.state !== "down";
  complain({ up: "", damaged: "Parts of this segment are damaged and left out: `shmetrics check` says which.",
    down: `There is no segment to show: ${visible(feed.status.problem ?? "")}. This page keeps trying.` }[feed.status.state]);
  find("main").classList.toggle("down", !isUp);
  if (isUp) {
    overview.update();
    showHealth();
    showWorkers();
  }
  showList();
  panel.update();
  if (feed.samples === 2) performance.mark("first-chart");
  pulse(isUp ? "live" : "bad", isUp ? "Live" : "No segment");
}

async function tick() {
  clearTimeout(timer);
  if (isAsking) return;
  isAsking = true;
  try {
    await feed.update();
    lastAnswer = Date.now();
    show();
  } catch (error) {
    if (error instanceof Refused) {
      const wasWrong = hasToken();
      setToken(null);
      askForToken(wasWrong
        ? "The exporter does not accept this token. Look for the right one in METRICS_TOKEN or its token file."
        : "This exporter shows its metrics to those who have a token.");
      return;
    }
    const since = lastAnswer ? ` What you see is ${age((Date.now() - lastAnswer) / 1000)} old.` : "";
    const isSilent = error instanceof TypeError || error.name === "TimeoutError";
    const reason = isSilent ? "The exporter does not answer." : error.message;
    pulse("bad", "No answer");
    find("main").hidden = false;
    complain(`${reason} Trying again.${since}`);
  } finally {
    isAsking = false;
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  const period = Number(find("interval").value);
  if (period === 0) return pulse("wait", "Paused");
  // Rates need a past: the first of it comes soon.
  if (!document.hidden) timer = setTimeout(tick, feed.samples < 2 ? 300 : period);
}

const themes = ["", "light", "dark"];
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  find("theme").setAttribute("aria-label", `Colours: ${theme || "as the system"}`);
  find("theme").title = find("theme").getAttribute("aria-label");
  localStorage.setItem("shmetrics-theme", theme);
  panel.redraw();
}

setTheme(localStorage.getItem("shmetrics-theme") ?? "");
for (const kind of kinds) {
  const input = element("input", { type: "radio", name: "kind", value: kind });
  input.checked = kind === "";
  find("kinds").append(element("label", {}, input, element("span", {}, kind || "all")));
}
const applyFilter = () => {
  list.filter(find("search").value, kindChosen());
  showList();
};
find("search").addEventListener("input", applyFilter);
find("kinds").addEventListener("change", applyFilter);
find("theme").addEventListener("click", () =>
  setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]));
find("interval").addEventListener("change", tick);
find("segment").addEventListener("change", (event) => {
  feed.choose(event.target.value);
  tick();
});
find("login").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(find("token").value.trim());
  find("token").value = "";
  tick();
});
document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : tick());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, dialog")) return;
  event.preventDefault();
  find("search").focus();
});
tick();
