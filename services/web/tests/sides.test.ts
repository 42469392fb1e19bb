import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../src/style/", import.meta.url);
const sheets = readdirSync(ROOT);

/** What names a side of the screen and means it: a paragraph's own side is the one from which it is read, in a page of either direction. */
const MEANT = [
  ".bubble:has(> .text:dir(ltr)) text-align: left",
  ".bubble:has(> .text:dir(ltr)) > .meta float: right",
  ".bubble:has(> .text:dir(ltr)) > .meta margin: 5px -2px -3px 12px",
  ".bubble:has(> .text:dir(rtl)) text-align: right",
  ".bubble:has(> .text:dir(rtl)) > .meta float: left",
  ".bubble:has(> .text:dir(rtl)) > .meta margin: 5px 12px -3px -2px",
];

interface Declaration {
  readonly selector: string;
  readonly property: string;
  readonly value: string;
}

/** The declarations of a style sheet, each with the selector that it stands under. */
function declarations(css: string): Declaration[] {
  const plain = css.replace(/\/\*[\s\S]*?\*\//g, "");
  return [...plain.matchAll(/([^{};]+)\{([^{}]*)\}/g)].flatMap(([, selector = "", body = ""]) =>
    body.split(";").flatMap((line) => {
      const [property, value] = [line.slice(0, line.indexOf(":")).trim(), line.slice(line.indexOf(":") + 1).trim()];
      return property ? [{ selector: selector.trim(), property, value }] : [];
    }),
  );
}

const inOneLine = ({ selector, property, value }: Declaration): string => `${selector} ${property}: ${value}`;

/** The parts of a value, but for what stands in brackets. */
function partsOf(value: string): string[] {
  return value.match(/(?:[^\s()]|\((?:[^()]|\([^()]*\))*\))+/g) ?? [];
}

/** What turns not with the direction of reading. */
function namesSide({ property, value }: Declaration): boolean {
  if (/(^|-)(left|right)(-|$)/.test(property)) return true;
  if (/^(text-align|float|clear|justify-content|justify-items|align-self|background-position|transform-origin|object-position)$/.test(property) && /\b(left|right)\b/.test(value)) return true;
  if (/\bto (left|right)\b/.test(value)) return true;
  const parts = partsOf(value);
  if (/^(margin|padding|inset|scroll-margin|scroll-padding|border-width|border-color|border-style)$/.test(property)) return parts.length === 4 && parts[1] !== parts[3];
  if (property === "border-radius") return parts.length > 1 && (parts.length < 4 || parts[0] !== parts[1] || parts[2] !== parts[3]);
  return /translate(X|3d)?\(\s*(?!0|calc\([^)]*var\(--direction\))/.test(value);
}

describe("style sheets name sides by the direction of reading", () => {
  test.each(sheets)("%s", (file) => {
    const found = declarations(readFileSync(new URL(file, ROOT), "utf8")).filter(namesSide);
    expect(found.map(inOneLine).filter((line) => !MEANT.includes(line))).toEqual([]);
  });

  test("and what is meant is still there", () => {
    const all = sheets.flatMap((file) => declarations(readFileSync(new URL(file, ROOT), "utf8"))).map(inOneLine);
    expect(MEANT.filter((line) => !all.includes(line))).toEqual([]);
  });

  test.each(["left: 0", "margin-right: 2px", "padding: 1px 2px 3px 4px", "inset: 0 0 0 auto", "border-left: 1px solid red", "border-top-left-radius: 2px", "border-radius: 4px 8px 8px 4px", "text-align: right", "float: left", "transform: translateX(-50%)", "background: linear-gradient(to right, red, blue)"])(
    "%s names a side",
    (line) => {
      expect(declarations(`.a { ${line}; }`).filter(namesSide)).toHaveLength(1);
    },
  );

  test.each(["inset-inline-start: 0", "padding: 1px 2px 3px", "padding: 1px calc(2px + 1px) 3px calc(2px + 1px)", "border-radius: 22px 22px 0 0", "text-align: start", "transform: translateX(calc(-50% * var(--direction)))", "filter: brightness(0.9)"])(
    "%s does not",
    (line) => {
      expect(declarations(`@media (min-width: 2px) { .a { ${line}; } }`).filter(namesSide)).toEqual([]);
    },
  );
});
