// The first screen: how is the application. Requests, errors and durations over all series of a family; by a label, if
// one is chosen.
import { quantile, quantiles } from "./feed.js";
import { element, measured, percent, say, sparkline, tiny, visible } from "./format.js";

const mostRows = 10;
const statusLabels = ["status", "status_code", "code"];
const requestNames = /(^|_)requests_total$/, durationNames = /(^|_)duration_seconds$/;
const svg = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);

/** Of several histograms' last 30 s: [above, up to, how many], together. */
function together(series) {
  const ends = new Map();
  for (const { moved } of series) {
    for (const [above, upTo, count] of moved ?? []) {
      const bucket = ends.get(upTo);
      if (bucket) bucket[2] += count;
      else ends.set(upTo, [above, upTo, count]);
    }
  }
  return [...ends.values()].sort((a, b) => a[1] - b[1]);
}

/** Its series by the value of this label. */
export function grouped(family, label) {
  const groups = new Map();
  for (const one of family?.series ?? []) {
    const value = Object.hasOwn(one.labels, label) ? one.labels[label] : "";
    if (!groups.has(value)) groups.set(value, []);
    groups.get(value).push(one);
  }
  return groups;
}

/** A quantile as text; if all observations are in the first bucket, nothing is known but its end. */
export function quantileText(family, q, buckets) {
  const counted = buckets.filter(([, , count]) => count > 0);
  const isFirst = counted.length === 1 && counted[0] === buckets[0];
  return isFirst ? `≤ ${measured(family, buckets[0][1])}` : measured(family, quantile(q, buckets));
}

/** The three of them, for a row of the list. */
export function quantileTexts(family, series) {
  const buckets = together(series);
  if (!buckets.some(([, , count]) => count > 0)) return "";
  return quantiles.map((q) => quantileText(family, q, buckets)).join(" · ");
}

const add = (numbers) => numbers.reduce((sum, number) => sum + (Number.isFinite(number) ? number : 0), 0);

export class Overview {
  #feed;
  #label = "";

  constructor(feed) {
    this.#feed = feed;
    find("by").addEventListener("change", ({ target }) => {
      this.#label = target.value;
      this.update();
    });
  }

  rate(series) {
    return add(series.map((one) => this.#feed.rate(one)));
  }

  /** Of the families of a type, the busiest of those that pass the first test that some pass. */
  #chosen(type, ...tests) {
    const all = this.#feed.families.filter((family) => family.type === type && family.series.length > 0);
    const some = tests.map((test) => all.filter(({ name }) => test(name))).find(({ length }) => length) ?? all;
    const speeds = new Map(some.map((family) => [family, this.rate(family.series)]));
    return [...speeds].sort((a, b) => b[1] - a[1])[0]?.[0];
  }

  /** The usual names; durations of the same requests, if they are measured. */
  #pair() {
    const requests = this.#chosen("counter", (name) => requestNames.test(name));
    const same = requests && requests.name.replace(/s_total$/, "_duration_seconds");
    return [requests, this.#chosen("histogram", (name) => name === same, (name) => durationNames.test(name))];
  }

  #errors(series) {
    const status = statusLabels.find((name) => series.some(({ labels }) => name in labels));
    if (!status) return null;
    return ["5", "4"].map((first) => this.rate(series.filter(({ labels }) => labels[status]?.startsWith(first))));
  }

  /** After each answer. */
  update() {
    const [requests, durations] = this.#pair();
    find("overview").hidden = !requests && !durations;
    if (requests || durations) {
      this.#showTiles(requests, durations);
      this.#showLabels(requests, durations);
    }
  }

