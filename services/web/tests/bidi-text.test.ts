import { h } from "preact";
import { render } from "preact-render-to-string";
import { describe, expect, test } from "vitest";
import { pictureOf } from "../src/avatar";
import { messageLine } from "../src/conversation-text";
import { RichText } from "../src/rich-text";
import { UploadList } from "../src/upload-list";
import { message } from "@parley/client/testing";

const TURNS = [..."\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"];
const viewer = { selfId: "alice", nameOf: (userId: string) => userId };

describe("what turns the direction of reading", () => {
  test("is left out of every line that has words of others beside it", () => {
    for (const turn of TURNS) {
      const said = message(1, { content: { kind: "text", text: `a${turn}b`, entities: [] } });
      expect(messageLine(said, viewer)).toBe("ab");
    }
  });

  test("stays within the part of a text that it stands in", () => {
    const text = "\u202e@bob https://a.example/x";
    const entities = [
      { offset: 1, length: 4, kind: "mention" as const, userId: "bob" },
      { offset: 6, length: 19, kind: "link" as const, url: "https://a.example/x" },
    ];
    const html = render(h(RichText, { text, entities, selfId: "alice" }));
    expect(html).toContain("<bdi>@bob</bdi>");
    expect(html).toContain("<bdi>https://a.example/x</bdi>");
  });

  test("leaves the name of a file alone beside its state", () => {
    const upload = { id: "u", fileName: "a.txt", contentType: "text/plain", sizeBytes: 5, width: 0, height: 0, state: "done", sentBytes: 5, problem: undefined, attachment: undefined, notice: { key: "file_says_more", values: {}, line: "" } } as const;
    const html = render(h(UploadList, { client: {} as never, uploads: [upload] }));
    expect(html).toContain('<span class="tray-name" dir="auto">a.txt</span>');
    expect(html).toContain("It may still say who made it, where and when.");
  });
});

test("a picture's reference never leads to another host", () => {
  for (const reference of ["//evil.example/x", "/\\evil.example/x", "/\t/evil.example/x", "/\n/evil.example", "https://evil.example/x", "\\\\evil.example", "javascript:alert(1)", "data:image/png,x"]) {
    expect(pictureOf(reference), reference).toEqual({});
  }
  expect(pictureOf("/pictures/a.png")).toEqual({ address: "/pictures/a.png" });
});
