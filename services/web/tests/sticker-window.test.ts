// @vitest-environment jsdom
import { h, render } from "preact";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Code, ConnectError } from "@connectrpc/connect";
import type { NewSticker, ParleyClient, StickerProvider } from "@parley/client";
import { language } from "../src/language";
import { findOwn } from "../src/own-stickers";
import { StickerWindow } from "../src/sticker-window";
import { isOffered, ownStickers, pictureOf } from "../src/stickers";
import { useDevices } from "./fake-devices";
import { unmount, until, useWorld } from "./support";

const ROOM = "alice+bob";
const sticker = (name: string, host = "stickers.example"): NewSticker => ({ url: `https://${host}/${name}.gif`, width: 480, height: 240, description: name });
const FOUND = [sticker("cat"), sticker("dog"), sticker("evil", "evil.example"), sticker("owl")];

describe("the window in which a sticker is chosen", () => {
  const world = useWorld();
  let client: ParleyClient;
  let box: HTMLElement;
  let asked: string[];
  let search: StickerProvider["search"];
  let told: string[];

  beforeEach(async () => {
    useDevices([]);
    vi.stubGlobal("matchMedia", () => ({ matches: true }));
    world.backend.openDirect("alice", "bob");
    client = world.client("alice");
    await until("ready", () => client.current && client.limits.stickerHosts.length > 0);
    box = document.body.appendChild(document.createElement("main"));
    [asked, told] = [[], []];
    search = async (words) => {
      asked.push(words);
      return FOUND.filter(({ description }) => description.includes(words));
    };
  });
  afterEach(async () => {
    unmount(box);
    box.remove();
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
    await language.choose("en");
  });

  const choices = (): HTMLButtonElement[] => [...box.querySelectorAll<HTMLButtonElement>(".sticker-choice")];
  const names = (): (string | null)[] => choices().map((button) => button.getAttribute("aria-label"));
  const sent = () => world.backend.stored(ROOM).messages;
  const line = (): string => box.querySelector("[role=status]")?.textContent ?? "";

  async function open(provider: StickerProvider = { search: (words, signal) => search(words, signal) }, replyToSeq = 0): Promise<void> {
    render(h(StickerWindow, { client, conversationId: ROOM, replyToSeq, provider, onSent: () => told.push("sent"), onClose: () => told.push("closed") }), box);
    await until("it is there", () => box.querySelector("dialog[open]") !== null && line() !== "Loading…");
  }

  function write(words: string): void {
    const field = box.querySelector("input") as HTMLInputElement;
    field.value = words;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  const press = (key: string): boolean => document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })) ?? false;

  test("shows what the provider has, of allowed hosts alone, and says how much it is", async () => {
    await open({ search: (words, signal) => search(words, signal), credit: "Powered by somebody" });
    expect(names()).toEqual(["cat", "dog", "owl"]);
    expect(line()).toBe("3 found");
    expect(box.textContent).toContain("Powered by somebody");
    const [picture] = box.querySelectorAll("img");
    expect([picture?.src, picture?.width, picture?.height, picture?.getAttribute("referrerpolicy")]).toEqual([FOUND[0]?.url, 88, 44, "no-referrer"]);
  });

  test("asks for what is written, once one has stopped, and gives up what nobody waits for", async () => {
    const signals: AbortSignal[] = [];
    await open({
      search: (words, signal) => {
        signals.push(signal);
        return search(words, signal);
      },
    });
    write("d");
    write("do");
    await until("it is found", () => names().join() === "dog");
    expect(asked).toEqual(["", "do"]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    write("zebra");
    await until("that is said", () => line() === "Nothing was found.");
  });

  test("one is sent as an answer, once, and the window closes", async () => {
    await open(undefined, 7);
    choices()[1]?.click();
    choices()[1]?.click();
    await until("it is there", () => sent().length === 1 && told.length > 0);
    expect(sent()[0]).toMatchObject({ replyToSeq: 7n, content: { case: "sticker", value: { url: FOUND[1]?.url, description: "dog" } } });
    expect(told).toEqual(["closed", "sent"]);
  });

  test("what is refused is said, and sent again it is stored once", async () => {
    world.backend.faults.set("sendSticker", new ConnectError("x", Code.Unavailable));
    world.backend.faults.set("sendMessage", new ConnectError("x", Code.Unavailable));
    await open();
    choices()[0]?.click();
    await until("that is said", () => (box.querySelector("[role=alert]")?.textContent?.trim() ?? "") !== "");
    expect(told).toEqual([]);
    world.backend.faults.clear();
    choices()[0]?.click();
    await until("it is sent", () => told.length > 0);
    expect(sent()).toHaveLength(1);
  });

  test("a provider that fails can be asked again", async () => {
    search = () => Promise.reject(new Error("down"));
    await open();
    expect(line()).toBe("Stickers could not be loaded.");
    search = () => Promise.resolve(FOUND);
    [...box.querySelectorAll("button")].find(({ textContent }) => textContent === "Try again")?.click();
    await until("they are there", () => names().length === 3);
  });

  test("is one stop of Tab, through which the arrow keys lead as it is read", async () => {
    await open();
    expect(choices().map(({ tabIndex }) => tabIndex)).toEqual([0, -1, -1]);
    choices()[0]?.focus();
    press("ArrowRight");
    await until("the next has the stop", () => choices()[1]?.tabIndex === 0 && document.activeElement === choices()[1]);
    press("End");
    expect(document.activeElement).toBe(choices()[2]);
    await language.choose("ar");
    press("ArrowRight");
    expect(document.activeElement).toBe(choices()[1]);
  });

  test("whoever opened it has the focus again when it closes", async () => {
    const opener = document.body.appendChild(document.createElement("button"));
    opener.focus();
    await open();
    choices()[0]?.focus();
    unmount(box);
    await until("the focus is back", () => document.activeElement === opener);
    opener.remove();
  });

  test("up and down lead by a row", async () => {
    await open();
    choices().forEach((button, at) => Object.defineProperty(button, "offsetTop", { value: Math.floor(at / 2) }));
    choices()[0]?.focus();
    press("ArrowDown");
    expect(document.activeElement).toBe(choices()[2]);
    press("ArrowDown");
    expect(document.activeElement).toBe(choices()[2]);
    press("ArrowUp");
    expect(document.activeElement).toBe(choices()[0]);
  });
});

