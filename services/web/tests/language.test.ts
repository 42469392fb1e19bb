import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Failure, UserMessage } from "@parley/client";
import { bestLanguage, isLanguage, language, LANGUAGES, localeFor } from "../src/language";
import { duration, lengthLine } from "../src/format";
import { groupLine, typingLine } from "../src/conversation-text";
import { moved } from "../src/menu";
import { deviceLine, isolated, lineOf, listOf, made, numberLine, parts, sizeLine, t } from "../src/text";

const VIEWER = { selfId: "alice", nameOf: (id: string) => ({ bob: "Bob Berger", layla: "ليلى" })[id] ?? id };
const page = { lang: "en", dir: "ltr" };

function failure(change: Partial<Failure>): Failure {
  return { code: "failed_precondition", reason: undefined, field: undefined, retryDelayMs: 0, transient: false, line: "In English", detail: "", ...change };
}

const message = (key: UserMessage["key"], values: UserMessage["values"] = {}): UserMessage => ({ key, values, line: "In English" });

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal("localStorage", { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value), removeItem: (key: string) => void kept.delete(key) });
  vi.stubGlobal("navigator", { languages: ["en-US"] });
  vi.stubGlobal("document", { documentElement: page, activeElement: null });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await language.choose("en");
  vi.unstubAllGlobals();
});

describe("which language the page speaks", () => {
  test("is the first of the reader's that it has", () => {
    expect(bestLanguage(["fr-CA", "ar-EG", "es"])).toBe("ar");
    expect(bestLanguage(["ES-mx"])).toBe("es");
    expect([bestLanguage([]), bestLanguage(["fr"]), bestLanguage(["constructor"])]).toEqual(["en", "en", "en"]);
    expect(isLanguage("toString")).toBe(false);
  });

  test("dates and digits are those of the reader's own region", () => {
    expect(localeFor("en", ["de", "en-GB", "en-US"])).toBe("en-GB");
    expect(localeFor("ar", ["en-GB"])).toBe("ar");
  });

  test("is the browser's until another is chosen, and that one after a reload", async () => {
    vi.stubGlobal("navigator", { languages: ["ar-EG", "en"] });
    await language.open();
    expect([language.code, language.choice, page.lang, page.dir]).toEqual(["ar", "", "ar", "rtl"]);
    await language.choose("es");
    expect([language.code, page.lang, page.dir]).toEqual(["es", "es", "ltr"]);
    await language.open();
    expect([language.code, language.choice]).toEqual(["es", "es"]);
    await language.choose("");
    await language.open();
    expect([language.code, language.choice]).toEqual(["ar", ""]);
  });

  test("is English where what was kept is no language, and where nothing can be kept", async () => {
    localStorage.setItem("parley.language", "tlh");
    await language.open();
    expect(language.code).toBe("en");
    vi.stubGlobal("localStorage", undefined);
    await language.open();
    await language.choose("es");
    expect(language.code).toBe("es");
  });

  test("stays what it was when another cannot be loaded", async () => {
    vi.spyOn(LANGUAGES.ar, "load").mockRejectedValue(new TypeError("offline"));
    await expect(language.choose("ar")).rejects.toThrow("offline");
    expect([language.code, localStorage.getItem("parley.language")]).toEqual(["en", null]);
    localStorage.setItem("parley.language", "ar");
    await language.open();
    expect(language.code).toBe("en");
  });

  test("is the one that was chosen last, whichever is loaded first", async () => {
    const arabic = await LANGUAGES.ar.load();
    let arrive: (catalog: typeof arabic) => void = () => undefined;
    vi.spyOn(LANGUAGES.ar, "load").mockReturnValue(new Promise((resolve) => (arrive = resolve)));
    const first = language.choose("ar");
    await language.choose("es");
    arrive(arabic);
    await first;
    expect([language.code, localStorage.getItem("parley.language")]).toEqual(["es", "es"]);
  });

  test("is told to whoever draws", async () => {
    let told = 0;
    const end = language.subscribe(() => (told += 1));
    await language.choose("es");
    end();
    await language.choose("en");
    expect(told).toBe(1);
  });
});

describe("words of people between words of the page", () => {
  test("are isolated where their direction can differ from the page's", async () => {
    expect(t("options.for", { name: "Bob" })).toBe("Options for Bob");
    expect(t("options.for", { name: "ليلى" })).toBe("Options for \u2068ليلى\u2069");
    await language.choose("ar");
    expect(t("options.for", { name: "Bob" })).toBe("خيارات \u2068Bob\u2069");
  });

  test("cannot end their isolation, nor turn what follows", () => {
    for (const turn of "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") expect(isolated(`ab${turn}ج`)).toBe("\u2068abج\u2069");
  });

  test("are filled in as they are: a name that looks like a place is none", () => {
    expect(t("waiting.call.group", { name: "{group}", group: "$&" })).toBe("{group} is calling “$&”");
  });

  test("are listed as the language lists them", async () => {
    expect(listOf(["Bob", "Carol", made("you")])).toBe("Bob, Carol and you");
    await language.choose("ar");
    expect(listOf(["Bob", made("أنت")])).toBe("\u2068Bob\u2069 وأنت");
    expect(typingLine(["bob", "layla"], "group", VIEWER)).toContain("يكتبان");
    expect(groupLine({ kind: "added", userIds: ["alice"] }, "bob", VIEWER)).toBe("أضافك \u2068Bob Berger\u2069");
    await language.choose("es");
    expect(groupLine({ kind: "added", userIds: ["bob", "alice"] }, "carol", VIEWER)).toBe("carol añadió a Bob Berger y ti");
  });

  test("can be elements", () => {
    expect(parts("deletion.confirm", { user: 7 })).toEqual(["This deletes everything and cannot be undone or stopped. Type ", 7, " to confirm."]);
  });
});

