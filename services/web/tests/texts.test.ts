import { describe, expect, test } from "vitest";
import { LANGUAGES, type LanguageCode } from "../src/language";
import type { Plural, Text } from "../src/texts/catalog";
import { en } from "../src/texts/en";

const CODES = Object.keys(LANGUAGES) as LanguageCode[];

/** Every text of a catalog by the path of its key. */
function textsOf(catalog: object, path = ""): Map<string, Text> {
  const found = new Map<string, Text>();
  for (const [key, value] of Object.entries(catalog) as [string, Text | object][]) {
    if (isText(value)) found.set(path + key, value);
    else for (const [inner, text] of textsOf(value, `${path}${key}/`)) found.set(inner, text);
  }
  return found;
}

function isText(value: unknown): value is Text {
  return typeof value === "string" || "other" in (value as object);
}

const forms = (text: Text): [string, string][] => (typeof text === "string" ? [["", text]] : Object.entries(text as Plural));
const places = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
const placesIn = (text: Text): Set<string> => new Set(forms(text).flatMap(([, form]) => places(form)));
const english = textsOf(en);

test("English has the page's texts and the library's", () => {
  expect(english.size).toBeGreaterThan(500);
});

describe.each(CODES)("%s", (code) => {
  test("has every text of English, and no other", async () => {
    const keys = textsOf(await LANGUAGES[code].load()).keys();
    expect([...keys].sort()).toEqual([...english.keys()].sort());
  });

  test("fills the same into each text", async () => {
    for (const [key, text] of textsOf(await LANGUAGES[code].load())) {
      // A count may be said by the form alone: "two files" is one word in Arabic.
      const wanted = placesIn(english.get(key) ?? "");
      expect([...placesIn(text)].filter((name) => !wanted.has(name) && name !== "count"), key).toEqual([]);
      for (const [form, words] of forms(text)) expect([...wanted].filter((name) => name !== "count" && !places(words).includes(name)), `${key} ${form}`).toEqual([]);
      if (wanted.has("count")) expect(places(forms(text).at(-1)?.[1] ?? ""), key).toContain("count");
    }
  });

  test("has the plural forms that its grammar has, where English has two", async () => {
    const categories = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
    for (const [key, text] of textsOf(await LANGUAGES[code].load())) {
      expect(typeof text, key).toBe(typeof english.get(key));
      if (typeof text !== "string") expect(Object.keys(text).sort(), key).toEqual([...categories].sort());
    }
  });

  test("leaves no text empty, and no space at its ends that English does not have", async () => {
    for (const [key, text] of textsOf(await LANGUAGES[code].load())) {
      for (const [, words] of forms(text)) {
        expect(words.trim(), key).not.toBe("");
        const [before] = forms(english.get(key) ?? "").at(-1)?.slice(1) ?? [""];
        expect(/\s$/.test(words), key).toBe(/\s$/.test(before ?? ""));
      }
    }
  });
});

test("Arabic's six forms are all there", () => {
  expect(new Intl.PluralRules("ar").resolvedOptions().pluralCategories).toHaveLength(6);
});
