// What the exporter says, asked for again and again, and what it said before: the server keeps no history.
//
// Two requests in turn, never at once: the snapshot of the segment, and the self metrics, which say what was dropped.

const kept = 150;           // samples a series
const rateSeconds = 10;     // what the rate in the list is taken over
const quantileSeconds = 30; // and the quantiles
const tokenKey = "shmetrics-token";
export const quantiles = [0.5, 0.95, 0.99];

/** A credential is missing or wrong. */
export class Refused extends Error {}

// A page opened by ?token= goes on by header: the address in history and bookmarks has no token.
const address = new URL(location.href);
if (address.searchParams.has("token")) {
  sessionStorage.setItem(tokenKey, address.searchParams.get("token"));
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}
export const hasToken = () => sessionStorage.getItem(tokenKey) !== null;
export function setToken(token) {
  if (token) sessionStorage.setItem(tokenKey, token);
  else sessionStorage.removeItem(tokenKey);
}

async function ask(path) {
  const token = sessionStorage.getItem(tokenKey);
  // What no header can hold is no token; fetch would fail as if the exporter were silent.
  if (token !== null && !/^[!-~]+$/.test(token)) throw new Refused();
  // With a token of ours a 401 is for this page to explain, not for the browser's own prompt.
  const response = await fetch(path, {
    headers: token === null ? {} : { Authorization: `Bearer ${token}` },
    credentials: token === null ? "same-origin" : "omit",
    cache: "no-store",
    signal: AbortSignal.timeout(10_000),
  });
  if (response.status === 401) throw new Refused();
  if (!response.ok) throw new Error(`The exporter answered ${response.status}: ${(await response.text()).trim()}.`);
  return response.text();
}

/** u64 in all their digits: what a double cannot hold becomes a BigInt, where the browser shows the source. */
export function parseJson(text) {
  if (!/[:,]\d{16,}[,}\]]/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) => {
    const isCut = typeof value === "number" && !Number.isSafeInteger(value) && /^\d+$/.test(context?.source);
    return isCut ? BigInt(context.source) : value;
  });
}

/** name -> [{labels, value}] of text format 0.0.4; the self metrics have no odd label values but names of segments. */
export function parseText(text) {
  const samples = {};
  for (const line of text.split("\n")) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)$/s.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
    }
    (samples[found[1]] ??= []).push({ labels, value: Number(found[3]) });
  }
  return samples;
}

const selfMetrics = ["segment_up", "slots", "worker_deaths_total", "declarations_refused_total",
  "updates_dropped_total", "series_overflow_total", "values_refused_total"];
const selfPath = "../metrics?" + selfMetrics.map((name) => `name[]=shmetrics_${name}`).join("&");

/** A histogram as [above, up to, how many]: its native buckets, if it has some. */
export function bucketsOf({ buckets, native }) {
  const number = (bound) => bound === "+Inf" ? Infinity : Number(bound);
  if (native) {
    return [[0, native.zero_threshold, native.zero_count], ...native.buckets]
      .map(([above, upTo, count]) => [above, number(upTo), Number(count)]);
  }
  let above = Math.min(0, number(buckets[0][0])), before = 0;
  return buckets.map(([bound, upToBound]) => {
    const bucket = [above, number(bound), Number(upToBound) - before];
    [above, before] = [bucket[1], Number(upToBound)];
    return bucket;
  });
}

/** The value below which the part q of the observations is, as Prometheus' histogram_quantile has it. */
export function quantile(q, buckets) {
  const wanted = q * buckets.reduce((sum, [, , count]) => sum + count, 0);
  if (!(wanted > 0)) return NaN;
  let before = 0;
  for (const [above, upTo, count] of buckets) {
    if (before + count >= wanted) return upTo === Infinity ? above : above + (upTo - above) * ((wanted - before) / count);
    before += count;
  }
  return NaN;
}

/** One series with its past; `values` is a ring in step with Feed.times. */
class Series {
  constructor(key, family, labels) {
    this.key = key;
    this.family = family;
    this.labels = labels;
    this.haystack = Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(",").toLowerCase();
    this.values = new Float64Array(kept).fill(NaN);
    this.isDistribution = family.type === "histogram" || family.type === "summary";
    this.grows = this.isDistribution || family.type === "counter";
    if (family.type === "histogram") {
      this.past = []; // [time, count, end of a bucket -> how many are in it]
      this.quantiles = quantiles.map(() => new Float64Array(kept).fill(NaN));
    }
  }

