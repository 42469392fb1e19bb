import { describe, expect, test } from "vitest";
import { excerpt, fold, highlight } from "../src/core/highlight.js";

const found = (text: string, query: string) => highlight(text, query).filter((part) => part.found).map((part) => part.text);

describe("found words", () => {
  test("whole words are marked, and the last word of the query may be a beginning", () => {
    expect(found("The ridge or the ridges?", "the rid")).toEqual(["The", "ridge", "the", "ridges"]);
    expect(found("The ridges", "rid the")).toEqual(["The"]);
  });

  test("the parts give the text back", () => {
    const text = "  Café au lait, CAFÉ! ";
    expect(highlight(text, "cafe").map((part) => part.text).join("")).toBe(text);
    expect(found(text, "cafe")).toEqual(["Café", "CAFÉ"]);
    expect(highlight(text, "")).toEqual([{ text, found: false }]);
  });

  test("accents, case, Arabic marks and letter forms make no difference", () => {
    expect(found("Cafe\u0301 time", "CAFÉ")).toEqual(["Cafe\u0301"]);
    expect(found("مُدَرِّسَة جديدة", "مدرسه")).toEqual(["مُدَرِّسَة"]);
    expect(fold("أحمد")).toBe(fold("احمد"));
  });

  test("an excerpt begins shortly before what was found", () => {
    const parts = excerpt(highlight(`${"many words before ".repeat(10)}needle after`, "needle"));
    expect(parts[0]?.text.startsWith("…")).toBe(true);
    expect(parts[0]?.text.length).toBeLessThan(45);
    expect(parts[1]).toEqual({ text: "needle", found: true });
  });
});
