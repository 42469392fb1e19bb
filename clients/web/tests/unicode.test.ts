import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gatherReactions, isSameEmoji, qualified } from "../src/core/emoji.js";
import { displayName } from "../src/core/display-name.js";
import { contentTypeOf, safeName } from "../src/core/files.js";
import { truncate, truncateStart, isBlank } from "../src/core/graphemes.js";
import { highlight } from "../src/core/highlight.js";
import { MEDIA_TYPES } from "../src/core/media-types.js";
import { readConversation } from "../src/wire.js";

const ROOT = new URL("../../../", import.meta.url);
interface Row {
  readonly script: string;
  readonly text: string;
  readonly found: readonly string[];
  readonly missed: readonly string[];
}
/** The table that the service's search is tested on. */
const TABLE = JSON.parse(readFileSync(new URL("tests/support/search_table.json", ROOT), "utf8")) as Row[];

describe("search in every script", () => {
  test.each(TABLE)("$script: what the service finds is marked", ({ text, found }) => {
    const marks = (query: string) => highlight(text, query).some((part) => part.found);
    expect(found.filter((query) => !marks(query))).toEqual([]);
    for (const query of found) expect(highlight(text, query).map((part) => part.text).join("")).toBe(text);
  });

  test.each(TABLE)("$script: what it does not find as one word is not marked", ({ text, missed }) => {
    // Of several words, some may stand in a text that does not hold them all.
    const single = missed.filter((query) => !/\s/u.test(query));
    expect(single.filter((query) => highlight(text, query).some((part) => part.found))).toEqual([]);
  });

  test("in scripts without spaces the characters are marked, not the sentence", () => {
    const found = (text: string, query: string) => highlight(text, query).filter((part) => part.found).map((part) => part.text);
    expect(found("明日は東京都に行く", "京都")).toEqual(["京都"]);
    expect(found("ฉันกินข้าวที่", "กินข้าว")).toEqual(["กินข้าว"]);
    expect(found("Great 👍🏽 and 👎", "👍")).toEqual(["👍🏽"]);
  });
});

describe("emojis", () => {
  test("spellings with and without selectors are one", () => {
    expect(isSameEmoji("❤", "❤️")).toBe(true);
    expect(isSameEmoji("❤︎", "❤️")).toBe(true);
    expect(isSameEmoji("👍", "👍🏽")).toBe(false);
    for (const [one, whole] of [["❤", "❤️"], ["❤︎", "❤️"], ["👍️", "👍"], ["1⃣", "1️⃣"], ["☝🏽", "☝🏽"], ["🏳‍🌈", "🏳️‍🌈"], ["👩‍❤‍👨", "👩‍❤️‍👨"], ["🇩🇪", "🇩🇪"]] as const) expect(qualified(one)).toBe(whole);
  });

  test("all that Unicode recommends, as this machine knows it, stay as they are", () => {
    // The `v` flag is newer than the language that the types know.
    const whole = new RegExp("^\\p{RGI_Emoji}$", "v" as "u");
    const data = readFileSync(new URL("tests/support/emoji_spellings.txt", ROOT), "utf8").trim().split("\n");
    const known = data.filter((emoji) => whole.test(emoji));
    expect(known.length).toBeGreaterThan(3600);
    expect(known.filter((emoji) => qualified(emoji.replace(/\ufe0f/gu, "")) !== emoji)).toEqual([]);
  });

  test("reactions of several spellings are shown as one", () => {
    expect(gatherReactions([{ emoji: "❤", userIds: ["a", "b"] }, { emoji: "👍", userIds: ["a"] }, { emoji: "❤️", userIds: ["b", "c"] }])).toEqual([
      { emoji: "❤️", userIds: ["a", "b", "c"] },
      { emoji: "👍", userIds: ["a"] },
    ]);
  });
});

describe("files", () => {
  test("types have the names that the service gives them", () => {
    expect(contentTypeOf("audio/x-m4a", "a")).toBe("audio/mp4");
    expect(contentTypeOf("Audio/WebM; Codecs=opus", "a")).toBe("audio/webm");
    expect(contentTypeOf("", "IMG_1.HEIC")).toBe("image/heic");
    expect(contentTypeOf("application/vnd.ms-excel", "a.csv")).toBe("text/csv");
    expect(contentTypeOf("application/octet-stream", "a.exe")).toBe("application/octet-stream");
  });

  test("the table is the service's", () => {
    const source = readFileSync(new URL("services/messaging/kernel/media_types.py", ROOT), "utf8");
    const aliases = [...source.matchAll(/^ {4}"([^"/]+\/[^"]+)": "([^"]+)",$/gmu)].map(([, alias, name]) => `${alias} ${name}`);
    const own = MEDIA_TYPES.flatMap(({ name, aliases: list }) => list.split(" ").filter(Boolean).map((alias) => `${alias} ${name}`));
    expect(own.toSorted()).toEqual(aliases.toSorted());
    const types = [...readFileSync(new URL("services/messaging/attachments/core/uploads.py", ROOT), "utf8").matchAll(/"((?:image|audio|video|application|text)\/[^"]+)"/gu)].map(([, name]) => name);
    expect(MEDIA_TYPES.map(({ name }) => name).toSorted()).toEqual(types.toSorted());
  });

  test("no title of a group turns the direction of reading", () => {
    expect(readConversation({ title: "Trip\u202egnp.exe", members: [], pinnedMessages: [] } as never).title).toBe("Tripgnp.exe");
  });

  test("no name turns the direction of reading, and none is cut within a character", () => {
    expect(safeName("photo\u202egpj.exe")).toBe("photogpj.exe");
    expect(displayName("a\u2067b")).toBe("ab");
    expect(safeName("\u200b\u3164")).toBe("file");
    expect(safeName("Cafe\u0301.txt")).toBe("Café.txt");
    const name = safeName(`${"👩‍👩‍👧‍👦".repeat(60)}.png`);
    expect([...name].length).toBeLessThanOrEqual(255);
    expect(name.replace(/👩‍👩‍👧‍👦/gu, "")).toBe(".png");
  });
});

describe("texts", () => {
  test("are cut between characters only", () => {
    const family = "👩‍👩‍👧‍👦";
    expect(truncate(`ab${family}`, 5)).toBe("ab");
    expect(truncateStart(`${family}ab`, 5)).toBe("ab");
    expect(truncate("👍👍", 3)).toBe("👍");
    expect(truncate("abc", 3)).toBe("abc");
    expect(truncate("e\u0301e\u0301", 3)).toBe("e\u0301");
  });

  test("of which nothing can be seen are empty", () => {
    for (const text of ["", " \n", "\u200b\u2060", "\u3164", "\u2800"]) expect(isBlank(text)).toBe(true);
    for (const text of ["a", "👍", "\u0e48", "𠮷"]) expect(isBlank(text)).toBe(false);
  });
});
