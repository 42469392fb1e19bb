import { describe, expect, test } from "vitest";
import { findEntities, isWebAddress, openMention, segments } from "../src/core/entities.js";

const PEOPLE = [
  { userId: "ann", name: "Ann" },
  { userId: "lee", name: "Ann Lee" },
];

describe("entities of a text", () => {
  test("places are counted in code points", () => {
    expect(findEntities("😀😀 @Ann!", PEOPLE)).toEqual([{ offset: 3, length: 4, kind: "mention", userId: "ann" }]);
  });

  test("the longest name counts, an id does too, and a mail address is no mention", () => {
    expect(findEntities("@Ann Lee", PEOPLE)).toMatchObject([{ userId: "lee", length: 8 }]);
    expect(findEntities("hi @lee", PEOPLE)).toMatchObject([{ userId: "lee", length: 4 }]);
    expect(findEntities("me@ann @Anna", PEOPLE)).toEqual([]);
  });

  test("links end before the punctuation of their sentence, and only http and https count", () => {
    const links = findEntities("See https://a.example/x?y=(1), http://b.example. javascript:alert(1) ftp://c.example", PEOPLE);
    expect(links.map((link) => link.kind === "link" && link.url)).toEqual(["https://a.example/x?y=(1", "http://b.example"]);
  });

  test("a mention inside a link is part of the link, and there are at most fifty", () => {
    expect(findEntities("https://a.example/ @ann https://a.example/@ann", PEOPLE).map((e) => e.kind)).toEqual(["link", "mention", "link"]);
    expect(findEntities("@ann ".repeat(60), PEOPLE, 50)).toHaveLength(50);
  });

  test("segments give the whole text back", () => {
    const text = "😀 @Ann Lee, see https://a.example/😀 now";
    const parts = segments(text, findEntities(text, PEOPLE));
    expect(parts.map((part) => part.text).join("")).toBe(text);
    expect(parts.map((part) => part.mention ?? part.url ?? "-")).toEqual(["-", "lee", "-", "https://a.example/😀", "-"]);
  });

  test("entities that do not fit, or lead elsewhere than to the web, are text", () => {
    const link = (offset: number, length: number, url: string) => ({ offset, length, kind: "link" as const, url });
    expect(segments("abc", [link(0, 9, "https://a.example"), link(-1, 2, "https://a.example")])).toEqual([{ text: "abc" }]);
    expect(segments("abc", [link(0, 3, "javascript:alert(1)")])).toEqual([{ text: "abc" }]);
    expect(["https://a.example", "HTTP://a.example", "data:text/html,x", "//a.example"].map(isWebAddress)).toEqual([true, true, false, false]);
  });

  test("an unfinished mention is seen before the caret", () => {
    expect(openMention("hi @an", 6)).toEqual({ start: 3, typed: "an" });
    expect(openMention("@", 1)).toEqual({ start: 0, typed: "" });
    expect(openMention("hi @ann ", 8)).toBeUndefined();
    expect(openMention("me@an", 5)).toBeUndefined();
  });
});
