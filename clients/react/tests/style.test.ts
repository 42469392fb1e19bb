import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { from } from "../vitest.config.js";

const css = readFileSync(from("src/style.css"), "utf8");
const sources = readdirSync(from("src"))
  .filter((name) => name.endsWith(".tsx"))
  .map((name) => readFileSync(from(`src/${name}`), "utf8"))
  .join("\n");
const all = (text: string, pattern: RegExp): string[] => [...new Set([...text.matchAll(pattern)].map(([, found = ""]) => found))].sort();

test("every class of the style sheet is drawn", () => {
  // Of one row, the name is put together: parley-day, parley-line.
  expect(sources).toContain("`parley-${row.kind}`");
  const drawn = new Set([...all(sources, /\b(parley(?:-[a-z]+)*)\b/g), "parley-day", "parley-line"]);
  expect(all(css, /\.(parley(?:-[a-z]+)*)\b/g).filter((name) => !drawn.has(name))).toEqual([]);
});

test("sides are named by the direction of reading", () => {
  expect(all(css, /\b((?:margin|padding|border|inset)-(?:left|right|top|bottom)|(?:left|right|text-align: (?:left|right)))\b/g)).toEqual([]);
});

test("every colour is a variable, and the docs have every variable", () => {
  const docs = readFileSync(from("../../docs/start/react.md"), "utf8");
  expect(all(css, /var\((--parley-[a-z-]+)/g).filter((name) => !docs.includes(`\`${name}\``))).toEqual([]);
  const rules = css.split("\n").filter((line) => !line.includes("var(--parley-"));
  expect(rules.filter((line) => /#[0-9a-f]{3,8}\b|\brgb|\bhsl/i.test(line))).toEqual([]);
});

/** What WCAG calls relative luminance. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const contrast = (a: string, b: string): number => {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
};

const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");
const colours = (part: string): Record<string, string> => Object.fromEntries([...part.matchAll(/var\(--parley-([a-z-]+), (#[0-9a-f]{6})\)/g)].map(([, name, value]) => [name, value]));
/** What is written on what. */
const PAIRS = [
  ...["background", "raised", "hover", "selected", "bubble"].map((ground) => ["text", ground]),
  ...["background", "raised", "hover", "selected", "bubble"].map((ground) => ["text-quiet", ground]),
  ["accent", "background"],
  ["accent", "hover"],
  ["accent", "selected"],
  ["accent", "bubble"],
  ["danger", "background"],
  ["danger", "hover"],
  ["danger", "selected"],
  ["on-accent", "accent"],
  ["on-danger", "danger"],
  ["on-own-bubble", "own-bubble"],
  ["on-stage", "stage"],
];

test.each([
  ["light", colours(light)],
  ["dark", { ...colours(light), ...colours(dark) }],
])("words can be read on their ground: %s", (_, values) => {
  expect(Object.keys(values).length).toBeGreaterThan(15);
  const poor = PAIRS.map(([word = "", ground = ""]) => [word, ground, contrast(values[word] ?? "", values[ground] ?? "")] as const).filter(([, , ratio]) => !(ratio >= 4.5));
  expect(poor).toEqual([]);
});
