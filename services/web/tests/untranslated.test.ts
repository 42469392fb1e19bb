import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { untranslated } from "./untranslated";

const ROOT = new URL("../src/", import.meta.url);
const sources = readdirSync(ROOT, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name) && !name.startsWith("texts/"));

/** An error that only developers see; and languages, which are called what their speakers call them. */
const NOT_SHOWN = [/^trusted-types\.ts:\d+: Not a script of ours:/, /^language\.ts:\d+: (English|Español)$/];

describe("texts", () => {
  test.each(sources)("%s has none of its own: they are in the catalogs", (file) => {
    const found = untranslated(file, readFileSync(new URL(file, ROOT), "utf8"));
    expect(found.filter((line) => !NOT_SHOWN.some((pattern) => pattern.test(line)))).toEqual([]);
  });
});

describe("a text of a component's own is found", () => {
  test.each([
    ["an element's text", "<p>Hello</p>"],
    ["an element's text in another script", "<p>مرحبا</p>"],
    ["a name that is heard", '<button aria-label="close" />'],
    ["a name with something filled in", "<button title={`remove ${name}`} />"],
    ["one of two names", '<input placeholder={on ? "yes" : t("no")} />'],
    ["one of two texts", '<p>{on ? "yes" : t("no")}</p>'],
    ["a text that is there at times", '<p>{on && "yes"}</p>'],
    ["a text that is put together", '<p>{name + " is here"}</p>'],
    ["a table's label", '<p>{NAMES[x]}{({ a: "Everyone" })}</p>'],
    ["what is filled into a text", '<p>{t("x", { who: "Somebody" })}</p>'],
  ])("%s", (_, source) => {
    expect(untranslated("a.tsx", `export const A = () => ${source};`)).toHaveLength(1);
  });

  test("and what nobody reads is not", () => {
    const source = '<p class={on ? "big" : "small"} role="status" data-testid="x">{t("some.key", { name })}{key === "ArrowUp" && <i id="a" />} · {run("x")}</p>';
    expect(untranslated("a.tsx", `export const A = () => ${source};`)).toEqual([]);
  });
});
