import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { findEntities, segments } from "../src/core/entities.js";
import { hostOf, targetOf } from "../src/core/links.js";

interface Row {
  readonly trick: string;
  readonly text: string;
  readonly url: string;
  readonly taken: boolean;
}

/** The table that the service is tested by, too. */
const TABLE = JSON.parse(readFileSync(new URL("../../../tests/support/link_tricks.json", import.meta.url), "utf8")) as Row[];

describe("a link", () => {
  test("opens nothing but the web", () => {
    for (const url of ["javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "//a.example", "https:a.example", "blob:https://a.example/x", "vbscript:x", " https://a.example"]) {
      expect(targetOf("look", url)).toBeUndefined();
    }
  });

  test.each(TABLE.filter((row) => row.taken))("names the host that it opens: $trick", ({ url }) => {
    expect(new URL(url).hostname.replace(/\.$/u, "")).toBe(hostOf(url));
  });
});

describe("links of what one writes", () => {
  test("what the service would refuse stays a text, so that the message goes", () => {
    const texts = ["https://me:secret@a.example/", "https://a.example\\@b.example", "https://b\u0430nk.example/", "https://a.example/\u202egpj.exe", "https://a.example/\u{1f468}\u200d\u{1f469}", "https://b%61nk.example/", "https://a..b/", "https://a,b.example/", "https://a.example;b/", "https://💩.example/"];
    for (const text of texts) expect(findEntities(text, []), text).toEqual([]);
    expect(findEntities("see https://a.example/@ann", [])).toHaveLength(1);
  });

  test("every link that is found names its host", () => {
    for (const { text, url } of TABLE) {
      const written = `${text} ${url}`;
      for (const part of segments(written, findEntities(written, []))) {
        if (part.url) expect(targetOf(part.text, part.url)?.host, part.text).toBe(hostOf(part.url));
      }
    }
  });
});
