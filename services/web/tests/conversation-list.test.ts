// @vitest-environment jsdom
import { h, options, render, type VNode } from "preact";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConversationView, Folder, ParleyClient } from "@parley/client";
import { conversation, member, message, own } from "@parley/client/testing";
import { ConversationList } from "../src/conversation-list";
import { language } from "../src/language";
import { layOutList, ROW_PX, SEEN_PX } from "./layout";
import { unmount, until, useWorld } from "./support";

const NOON = new Date(2026, 4, 15, 12, 0).getTime();
const MANY = 10_000;
const nothing = (): void => undefined;
const nameOf = (userId: string): string => userId;

const room = (n: number, change: Partial<ConversationView> = {}): ConversationView => ({
  conversation: conversation({ id: `c${n}`, members: [member("alice"), member(`Friend ${n}`)] }),
  messages: [message(1, { sendTimeMs: NOON })],
  outgoing: [],
  hasOlder: false,
  own: own(),
  unread: 0,
  ...change,
});
const MANY_ROOMS = Array.from({ length: MANY }, (_, n) => room(n));
/** As when something new was said there. */
const toTop = (views: readonly ConversationView[], id: string): ConversationView[] => [...views.filter((view) => view.conversation.id === id), ...views.filter((view) => view.conversation.id !== id)];

