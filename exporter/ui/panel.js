// One series in full: its labels, its numbers, its past as charts. The charts are uPlot's; a build without it draws the
// sparkline large.
import uPlot from "./uplot.js";
import { element, exact, measured, say, short, sparkline, tiny, visible } from "./format.js";
import { quantiles } from "./feed.js";

const width = 540, height = 190;
const svg = "http://www.w3.org/2000/svg";
const epoch = Date.now() / 1000 - performance.now() / 1000;
const find = (id) => document.getElementById(id);

/** What the chart is drawn in: the style sheet's, whatever the theme. */
function ink(name) {
  const probe = element("i", { class: name });
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

function options(size, names, format, from0) {
  const quiet = ink("ink-quiet"), line = ink("ink-line"), font = "11px Inter, system-ui, sans-serif";
  const axis = { stroke: quiet, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  return {
    width: size, height, cursor: { y: false, points: { size: 6 } }, legend: { show: true }, padding: [10, 8, 0, 0],
    scales: { y: { range: (_, low, high) => from0 ? [0, high * 1.1 || 1] : uPlot.rangeNum(low, high, 0.1, true) } },
    axes: [{ ...axis, size: 28, space: 84, values: (_, splits) => splits.map(clock) },
      { ...axis, size: 62, values: (_, splits) => splits.map(format) }],
    series: [{ value: (_, at) => at === null ? "–" : clock(at) },
      ...names.map((label, i) => ({ label, stroke: ink(`ink-${i}`), width: 1.75, points: { show: false },
        fill: names.length === 1 ? ink("ink-wash") : undefined, value: (_, at) => at === null ? "–" : format(at) }))],
  };
}

const pairs = (list) =>
  list.map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text)));

export class Panel {
  #feed;
  #series = null;
  #charts = []; // {lines: () => arrays, plot or polyline}
  #dialog = find("panel");

  constructor(feed) {
    this.#feed = feed;
    find("panel-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#dialog.addEventListener("close", () => { this.#series = null; this.#clear(); });
    addEventListener("resize", () => this.redraw());
  }

  open(series) {
    const { family } = this.#series = series;
    say(find("panel-kind"), [family.type, family.mode, family.unit].filter(Boolean).join(" · "));
    find("panel-kind").dataset.kind = family.type;
    say(find("panel-title"), family.name);
    say(find("panel-help"), visible(family.help));
    const labels = Object.entries(series.labels).map(([name, value]) => [name, visible(value) || "∅"]);
    find("panel-labels").replaceChildren(...pairs(labels));
    this.#dialog.showModal();
    this.redraw();
  }

  /** After each answer. */
  update() {
    if (!this.#series) return;
    find("panel-numbers").replaceChildren(...pairs(this.#numbers()));
    const times = this.#feed.slots().map((slot) => epoch + this.#feed.times[slot]);
    for (const { lines, plot, polyline } of this.#charts) {
      const values = lines();
      plot?.setData([times, ...values.map((line) => line.map((value) => Number.isFinite(value) ? value : null))]);
      polyline?.setAttribute("points", sparkline(values[0], width, height));
    }
  }

  /** The charts anew: for another width or theme. */
  redraw() {
    if (!this.#series) return;
    this.#clear();
    const { family, grows, quantiles: past } = this.#series, per = (value) => `${tiny(value)}/s`;
    const unit = (value) => measured(family, value);
    if (past && uPlot) { // lines that share no scale would be a lie
      this.#chart("Quantiles of the last 30 s", quantiles.map((q) => `p${q * 100}`), unit,
        () => past.map((ring) => this.#feed.slots().map((slot) => ring[slot])));
    }
    this.#chart(grows ? "Per second" : "Value", [grows ? "rate" : "value"], grows ? per : unit,
      () => [this.#feed.line(this.#series)]);
    this.update();
  }

  #numbers() {
    const { now, sum, family, isDistribution, recent, key } = this.#series, rate = this.#feed.rate(this.#series);
    const numbers = [[isDistribution ? "Count" : "Value", exact(now)]];
    if (Number.isFinite(rate)) numbers.push(["Per second", tiny(rate)]);
    if (isDistribution) numbers.push(["Sum", short(sum)], ["Mean", measured(family, sum / Number(now))]);
    recent?.forEach((value, i) => numbers.push([`p${quantiles[i] * 100}`, measured(family, value)]));
    return this.#feed.series.has(key) ? numbers : [["Gone", "no longer in the segment"], ...numbers];
  }

  #chart(title, names, format, lines) {
    const place = element("div", { class: "chart", role: "img", "aria-label": `${title}, over the last minutes` });
    find("panel-charts").append(element("h3", {}, title), place);
    if (uPlot) {
      const wanted = options(place.clientWidth - 16, names, format, this.#series.grows);
      const plot = new uPlot(wanted, [[], ...names.map(() => [])], place);
      return this.#charts.push({ lines, plot });
    }
    const [image, polyline] = ["svg", "polyline"].map((name) => document.createElementNS(svg, name));
    image.setAttribute("viewBox", `0 0 ${width} ${height}`);
    image.append(polyline);
    place.append(image);
    this.#charts.push({ lines, polyline });
  }

  #clear() {
    for (const { plot } of this.#charts) plot?.destroy();
    this.#charts = [];
    find("panel-charts").replaceChildren();
  }
}