  take(now, slot, said) {
    this.now = this.isDistribution ? said.count : said.value;
    this.sum = said.sum;
    this.values[slot] = Number(String(this.now).replace("Inf", "Infinity"));
    if (!this.past) return;
    const buckets = bucketsOf(said);
    while (this.past.length > 1 && now - this.past[1][0] >= quantileSeconds) this.past.shift();
    const [, countThen, then] = this.past[0] ?? [];
    // Native buckets come with their first observation.
    const moved = then && this.now >= countThen
      ? buckets.map(([above, upTo, count]) => [above, upTo, count - (then.get(upTo) ?? 0)]) : buckets;
    this.moved = then ? moved : null;
    this.recent = quantiles.map((q) => then ? quantile(q, moved) : NaN);
    this.recent.forEach((value, i) => { this.quantiles[i][slot] = value; });
    this.past.push([now, this.now, new Map(buckets.map(([, upTo, count]) => [upTo, count]))]);
  }
}

export class Feed {
  times = new Float64Array(kept).fill(NaN);
  samples = 0;
  series = new Map();
  families = [];
  segment = "";

  /** Another segment, another past. */
  choose(segment) {
    this.segment = segment;
    this.series.clear();
    this.families = [];
    this.times.fill(NaN);
    this.samples = 0;
  }

  /** Asks once. Throws Refused, or an Error with one sentence. */
  async update() {
    const segment = this.segment;
    this.self = parseText(await ask(selfPath));
    this.segments = (this.self.shmetrics_segment_up ?? []).map(({ labels }) => labels.segment ?? "");
    const query = segment ? `?segment=${encodeURIComponent(segment)}` : "";
    const snapshot = parseJson(await ask("../api/v1/snapshot" + query));
    if (segment !== this.segment) return this.update();
    // The exporter's first one, as long as none was chosen.
    if (this.status && this.status.path !== snapshot.segment.path) this.choose(segment);
    this.status = snapshot.segment;
    this.workers = snapshot.workers;
    this.#take(snapshot.families);
  }

  #take(families) {
    const now = performance.now() / 1000, slot = this.samples % kept, seen = new Map();
    this.times[slot] = now;
    for (const family of families) {
      family.haystack = `${family.name} ${family.help} ${family.type}`.toLowerCase();
      family.series = family.series.map((said) => {
        const key = `${family.name} ${family.type} ${JSON.stringify(said.labels)}`; // generations differ in names
        let series = this.series.get(key);
        if (!series) series = new Series(key, family, said.labels);
        series.family = family;
        series.take(now, slot, said);
        seen.set(key, series);
        return series;
      });
    }
    this.series = seen;
    this.families = families;
    ++this.samples;
  }

  /** The slots that are filled, the oldest first. */
  slots() {
    const count = Math.min(this.samples, kept);
    return Array.from({ length: count }, (_, i) => (this.samples - count + i) % kept);
  }

  /** Increase a second between two slots; what went down has begun anew. */
  #slope(series, from, to) {
    const delta = series.values[to] - series.values[from];
    return (delta < 0 ? series.values[to] : delta) / (this.times[to] - this.times[from]);
  }

  /** A second, over the last ten; NaN where there is no past, or nothing that grows. */
  rate(series) {
    const slots = this.slots(), last = slots.at(-1);
    if (!series.grows || slots.length < 2) return NaN;
    const from = slots.find((slot) => slot !== last && this.times[last] - this.times[slot] <= rateSeconds
      && !Number.isNaN(series.values[slot])) ?? slots.at(-2);
    return this.#slope(series, from, last);
  }

  /** The rates of several, added up. */
  lineOf(series) {
    const lines = series.map((one) => this.line(one));
    return this.slots().map((_, i) => {
      const known = lines.map((line) => line[i]).filter(Number.isFinite);
      return known.length ? known.reduce((sum, rate) => sum + rate) : NaN;
    });
  }

  /** What the sparkline shows: the rate of what grows, the value of what does not. */
  line(series) {
    const slots = this.slots();
    if (!series.grows) return slots.map((slot) => series.values[slot]);
    return slots.map((slot, i) => i === 0 ? NaN : this.#slope(series, slots[i - 1], slot));
  }
}