describe("a list of ten thousand conversations", () => {
  const world = useWorld();
  let client: ParleyClient;
  let box: HTMLElement;
  let opened: string[];
  let openId: string;
  let folder: Folder;

  beforeEach(async () => {
    layOutList(".list");
    client = world.client("alice");
    await until("ready", () => client.messaging.ready);
    box = document.body.appendChild(document.createElement("main"));
    [opened, openId, folder] = [[], "", "inbox"];
  });
  afterEach(async () => {
    unmount(box);
    box.remove();
    vi.restoreAllMocks();
    await language.choose("en");
  });

  const onOpen = (id: string): void => void opened.push(id);
  const show = (views: readonly ConversationView[] = MANY_ROOMS): void =>
    render(h(ConversationList, { client, views, folder, setFolder: nothing, openId, nameOf, nowMs: NOON, onOpen }), box);
  const list = (): HTMLElement => box.querySelector<HTMLElement>(".list") as HTMLElement;
  const rows = (): HTMLElement[] => [...box.querySelectorAll<HTMLElement>("[data-key]")];
  const row = (id: string): HTMLElement | undefined => rows().find(({ dataset }) => dataset["key"] === id);
  const item = (id: string): HTMLElement => row(id)?.querySelector<HTMLElement>(".item") as HTMLElement;
  const keyWithFocus = (): string | undefined => document.activeElement?.closest<HTMLElement>("[data-key]")?.dataset["key"];
  /** Where a row is below the upper edge of what is seen. */
  const placeOf = (id: string): number | undefined => row(id)?.getBoundingClientRect().top;
  const press = (key: string): boolean | undefined => document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));

  async function scrollTo(id: number): Promise<void> {
    list().scrollTop = id * ROW_PX;
    list().dispatchEvent(new Event("scroll"));
    await until(`c${id} is there`, () => placeOf(`c${id}`) === 0);
  }

  async function move(key: string, to: string): Promise<void> {
    press(key);
    await until(`${to} has the focus`, () => keyWithFocus() === to);
  }

  test("has some dozens of rows in the page, everywhere, and each says its place", async () => {
    show();
    for (const n of [0, 7, 1000, 5000, MANY - SEEN_PX / ROW_PX]) {
      await scrollTo(n);
      expect(rows().length).toBeLessThan(60);
      expect(list().scrollHeight).toBe(MANY * ROW_PX);
      expect(row(`c${n}`)?.getAttribute("aria-posinset")).toBe(`${n + 1}`);
      expect(row(`c${n}`)?.getAttribute("aria-setsize")).toBe(`${MANY}`);
      // All that is seen is drawn.
      for (let seen = n; seen < n + SEEN_PX / ROW_PX; seen++) expect(placeOf(`c${seen}`)).toBe((seen - n) * ROW_PX);
    }
  });

  test("that goes on at the service does not say how long it is", () => {
    vi.spyOn(client.messaging, "hasMore", "get").mockReturnValue(true);
    show();
    expect(row("c0")?.getAttribute("aria-setsize")).toBe("-1");
  });

  test("is gone through by the arrow keys, Home and End", async () => {
    show();
    item("c0").focus();
    await move("ArrowDown", "c1");
    await move("End", `c${MANY - 1}`);
    expect(placeOf(`c${MANY - 1}`)).toBe(SEEN_PX - ROW_PX);
    expect(rows().length).toBeLessThan(60);
    press("ArrowDown");
    expect(keyWithFocus()).toBe(`c${MANY - 1}`);
    for (let n = MANY - 2; n > MANY - 40; n--) await move("ArrowUp", `c${n}`);
    expect(placeOf(`c${MANY - 39}`)).toBe(0);
    await move("Home", "c0");
    expect(list().scrollTop).toBe(0);
    (document.activeElement as HTMLElement).click();
    expect(opened).toEqual(["c0"]);
  });

  test("is one stop of Tab, with the row's menu", async () => {
    openId = "c2";
    show();
    const stops = (): string[] => [...list().querySelectorAll<HTMLElement>('button[tabindex="0"]')].map((button) => `${button.closest<HTMLElement>("[data-key]")?.dataset["key"]} ${button.classList[0]}`);
    expect(stops()).toEqual(["c2 item", "c2 item-more"]);
    item("c4").focus();
    await until("the stop went along", () => stops().join() === "c4 item,c4 item-more");
  });

  test("keeps the row with the focus when it is scrolled away, and goes on from there", async () => {
    show();
    item("c3").focus();
    await scrollTo(5000);
    expect(keyWithFocus()).toBe("c3");
    expect(rows().length).toBeLessThan(60);
    await move("ArrowDown", "c4");
    expect(placeOf("c4")).toBe(0);
  });

  test("shows the row that Tab comes back to, where it belongs", async () => {
    show();
    item("c3").focus();
    await scrollTo(5000);
    (document.activeElement as HTMLElement).blur();
    item("c3").focus();
    await until("it is in sight", () => placeOf("c3") === 0 && placeOf("c4") === ROW_PX);
  });

  test("stays where the reader is, and keeps the focus, when a conversation moves to the top", async () => {
    show();
    item("c0").focus();
    await scrollTo(5000);
    item("c5002").focus();
    // First the one with the focus, then the first in sight, then one from far below.
    let views = MANY_ROOMS;
    for (const [moved, stays] of [["c5002", "c5000"], ["c5000", "c5001"], ["c9000", "c5001"]] as const) {
      const before = placeOf(stays);
      const focused = document.activeElement;
      views = toTop(views, moved);
      show(views);
      await until("it is drawn", () => placeOf(stays) === before);
      expect(document.activeElement).toBe(focused);
      expect(keyWithFocus()).toBe("c5002");
      expect(rows().length).toBeLessThan(60);
    }
    // It went from the third place to the first, and two came above it since.
    expect(row("c5002")?.getAttribute("aria-posinset")).toBe("3");
  });

  test("shows what comes new to a reader who is at its top", async () => {
    show();
    item("c1").focus();
    show(toTop(MANY_ROOMS, "c5000"));
    await until("it is at the top", () => placeOf("c5000") === 0);
    expect([keyWithFocus(), list().scrollTop]).toEqual(["c1", 0]);
  });

  test("shows the conversation that is opened elsewhere, marked, and leaves one in sight where it is", async () => {
    show();
    openId = "c7000";
    show();
    await until("it is in sight", () => placeOf("c7000") === SEEN_PX - ROW_PX);
    expect(item("c7000").getAttribute("aria-current")).toBe("true");
    openId = "c6995";
    show();
    await until("it is marked", () => item("c6995").getAttribute("aria-current") === "true");
    expect(placeOf("c7000")).toBe(SEEN_PX - ROW_PX);
  });

  test("marks what is unread where it is", async () => {
    show(MANY_ROOMS.map((view, n) => (n === 4321 ? room(n, { unread: 3 }) : view)));
    await scrollTo(4321);
    expect(row("c4321")?.querySelector(".badge")?.getAttribute("aria-label")).toBe("3 unread");
    expect(box.querySelectorAll(".badge")).toHaveLength(1);
  });

  test("begins anew in another folder", async () => {
    const views = MANY_ROOMS.map((view, n) => (n % 2 ? room(n, { own: own({ archived: true }) }) : view));
    show(views);
    await until("it is drawn", () => rows().length > 10);
    list().scrollTop = 1000 * ROW_PX;
    list().dispatchEvent(new Event("scroll"));
    await until("it is scrolled", () => row("c2000") !== undefined);
    folder = "archived";
    show(views);
    await until("the others are there", () => placeOf("c1") === 0);
    expect(list().scrollTop).toBe(0);
  });

  /** The rows that are drawn while `happens`, and until the page has come to rest. */
  async function drawnBy(happens: () => void): Promise<string[]> {
    const drawn = new Set<string>();
    const before = options.vnode;
    options.vnode = (vnode: VNode) => {
      if (vnode.type === "li") drawn.add((vnode.props as { "data-key"?: string })["data-key"] ?? "");
      before?.(vnode);
    };
    happens();
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setTimeout(resolve));
    if (before) options.vnode = before;
    else delete options.vnode;
    return [...drawn];
  }

  test("draws only the row of whom something is heard, and none for who is not in sight", async () => {
    show();
    await until("it is drawn", () => rows().length > 10);
    const online = { online: true, lastSeenMs: undefined };
    expect(await drawnBy(() => client.presence.applyPresence("Friend 3", online))).toEqual(["c3"]);
    expect(row("c3")?.textContent).toContain("online");
    expect(await drawnBy(() => client.presence.applyPresence("Friend 3", online))).toEqual([]);
    expect(await drawnBy(() => client.presence.applyPresence("Friend 9000", online))).toEqual([]);
    expect(await drawnBy(() => client.presence.applyTyping("c4", "Friend 4", true))).toEqual(["c4"]);
    expect(await drawnBy(() => client.drafts.set("c5", "half"))).toEqual([]);
    // The page draws itself again with each change, and gives the list what it had.
    expect(await drawnBy(show)).toEqual([]);
  });

  test("draws, of those that stay where they are, the one that has changed", async () => {
    show();
    await until("it is drawn", () => rows().length > 10);
    expect(await drawnBy(() => show(MANY_ROOMS.map((view, n) => (n === 2 ? room(n, { unread: 1 }) : view))))).toEqual(["c2"]);
  });

  test("is no other in a language that is read from the right", async () => {
    await language.choose("ar");
    show();
    item("c0").focus();
    await move("End", `c${MANY - 1}`);
    await move("ArrowUp", `c${MANY - 2}`);
    expect(rows().length).toBeLessThan(60);
  });
});
