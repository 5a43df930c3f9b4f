// Numbers, times and elements as people read them. Text always goes in as text: a label value may hold anything.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const steps = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** Every digit, in groups of three: a number, a BigInt, or "NaN", "+Inf", "-Inf". */
export function exact(value) {
  if (typeof value === "string") return value.replace("Inf", "∞").replace("-", "−");
  if (typeof value === "bigint" || Number.isInteger(value)) return whole.format(value);
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e15
    ? value.toLocaleString("en", { maximumSignificantDigits: 17 }) : String(value);
}

/** Five digits at most. */
export function short(value) {
  if (typeof value === "string") return exact(value);
  if (typeof value === "bigint") value = Number(value);
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return whole.format(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(2);
  return fine.format(value);
}

/** Three digits and k, M, G. */
export function tiny(value) {
  if (!Number.isFinite(value)) return "–";
  const rounded = Number(value.toPrecision(3)), size = Math.abs(rounded);
  const [step, letter] = steps.find(([least]) => size >= least) ?? [1, ""];
  return size !== 0 && size < 1e-3 ? value.toExponential(1) : Number((rounded / step).toPrecision(3)) + letter;
}

/** Three digits; two below a tenth. */
export const percent = (part) => `${Number((part * 100).toPrecision(part > 0 && part < 0.1 ? 2 : 3))} %`;

const siUnits = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];

/** A number of this family, in its unit where the name says it. */
export function measured(family, value) {
  if (!Number.isFinite(value)) return "–";
  if (/seconds/.test(family.name)) {
    const [step, unit] = siUnits.find(([size]) => Math.abs(value) >= size) ?? [1, "s"];
    return `${tiny(value / step)} ${unit}`;
  }
  return tiny(value) + (/bytes/.test(family.name) ? " B" : "");
}

/** Two units at most: 3 d 4 h, 12 m 5 s. */
export function age(seconds) {
  if (!(seconds >= 0)) return "–";
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = Math.max(0, parts.findIndex(([size]) => seconds >= size));
  if (seconds < 1) return "0 s";
  let text = "";
  for (const [size, letter] of parts.slice(first, first + 2)) {
    text += `${Math.floor(seconds / size)} ${letter} `;
    seconds %= size;
  }
  return text.trim();
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  return size < 1 << 20 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / (1 << 20)).toFixed(1)} MiB`;
}

/**
 * What would be seen as nothing, or turn around what stands beside it, is shown: control characters by their picture,
 * others by their number.
 */
export function visible(text) {
  return text
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u2028\u2029\p{Default_Ignorable_Code_Point}]/gu,
      (c) => `<U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

/** An element with attributes and children; a string is text, never markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Sets the text only where it changed, so that nothing is laid out again for nothing. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Points of an SVG polyline over width x height; what is not finite is left out. */
export function sparkline(values, width, height) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return "";
  const flat = high === low;
  const step = width / Math.max(1, values.length - 1);
  let points = "";
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    const y = flat ? height / 2 : height - 1.5 - (value - low) / (high - low) * (height - 3);
    points += `${(i * step).toFixed(1)},${y.toFixed(1)} `;
  });
  return points;
}
