// @vitest-environment jsdom
import { readFileSync } from "node:fs";
import { h, render } from "preact";
import { act } from "preact/test-utils";
import { renderToString } from "preact-render-to-string";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { LinkPreview, ParleyClient } from "@parley/client";
import { Composer, type Task } from "../src/composer";
import type { FilePicker } from "../src/file-picker";
import { LinkCard } from "../src/link-card";
import { type FoundPage, fitting, LinkPreviews, PAUSE_MS, useLinkPreview } from "../src/use-link-preview";
import { unmount, until, useWorld } from "./support";

const URL = "https://news.example/a";
const PREVIEW: LinkPreview = { url: URL, title: "It rains", description: "And it pours", siteName: "The News" };

describe("a card", () => {
  const drawn = (change: Partial<LinkPreview> = {}): string => renderToString(h(LinkCard, { preview: { ...PREVIEW, ...change } }));

  test("says which host opens, before anything that its sender claims, and loads nothing", () => {
    const html = drawn({ siteName: "bank.example" });
    expect(html.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ").trim()).toBe("news.example · bank.example It rains And it pours");
    expect(html).not.toMatch(/<img|src=|style=/);
    expect(html).toContain('rel="noopener noreferrer"');
  });

  test("says a host in other letters in ASCII", () => {
    expect(drawn({ url: "https://bücher.example/" })).toContain("xn--bcher-kva.example");
  });

  test.each([["messages.css", "link-card-site"], ["../../../../clients/react/src/style.css", "parley-card"]])("cuts no host, of which the end says whose it is (%s)", (file, name) => {
    const css = readFileSync(new globalThis.URL(`../src/style/${file}`, import.meta.url), "utf8");
    const rules = [...css.matchAll(new RegExp(`\\.${name}(?:-site)? \\{([^}]*)\\}`, "gu"))].map((rule) => rule[1]).join("");
    expect(rules).toContain(":");
    expect(rules).not.toMatch(/ellipsis|nowrap|overflow:/);
  });

  test("turns no direction of reading but its own", () => {
    const html = drawn({ title: "\u202ehalib", siteName: "\u202eswen" });
    expect(html).toMatch(/<strong[^>]*dir="auto">\u202ehalib/);
    expect(html).toContain("<bdi>\u202eswen</bdi>");
    expect(html).toContain('<bdi dir="ltr">news.example</bdi>');
  });

  test("is not drawn for what no page may open", () => {
    for (const url of ["javascript:alert(1)", "", "https://bank.example@evil.example/", "https://b\u0430nk.example/"]) expect(drawn({ url })).toBe("");
  });
});

describe("what was found", () => {
  test("becomes what the service takes", () => {
    expect(fitting({ title: " a\n\tb\u2028c ", siteName: "x".repeat(101) }, URL)).toEqual({ url: URL, title: "a b c", description: "", siteName: "x".repeat(100) });
    expect([...(fitting({ title: "💩".repeat(300) }, URL)?.title ?? "")]).toHaveLength(200);
    expect(fitting({ title: " \u200b" }, URL)).toBeUndefined();
    expect(fitting(undefined, URL)).toBeUndefined();
    // What can be seen comes after what is cut.
    expect(fitting({ title: `${"\u200b".repeat(200)}a` }, URL)).toBeUndefined();
    expect(fitting({ title: `a${"\u0301".repeat(99)}b` }, URL)?.title).toBe(`a${"\u0301".repeat(30)}b`);
    expect(fitting({ title: `a${"\u0301\u200d".repeat(31)}b` }, URL)?.title).toBe(`a${"\u0301\u200d".repeat(30)}b`);
    // Of the link that stands in the text, wherever that led.
    expect(fitting({ ...PREVIEW, url: "https://elsewhere.example/" }, URL)?.url).toBe(URL);
  });
});

describe("what goes with a text", () => {
  let page: HTMLElement;
  let link: ReturnType<typeof useLinkPreview>;
  let asked: { url: string; signal: AbortSignal; answer: (found: FoundPage | undefined) => void; fail: (error: Error) => void }[];
  const resolve = (url: string, signal: AbortSignal) => new Promise<FoundPage | undefined>((answer, fail) => asked.push({ url, signal, answer, fail }));

  function Writer({ text, known }: { text: string; known: LinkPreview | undefined }): null {
    link = useLinkPreview(text, known);
    return null;
  }
  const write = (text: string, known?: LinkPreview, able = true): Promise<void> =>
    act(() => render(h(LinkPreviews.Provider, { value: able ? resolve : undefined }, h(Writer, { text, known })), page));
  const wait = (ms: number): Promise<void> => act(() => vi.advanceTimersByTimeAsync(ms).then(() => undefined));
  const answered = async (found: FoundPage | undefined): Promise<void> => {
    asked.at(-1)?.answer(found);
    await wait(0);
  };

  beforeEach(() => {
    vi.useFakeTimers();
    asked = [];
    page = document.body.appendChild(document.createElement("div"));
  });
  afterEach(() => {
    unmount(page);
    page.remove();
    vi.useRealTimers();
  });

  test("is asked for once the link has stood for a while", async () => {
    for (const part of ["https://n.ex", "https://news.example/", URL]) {
      await write(`see ${part}`);
      await wait(PAUSE_MS - 1);
    }
    expect(asked).toEqual([]);
    await wait(1);
    expect(asked.map(({ url }) => url)).toEqual([URL]);
    await write(`see ${URL} now`);
    await wait(PAUSE_MS);
    expect(asked).toHaveLength(1);
    await answered(PREVIEW);
    expect(link.preview).toEqual(PREVIEW);
  });

  test("goes with its link, and the question is given up", async () => {
    await write(URL);
    await wait(PAUSE_MS);
    await write(`${URL}b`);
    expect(asked[0]?.signal.aborted).toBe(true);
    await answered(PREVIEW);
    expect(link.preview).toBeUndefined();
    await wait(PAUSE_MS);
    await answered({ title: "Another" });
    expect(link.preview).toMatchObject({ url: `${URL}b`, title: "Another" });
    await write("no link");
    expect(link.preview).toBeUndefined();
  });

  test("is left out for as long as the link is the same", async () => {
    await write(URL);
    await wait(PAUSE_MS);
    await answered(PREVIEW);
    await act(() => link.drop());
    expect(link.preview).toBeUndefined();
    await write(`${URL} still`);
    await wait(PAUSE_MS);
    expect([link.preview, asked.length]).toEqual([undefined, 1]);
    await act(() => link.leaveOut(""));
    expect(link.preview).toEqual(PREVIEW);
  });

  test("is none where nothing was found, nobody answers, or nobody can be asked", async () => {
    await write(URL);
    await wait(PAUSE_MS);
    await answered(undefined);
    expect(link.preview).toBeUndefined();
    await write(`${URL}b`);
    await wait(PAUSE_MS);
    asked.at(-1)?.fail(new Error("down"));
    await wait(0);
    expect([link.preview, asked.length]).toEqual([undefined, 2]);
    await write(`${URL}c`, undefined, false);
    await wait(PAUSE_MS);
    expect(asked).toHaveLength(2);
  });

  test("stays what it was while its link stays, and is not asked for again", async () => {
    await write(`https://first.example/ ${URL}`, PREVIEW);
    await wait(PAUSE_MS);
    expect([link.preview, asked.length]).toEqual([PREVIEW, 0]);
    await write("https://first.example/", PREVIEW);
    await wait(PAUSE_MS);
    expect([link.preview, asked[0]?.url]).toEqual([undefined, "https://first.example/"]);
  });
});

describe("the line to write in", () => {
  const world = useWorld();
  const ROOM = "alice+bob";
  let page: HTMLElement;
  let alice: ParleyClient;

  async function open(task?: Task): Promise<void> {
    const conversation = alice.messaging.store.get(ROOM)!.conversation;
    const picking = { add: () => undefined, problem: undefined } as unknown as FilePicker;
    const composer = h(Composer, { client: alice, conversation, viewer: { selfId: "alice", nameOf: (id: string) => id }, name: "Bob", picking, task, onDone: () => undefined });
    await act(() => render(h(LinkPreviews.Provider, { value: async () => ({ title: "It rains" }) }, composer), page));
  }
  const write = (text: string): Promise<void> =>
    act(() => {
      const field = page.querySelector("textarea")!;
      field.value = text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  const press = (selector: string): Promise<void> => act(() => page.querySelector<HTMLElement>(selector)?.click());
  const card = (): string | undefined => page.querySelector(".link-draft .link-card")?.textContent ?? undefined;
  const sent = (): (string | undefined)[] => alice.messaging.store.get(ROOM)!.messages.map(({ content }) => (content.kind === "text" ? content.preview?.title : "?"));

  beforeEach(async () => {
    vi.stubGlobal("matchMedia", () => ({ matches: false }));
    world.backend.openDirect("alice", "bob");
    alice = world.client("alice");
    page = document.body.appendChild(document.createElement("div"));
    await until("ready", () => alice.messaging.ready && alice.messaging.store.get(ROOM) !== undefined);
  });
  afterEach(() => {
    unmount(page);
    page.remove();
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  test("shows what goes with a text, sends it, and leaves it out where it is told to", async () => {
    await open();
    await write(`see ${URL}`);
    await until("it is shown", () => card() === "news.exampleIt rains");
    await press(".send");
    await until("it was sent", () => sent().length === 1);
    expect(card()).toBeUndefined();
    await write(`${URL} once more`);
    await until("it is shown again", () => card() !== undefined);
    await press(".link-draft button");
    expect(card()).toBeUndefined();
    await press(".send");
    await until("it was sent", () => sent().length === 2);
    expect(sent()).toEqual(["It rains", undefined]);
  });

  test("keeps the preview of what is edited, and gives none to what went without", async () => {
    const link = { offset: 0, length: URL.length, kind: "link", url: URL } as const;
    alice.messaging.send(ROOM, { text: URL, entities: [link], preview: PREVIEW });
    alice.messaging.send(ROOM, { text: URL, entities: [link] });
    await until("both were sent", () => sent().length === 2);
    const [first, second] = alice.messaging.store.get(ROOM)!.messages;
    await open({ kind: "edit", message: first! });
    expect(card()).toContain("And it pours");
    await write(`${URL} edited`);
    await press(".send");
    await until("it was edited", () => alice.messaging.store.get(ROOM)!.messages[0]!.edited);
    vi.useFakeTimers();
    await open({ kind: "edit", message: second! });
    await act(() => vi.advanceTimersByTimeAsync(PAUSE_MS).then(() => undefined));
    expect(card()).toBeUndefined();
    expect(sent()).toEqual([PREVIEW.title, undefined]);
  });
});
