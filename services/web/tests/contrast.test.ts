import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const css = readFileSync(new URL("../src/style/base.css", import.meta.url), "utf8");
/** By WCAG 2.2, 1.4.3: of text that is not large. */
const LEAST = 4.5;

/** Relative luminance (WCAG 2.2) of `#rrggbb`. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const tones = [...css.matchAll(/\.(tone-\d) \{\s*background: (#[0-9a-f]{6});/g)].map(([, name = "", colour = ""]) => [name, colour] as const);

test("all tints of faces are looked at", () => {
  expect(tones.map(([name]) => name)).toEqual(["tone-0", "tone-1", "tone-2", "tone-3", "tone-4", "tone-5"]);
});

test.each(tones)("white initials can be read on %s", (_, colour) => {
  expect(contrast("#ffffff", colour)).toBeGreaterThanOrEqual(LEAST);
});

// A file in one's own bubble stands on the accent, darkened.
const accents = [...css.matchAll(/--accent: (#[0-9a-f]{6});/g)].map(([, colour = ""]) => colour);

test.each(accents)("one's own messages can be read on %s", (colour) => {
  expect(contrast("#ffffff", colour)).toBeGreaterThanOrEqual(LEAST);
});

test("in light and in dark", () => expect(accents.length).toBeGreaterThanOrEqual(2));
