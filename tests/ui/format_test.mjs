// What the page makes of text, without a browser. Usage: node --test format_test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const source = readFileSync(new URL("../../exporter/ui/format.js", import.meta.url), "utf8");
const { visible } = await import("data:text/javascript," + encodeURIComponent(source));

test("what would not be seen, or would turn its neighbours around, is shown", () => {
  assert.equal(visible("a\u0000b\n"), "a\u2400b\u240a");
  assert.equal(visible("live\u202eetats"), "live<U+202E>etats");
  for (const [unseen, shown] of [
    ["\u007f", "007F"], ["\u009b", "009B"], ["\u061c", "061C"], ["\u200b", "200B"], ["\u200f", "200F"],
    ["\u2028", "2028"], ["\u2029", "2029"], ["\u202a", "202A"], ["\u2066", "2066"], ["\ufeff", "FEFF"],
    ["\u00ad", "00AD"], ["\u034f", "034F"], ["\u115f", "115F"], ["\u180e", "180E"], ["\u3164", "3164"],
    ["\ufe00", "FE00"], ["\ufe0f", "FE0F"], ["\u{e0000}", "E0000"], ["\u{e0041}", "E0041"], ["\u{e007f}", "E007F"],
  ]) assert.equal(visible(`a${unseen}`), `a<U+${shown}>`);
});

test("other text stays as it is", () => {
  for (const text of ["", "café 中 \u00a0", "<b>&amp;", "ا", "😀"]) assert.equal(visible(text), text);
});
