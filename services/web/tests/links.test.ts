import { readFileSync } from "node:fs";
import { targetOf } from "@parley/client";
import { h } from "preact";
import { render } from "preact-render-to-string";
import { describe, expect, test } from "vitest";
import { RichText } from "../src/rich-text";

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
  });

  test("says its host unless its text is that host", () => {
    expect(drawn("https://a.example/x", "https://a.example/x")).not.toContain("link-host");
    expect(drawn("A.example", "https://a.example/")).not.toContain("link-host");
    expect(drawn("look", "https://a.example/")).toContain(" (a.example)");
    expect(drawn("https://аррӏе.com", "https://аррӏе.com")).toContain(" (xn--80ak6aa92e.com)");
    expect(drawn("https://bücher.example", "https://bücher.example")).toContain(" (xn--bcher-kva.example)");
  });
});