describe("the page's own stickers", () => {
  afterEach(() => language.choose("en"));

  test("are found by words of the page's language, whatever their accents", async () => {
    expect(findOwn("")).toHaveLength(12);
    expect(findOwn("good night").map(({ providerRef }) => providerRef)).toEqual(["sleep"]);
    await language.choose("es");
    expect(findOwn("corazon").map(({ providerRef }) => providerRef)).toEqual(["heart"]);
    await language.choose("ar");
    expect(findOwn("شكرا").map(({ providerRef }) => providerRef)).toEqual(["flower"]);
  });

  test("are loaded from the page, and nothing else is", () => {
    expect(findOwn("").map(({ url }) => pictureOf(url))).toContain("/stickers/wave.svg");
    for (const url of ["https://stickers.example/wave.svg", "https://stickers.example/parley/../a.svg", "https://stickers.example/parley/a.svg?x", "https://evil.example/parley/wave.svg"]) expect(pictureOf(url)).toBe(url);
  });

  test("are offered where their host is allowed; a provider's where any is", () => {
    const limits = (...stickerHosts: string[]) => ({ stickerHosts }) as unknown as Parameters<typeof isOffered>[1];
    const other: StickerProvider = { search: async () => [] };
    expect([isOffered(ownStickers, limits()), isOffered(ownStickers, limits("media.example")), isOffered(ownStickers, limits("stickers.example"))]).toEqual([false, false, true]);
    expect([isOffered(other, limits()), isOffered(other, limits("media.example"))]).toEqual([false, true]);
  });
});
