import { readFileSync } from "node:fs";
import { h } from "preact";
import { render } from "preact-render-to-string";
import { describe, expect, test } from "vitest";
import { findEntities, segments } from "../src/parley/core/entities";
import { hostOf, targetOf } from "../src/parley/core/links";
import { RichText } from "../src/ui/rich-text";

interface Row {
  readonly trick: string;
  readonly text: string;
  readonly url: string;
  readonly taken: boolean;
}

/** The table that the service is tested by, too. */
const TABLE = JSON.parse(readFileSync(new URL("../../../tests/support/link_tricks.json", import.meta.url), "utf8")) as Row[];

function drawn(text: string, url: string): string {
  const entities = [{ offset: 0, length: [...text].length, kind: "link" as const, url }];
  return render(h(RichText, { text, entities, selfId: "me" }));
}

describe("a link that the page draws", () => {
  test.each(TABLE.filter((row) => !row.taken))("hides no other host: $trick", ({ text, url }) => {
    const html = drawn(text, url);
    const host = targetOf(text, url)?.host;
    if (host === undefined) expect(html).not.toContain("href");
    else expect(html).toContain(`<span class="link-host"> (${host})</span>`);
  });

  test.each(TABLE.filter((row) => row.taken))("opens what it says: $trick", ({ text, url }) => {
    const html = drawn(text, url);
    expect(html).toContain('target="_blank" rel="noopener noreferrer"');
    expect(html).toMatch(/<a [^>]*><bdi>/u);
    expect(new URL(url).hostname.replace(/\.$/u, "")).toBe(hostOf(url));
  });

  test("says its host unless its text is that host", () => {
    expect(drawn("https://a.example/x", "https://a.example/x")).not.toContain("link-host");
    expect(drawn("A.example", "https://a.example/")).not.toContain("link-host");
    expect(drawn("look", "https://a.example/")).toContain(" (a.example)");
    expect(drawn("https://аррӏе.com", "https://аррӏе.com")).toContain(" (xn--80ak6aa92e.com)");
    expect(drawn("https://bücher.example", "https://bücher.example")).toContain(" (xn--bcher-kva.example)");
  });

  test("opens nothing but the web", () => {
    for (const url of ["javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "//a.example", "https:a.example", "blob:https://a.example/x", "vbscript:x", " https://a.example"]) {
      expect(targetOf("look", url)).toBeUndefined();
    }
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
