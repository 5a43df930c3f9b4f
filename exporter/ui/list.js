// Families and series as one long tree, of which only what is seen is built. The page scrolls, not the grid.
import { element, exact, say, short, sparkline, tiny, visible } from "./format.js";
import { quantileTexts } from "./overview.js";

const margin = 300; // pixels above and below that are built already
const mostPrinted = 2000; // rows on paper
const columns = [["Series", "Families, and below each its series"],
  ["Value", "What was counted since the segment was made"],
  ["Per second", "Increase a second, over the last 10 s"],
  ["p50 · p95 · p99", "Below which 50, 95 and 99 % of the observations of the last 30 s are"],
  ["History", "As long as this page is open"]];
const svg = "http://www.w3.org/2000/svg";
const sparkWidth = 120, sparkHeight = 24;

export class List {
  #root;
  #feed;
  #overview;
  #open;
  #isPrinted = false; // then all rows are built
  #rows = [];    // {family, series?, head: whether it names the family}
  #tops = [0];   // pixels; one more than rows
  #built = new Map(); // index -> element
  #folded = new Set();
  #active = 0;
  #filter = { words: [], kind: "" };

  /** `open` is called with a series that was chosen. */
  constructor(root, feed, overview, open) {
    this.#root = root;
    this.#feed = feed;
    this.#overview = overview;
    this.#open = open;
    const head = element("div", { role: "row", class: "row columns", "aria-rowindex": 1 });
    for (const [name, help] of columns) head.append(element("span", { role: "columnheader", title: help }, name));
    root.setAttribute("aria-colcount", columns.length);
    root.append(head);
    addEventListener("scroll", () => this.#build(), { passive: true });
    addEventListener("resize", () => this.update());
    for (const [event, isPrinted] of [["beforeprint", true], ["afterprint", false]]) {
      addEventListener(event, () => {
        this.#isPrinted = isPrinted;
        this.#build(true);
      });
    }
    root.addEventListener("click", (event) => this.#choose(this.#indexOf(event.target)));
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("focusin", (event) => this.#activate(this.#indexOf(event.target)));
  }

  filter(text, kind) {
    this.#filter = { words: text.toLowerCase().split(/\s+/).filter(Boolean), kind };
    this.#active = 0;
    this.update();
  }

  /** After each answer: the rows anew. Returns how many series and families pass the filter. */
  update() {
    const { words, kind } = this.#filter;
    const style = getComputedStyle(this.#root);
    const [headHeight, rowHeight] = ["--head", "--row"].map((name) => parseFloat(style.getPropertyValue(name)));
    const columnsHeight = this.#root.firstChild.offsetHeight;
    const focused = this.#root.contains(document.activeElement) ? this.#rows[this.#active] : null;
    this.#rows = [];
    this.#tops = [columnsHeight];
    let top = columnsHeight, count = 0, families = 0;
    const add = (row, height) => {
      this.#rows.push(row);
      this.#tops.push(top += height);
    };
    for (const family of this.#feed.families) {
      if (kind && family.type !== kind) continue;
      const missing = words.filter((word) => !family.haystack.includes(word));
      const found = family.series.filter((series) => missing.every((word) => series.haystack.includes(word)));
      if (found.length === 0 && (missing.length > 0 || family.series.length > 0)) continue;
      count += found.length;
      ++families;
      if (found.length === 1 && Object.keys(found[0].labels).length === 0) {
        add({ family, series: found[0], head: true }, headHeight);
        continue;
      }
      add({ family, head: true, found }, headHeight);
      if (this.#folded.has(family.name)) continue;
      for (const series of found) add({ family, series, head: false }, rowHeight);
    }
    if (focused) {
      const isSame = (row) => row.family.name === focused.family.name && row.series === focused.series;
      this.#active = Math.max(0, this.#rows.findIndex(isSame));
    }
    this.#root.style.height = `${top}px`;
    this.#root.setAttribute("aria-rowcount", this.#rows.length + 1);
    this.#root.hidden = this.#rows.length === 0;
    this.#build(true);
    return { count, families };
  }

  #at(y) { // the row at this height, by halves
    let low = 0, high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #build(fill = false) {
    const top = this.#root.getBoundingClientRect().top;
    const end = this.#isPrinted ? mostPrinted : this.#at(innerHeight - top + margin);
    const first = this.#isPrinted ? 0 : this.#at(-top - margin), last = Math.min(this.#rows.length - 1, end);
    const wanted = new Set(Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i));
    // The row with the focus stays, or the focus would be lost.
    const isFocused = this.#built.get(this.#active) === document.activeElement;
    if (isFocused && this.#active < this.#rows.length) wanted.add(this.#active);
    for (const [index, node] of this.#built) {
      const { family, series, head } = wanted.has(index) ? this.#rows[index] : {};
      if (node.family === family?.name && node.series === series && node.isHead === head) continue;
      node.remove();
      this.#built.delete(index);
    }
    let before = this.#root.firstChild;
    for (const index of [...wanted].sort((a, b) => a - b)) {
      const isNew = !this.#built.has(index);
      if (isNew) this.#built.set(index, this.#make(this.#rows[index]));
      const node = this.#built.get(index);
      if (before.nextSibling !== node) before.after(node);
      before = node;
      if (!isNew && !fill) continue;
      node.style.transform = `translateY(${this.#tops[index]}px)`;
      node.setAttribute("aria-rowindex", index + 2);
      this.#fill(node, this.#rows[index]);
    }
    this.#tab();
  }

  #make({ family, series, head }) {
    const row = element("div", { role: "row", class: head ? "row head" : "row", "aria-level": head ? 1 : 2 });
    Object.assign(row, { family: family.name, series, isHead: head });
    const name = element("div", { role: "rowheader", class: "name" });
    row.append(name);
    if (head) {
      const line = element("div", { class: "line" }, element("span", { class: "mono strong" }, family.name),
        element("span", { class: "badge", "data-kind": family.type }, `${family.type} ${family.mode ?? ""}`.trim()));
      name.append(line, element("div", { class: "quiet help" }, visible(family.help)));
    } else {
      name.classList.add("mono", "labels");
      for (const [label, value] of Object.entries(series.labels)) {
        const key = element("span", { class: "quiet" }, `${label}=`);
        name.append(element("span", { class: "label" }, key, visible(value) || "∅"), " ");
      }
    }
    for (const kind of ["value", "rate", "quantiles"]) row.append(element("div", { role: "gridcell", class: kind }));
    const cell = element("div", { role: "gridcell", class: "spark" });
    if (series) {
      const image = document.createElementNS(svg, "svg");
      image.setAttribute("viewBox", `0 0 ${sparkWidth} ${sparkHeight}`);
      image.setAttribute("aria-hidden", "true");
      image.append(document.createElementNS(svg, "polyline"));
      cell.append(image);
    }
    row.append(cell);
    return row;
  }

  #fill(node, { family, series, found }) {
    const [, value, rate, parts, spark] = node.children;
    if (!series) {
      node.setAttribute("aria-expanded", String(!this.#folded.has(family.name)));
      say(value, found.length === 1 ? "1 series" : `${short(found.length)} series`);
      if (!found[0]?.grows) return;
      const together = this.#overview.rate(found);
      say(rate, this.#feed.samples > 1 ? `${tiny(together)}/s` : "");
      return say(parts, quantileTexts(family, found));
    }
    say(value, short(series.now));
    value.title = exact(series.now);
    const speed = this.#feed.rate(series);
    say(rate, Number.isFinite(speed) ? `${tiny(speed)}/s` : "");
    say(parts, quantileTexts(family, [series]));
    spark.firstChild.firstChild.setAttribute("points", sparkline(this.#feed.line(series), sparkWidth, sparkHeight));
  }

  #indexOf(target) {
    const node = target.closest("[role=row]");
    for (const [index, built] of this.#built) if (built === node) return index;
    return -1;
  }

  #choose(index) {
    const row = this.#rows[index];
    if (!row) return;
    if (row.series) return this.#open(row.series);
    if (!this.#folded.delete(row.family.name)) this.#folded.add(row.family.name);
    this.update();
  }

  /** One row of all is in the order of tabs; the arrows go on from there. */
  #tab() {
    const active = this.#built.has(this.#active) ? this.#active : this.#built.keys().next().value;
    for (const [index, node] of this.#built) node.tabIndex = index === active ? 0 : -1;
  }

  #activate(index) {
    if (index < 0) return;
    this.#active = index;
    this.#tab();
  }

  #key(event) {
    const page = 12, last = this.#rows.length - 1;
    const to = { ArrowDown: this.#active + 1, ArrowUp: this.#active - 1, Home: 0, End: last,
      PageDown: this.#active + page, PageUp: this.#active - page }[event.key];
    if (event.key === "Enter" || event.key === " ") this.#choose(this.#active);
    else if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else this.#focus(Math.min(last, Math.max(0, to)));
    event.preventDefault();
  }

  #focus(index) {
    this.#active = index;
    const top = this.#root.getBoundingClientRect().top + this.#tops[index];
    const covered = document.querySelector(".tools").getBoundingClientRect().height + 48;
    if (top < covered) scrollBy(0, top - covered);
    else if (top > innerHeight - 80) scrollBy(0, top - innerHeight + 80);
    this.#build();
    this.#built.get(index)?.focus({ preventScroll: true });
  }
}
