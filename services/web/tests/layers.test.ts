import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../src/", import.meta.url);
const sources = readdirSync(ROOT, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
const textOf = (file: string) => readFileSync(new URL(file, ROOT), "utf8");
const imports = (file: string) => [...textOf(file).matchAll(/from "([^"]+)"/g)].map((match) => match[1] ?? "");

describe("layers", () => {
  test.each(sources)("%s uses the library by its public face", (file) => {
    const others = imports(file).filter((path) => !/^\.\.?\//.test(path));
    expect(others.filter((path) => !/^(@parley\/client(\/(notices|lists|playback|previews|stickers))?$|preact)/.test(path))).toEqual([]);
  });

  test.each(sources)("%s gives no request up: what a page gave up itself has to be known to the library", (file) => {
    expect(textOf(file)).not.toMatch(/\b(?!request\b)\w+\??\.abort\(/);
  });
});