describe("numbers", () => {
  test("choose among Arabic's six forms, in its digits", async () => {
    vi.stubGlobal("navigator", { languages: ["ar-EG"] });
    await language.choose("ar");
    const said = [0, 1, 2, 3, 11, 100].map((count) => t("members.count", { count }));
    expect(said).toEqual(["لا أعضاء", "عضو واحد", "عضوان", "٣ أعضاء", "١١ عضوًا", "١٠٠ عضو"]);
    expect([duration(83), duration(3723), lengthLine(7200)]).toEqual(["١:٢٣", "١:٠٢:٠٣", "ساعتين"]);
  });

  test("have the digits of the reader's region", async () => {
    vi.stubGlobal("navigator", { languages: ["ar-MA"] });
    await language.choose("ar");
    expect(t("members.count", { count: 3 })).toBe("3 أعضاء");
  });

  test("are sizes as the library says them, in English", () => {
    expect([1, 10, 2048, 640 * 1024, 2.5 * 1024 * 1024, 100 * 1024 * 1024].map(sizeLine)).toEqual(["1 byte", "10 bytes", "2 kB", "640 kB", "2.5 MB", "100 MB"]);
  });
});

describe("what fails", () => {
  test("is said by its reason, in the page's language", async () => {
    expect(lineOf(failure({ reason: "CALL_FULL" }))).toBe("This call is full.");
    await language.choose("ar");
    expect(lineOf(failure({ reason: "CALL_FULL" }))).toBe("هذه المكالمة ممتلئة.");
    expect(lineOf(failure({ code: "invalid_argument", field: "emoji" }))).toBe("لا يصلح هذا تفاعلًا.");
    expect(lineOf(failure({ code: "unavailable" }))).toBe("لا يمكن الوصول إلى Parley حاليًا.");
  });

  test("says in general what has no text, and shows the code", async () => {
    expect(lineOf(failure({ reason: "NEW_REASON" }))).toBe("Something went wrong. Please try again. (NEW_REASON)");
    expect(lineOf(failure({ code: "permission_denied", reason: "NEW_REASON" }))).toBe("You are not allowed to do that. (NEW_REASON)");
    expect(lineOf(failure({ code: "deadline_exceeded", reason: "DEADLINE_EXCEEDED" }))).toBe("Parley took too long to answer.");
    expect(lineOf(failure({ code: "data_loss" }))).toBe("Something went wrong. Please try again. (data_loss)");
    expect(lineOf(failure({ code: "constructor", reason: "toString" }))).toContain("(toString)");
    await language.choose("ar");
    expect(lineOf(failure({ reason: "NEW_REASON" }))).toBe("حدث خطأ ما. حاول مرة أخرى. (\u2068NEW_REASON\u2069)");
  });

  test("says when to try again, where that is what people want to know", async () => {
    const busy = (retryDelayMs: number) => lineOf(failure({ reason: "SEND_RATE", retryDelayMs }));
    expect([0, 1, 60_000, 120_000, 3_600_000, 7_200_000].map(busy).map((line) => line.replace("You are sending too fast. ", ""))).toEqual([
      "Please try again later.",
      "Please try again in a moment.",
      "Please try again in a minute.",
      "Please try again in 2 minutes.",
      "Please try again in an hour.",
      "Please try again in 2 hours.",
    ]);
    await language.choose("ar");
    expect(busy(120_000)).toBe("أنت ترسل بسرعة كبيرة. حاول مرة أخرى بعد دقيقتين.");
  });

  test("is said by key and values, where the library tells it", async () => {
    expect(lineOf(message("too_many_files", { count: 10 }))).toBe("At most 10 files go with one message.");
    expect(lineOf(message("file_too_large", { bytes: 2048 }))).toBe("This file is too large. At most 2 kB can be sent.");
    await language.choose("ar");
    expect(lineOf(message("too_many_files", { count: 10 }))).toBe(`يمكن إرفاق ${numberLine(10)} ملفات على الأكثر بالرسالة.`);
    expect(lineOf(message("left_group", { group: "Hike" }))).toBe("لم تعد في «\u2068Hike\u2069».");
    expect(deviceLine({ camera: "missing", microphone: "in_use", line: "" })).toBe("لم يُعثر على كاميرا. يستخدم برنامج آخر الميكروفون.");
    expect(deviceLine({ camera: "refused", microphone: "refused", line: "" })).toContain("الكاميرا والميكروفون");
  });
});

describe("from right to left", () => {
  test("the arrow keys to the sides lead where they point", async () => {
    const [first, second, third] = ["first", "second", "third"].map((name) => ({ name }) as unknown as HTMLElement);
    const all = [first, second, third] as HTMLElement[];
    vi.stubGlobal("document", { documentElement: page, activeElement: second });
    expect([moved(all, "ArrowRight"), moved(all, "ArrowLeft"), moved(all, "ArrowDown")]).toEqual([third, first, third]);
    await language.choose("ar");
    expect([moved(all, "ArrowRight"), moved(all, "ArrowLeft"), moved(all, "ArrowDown")]).toEqual([first, third, third]);
  });
});