  #showTiles(requests, durations) {
    const tiles = [];
    if (requests) {
      const speed = this.rate(requests.series), errors = this.#errors(requests.series);
      const line = this.#feed.lineOf(requests.series);
      const title = requestNames.test(requests.name) ? "Requests a second" : "Per second";
      tiles.push(this.#tile(title, tiny(speed), this.#change(line), { line,
        help: `${requests.name}: the increase of all its series a second, over the last 10 s` }));
      if (errors) {
        const [server, client] = errors, part = speed > 0 ? server / speed : 0;
        tiles.push(this.#tile("Errors", percent(part), `${tiny(server)}/s of 5xx, ${tiny(client)}/s of 4xx`, {
          isBad: part > 0.05, help: `${requests.name}: the part with a status of 500 and above` }));
      }
    }
    if (durations) {
      const buckets = together(durations.series);
      quantiles.forEach((q) => tiles.push(this.#tile(`p${q * 100}`, quantileText(durations, q, buckets), "of 30 s", {
        help: `${durations.name}: ${q * 100} % of the observations of all its series took at most this` })));
    }
    find("overview-tiles").replaceChildren(...tiles);
    const named = [requests, durations].filter(Boolean).map(({ name }) => name);
    say(find("overview-of"), named.join(" · "));
  }

  #tile(name, value, detail, { line, isBad, help }) {
    const made = element("div", { title: help }, element("dt", {}, name), element("dd", { class: "figure" }, value));
    const last = element("dd", { class: "quiet" }, detail);
    if (isBad) made.dataset.state = "bad";
    if (line) {
      const image = document.createElementNS(svg, "svg"), points = document.createElementNS(svg, "polyline");
      image.setAttribute("viewBox", "0 0 120 24");
      image.setAttribute("preserveAspectRatio", "xMinYMid");
      image.setAttribute("aria-hidden", "true");
      points.setAttribute("points", sparkline(line, 120, 24));
      image.append(points);
      made.append(element("dd", { class: "spark" }, image));
    }
    made.append(last);
    return made;
  }

  /** The last ten seconds against ten of two minutes ago, or of when the page was opened. */
  #change(line) {
    const times = this.#feed.slots().map((slot) => this.#feed.times[slot]);
    const now = times.at(-1), known = times.findIndex((time, i) => Number.isFinite(line[i]) && now - time <= 120);
    const mean = (isIn) => {
      const points = line.filter((value, i) => i >= known && Number.isFinite(value) && isIn(times[i]));
      return add(points) / points.length;
    };
    const then = mean((time) => time < times[known] + 10), seconds = Math.round(now - times[known]);
    const moved = mean((time) => time > now - 10) / then - 1;
    if (!Number.isFinite(moved) || !(seconds >= 20)) return "all series together";
    return `${moved < 0 ? "−" : "+"}${percent(Math.abs(moved))} in ${seconds} s`;
  }

  #showLabels(requests, durations) {
    const first = requests ?? durations;
    const names = [...new Set(first.series.flatMap(({ labels }) => Object.keys(labels)))];
    const choice = find("by");
    if (!names.includes(this.#label)) this.#label = "";
    if (["", ...names].join("\0") !== [...choice.options].map(({ value }) => value).join("\0")) {
      choice.replaceChildren(element("option", { value: "" }, "all together"),
        ...names.map((name) => element("option", { value: name }, `by ${name}`)));
      choice.value = this.#label;
    }
    find("overview-rows").hidden = this.#label === "";
    if (this.#label === "") return;
    const counted = grouped(requests, this.#label), took = grouped(durations, this.#label);
    const rows = [...(requests ? counted : took)].map(([value, series]) => [value, series, this.rate(series)])
      .sort((a, b) => b[2] - a[2]).slice(0, mostRows);
    find("overview-body").replaceChildren(...rows.map(([value, series, speed]) => {
      const errors = requests ? this.#errors(series) : null, buckets = together(took.get(value) ?? []);
      const texts = [visible(value) || "∅", `${tiny(speed)}/s`, errors && speed > 0 ? percent(errors[0] / speed) : "–",
        buckets.some(([, , count]) => count > 0) ? quantileText(durations, 0.95, buckets) : "–"];
      return element("tr", {}, ...texts.map((text, i) => element("td", { class: i ? "number" : "mono" }, text)));
    }));
  }
}
