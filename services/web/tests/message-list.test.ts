// @vitest-environment jsdom
import { h, render } from "preact";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConversationView, Message, ParleyClient } from "@parley/client";
import { conversation, member, message, own, ROOM } from "@parley/client/testing";
import { MessageList } from "../src/message-list";
import { heights, layOutList, ROW_PX, SEEN_PX } from "./layout";
import { unmount, until, useWorld } from "./support";

const NOON = new Date(2026, 4, 15, 12, 0).getTime();
const MANY = 10_000;
const nothing = (): void => undefined;
const nameOf = (userId: string): string => userId;
const ACTIONS = { reply: nothing, edit: nothing, unsend: nothing, forward: nothing, history: nothing, readers: nothing, report: nothing, react: nothing, pin: nothing, jump: nothing };

/** All of one day, whose line is the first row. */
const said = (from: number, until: number): Message[] => Array.from({ length: until - from + 1 }, (_, n) => message(from + n, { sendTimeMs: NOON - MANY + from + n }));
const room = (messages: readonly Message[], change: Partial<ConversationView> = {}): ConversationView => ({
  conversation: conversation({ members: [member("alice"), member("bob")] }),
  messages,
  outgoing: [],
  hasOlder: false,
  own: own(),
  unread: 0,
  ...change,
});
const ALL = said(1, MANY);

describe("a conversation of ten thousand messages", () => {
  const world = useWorld();
  let client: ParleyClient;
  let page: HTMLElement;
  let target: number | undefined;
  let shown: number;

  beforeEach(async () => {
    layOutList(".messages", ".messages [role=list]");
    client = world.client("alice");
    await until("ready", () => client.messaging.ready);
    page = document.body.appendChild(document.createElement("main"));
    [target, shown] = [undefined, 0];
  });
  afterEach(() => {
    unmount(page);
    page.remove();
    heights.clear();
    vi.restoreAllMocks();
  });

  const show = (view: ConversationView = room(ALL)): void =>
    render(h(MessageList, { client, view, viewer: { selfId: "alice", nameOf }, nowMs: NOON, typing: [], name: "bob", actions: ACTIONS, target, onShown: () => shown++ }), page);
  const box = (): HTMLElement => page.querySelector<HTMLElement>(".messages") as HTMLElement;
  const rows = (): HTMLElement[] => [...page.querySelectorAll<HTMLElement>("[data-key]")];
  const row = (seq: number): HTMLElement | undefined => rows().find(({ dataset }) => dataset["key"] === `m${seq}`);
  /** Where a message is below the upper edge of what is seen. */
  const placeOf = (seq: number): number | undefined => row(seq)?.getBoundingClientRect().top;
  const withFocus = (): string | undefined => document.activeElement?.closest<HTMLElement>("[data-key]")?.dataset["key"];
  const atEnd = (): boolean => box().scrollHeight - box().scrollTop - box().clientHeight < 1;

  async function scrollTo(seq: number): Promise<void> {
    show();
    await until("the end is there", () => row(MANY) !== undefined);
    for (let tries = 0; tries < 50 && placeOf(seq) !== 0; tries++) {
      // The heights of what was never drawn are guessed: one gets there in steps.
      const near = rows().find((each) => each.dataset["key"]?.startsWith("m") && each.getBoundingClientRect().bottom > 0) as HTMLElement;
      box().scrollTop += placeOf(seq) ?? near.getBoundingClientRect().top + (seq - Number(near.dataset["key"]?.slice(1))) * ROW_PX;
      box().dispatchEvent(new Event("scroll"));
      await new Promise((resolve) => setTimeout(resolve));
    }
    expect(placeOf(seq)).toBe(0);
  }

  test("begins at its end, and has some dozens of rows in the page, each of which says its place", async () => {
    show();
    await until("it is at the end", () => atEnd() && placeOf(MANY) === SEEN_PX - ROW_PX);
    for (const seq of [9900, 9000]) {
      await scrollTo(seq);
      expect(rows().length).toBeLessThan(60);
      for (let seen = seq; seen < Math.min(MANY, seq + SEEN_PX / ROW_PX); seen++) expect(placeOf(seen)).toBe((seen - seq) * ROW_PX);
      // The line of the day is the first row.
      expect([row(seq)?.getAttribute("aria-posinset"), row(seq)?.getAttribute("aria-setsize")]).toEqual([`${seq + 1}`, `${MANY + 1}`]);
    }
  });

  test("that goes on at the service does not say how long it is", () => {
    show(room(ALL, { hasOlder: true }));
    expect(row(MANY)?.getAttribute("aria-setsize")).toBe("-1");
  });

  test("follows what arrives only for who is at the end, and reads out nothing to who is not", async () => {
    show(room(ALL.slice(0, -1)));
    await until("it is at the end", atEnd);
    show();
    await until("the new one is seen", () => placeOf(MANY) === SEEN_PX - ROW_PX);
    expect(box().getAttribute("aria-live")).toBe("polite");
    await scrollTo(9000);
    expect(box().getAttribute("aria-live")).toBe("off");
    show(room([...ALL, message(MANY + 1, { sendTimeMs: NOON })]));
    await until("it is drawn", () => placeOf(9000) === 0);
    expect(row(MANY + 1)?.querySelector(".message-actions")?.getAttribute("tabindex")).toBe("0");
  });

  test("stays where the reader is when older messages come above, and when a row changes its height", async () => {
    const newer = ALL.slice(5000);
    show(room(newer, { hasOlder: true }));
    await until("it is at the end", atEnd);
    box().scrollTop = 100 * ROW_PX;
    box().dispatchEvent(new Event("scroll"));
    await until("it is scrolled", () => placeOf(MANY) === undefined || rows().length > 20);
    const first = rows().find((each) => each.getBoundingClientRect().top >= 0 && each.dataset["key"]?.startsWith("m"))?.dataset["key"] as string;
    const seq = Number(first.slice(1));
    const before = placeOf(seq);
    show();
    await until("the older ones are there", () => row(seq)?.getAttribute("aria-posinset") === `${seq + 1}`);
    expect(placeOf(seq)).toBe(before);
    // A picture above has come.
    heights.set(`m${seq - 3}`, 5 * ROW_PX);
    show();
    await until("it is drawn", () => placeOf(seq) === before);
    expect(rows().length).toBeLessThan(60);
  });

  test("jumps to a message, wherever it is, brings it to the middle, and gives it the focus", async () => {
    vi.spyOn(client.messaging, "loadUntil").mockResolvedValue(true);
    show();
    await until("it is at the end", atEnd);
    for (const seq of [17, 7000, 9998]) {
      target = seq;
      show();
      await until(`${seq} is there`, () => withFocus() === `m${seq}`);
      const top = placeOf(seq) as number;
      expect(top).toBeGreaterThanOrEqual(0);
      expect(top).toBeLessThanOrEqual(SEEN_PX - ROW_PX);
      expect(rows().length).toBeLessThan(60);
    }
    await until("all were shown", () => shown === 3);
    expect(client.notice).toBeUndefined();
  });

  test("says so when there is no such message", async () => {
    vi.spyOn(client.messaging, "loadUntil").mockResolvedValue(false);
    target = 17;
    show();
    await until("it was said", () => client.notice?.line === "This message is not there any more.");
  });

  test("is gone through by the arrow keys, from the one message that Tab reaches", async () => {
    show();
    await until("it is at the end", atEnd);
    const stops = [...page.querySelectorAll<HTMLElement>('.message-actions[tabindex="0"]')];
    expect(stops).toHaveLength(1);
    stops[0]?.focus();
    for (let seq = MANY; seq > MANY - 26; seq--) {
      expect(withFocus()).toBe(`m${seq}`);
      document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true, cancelable: true }));
      await until("the focus went up", () => withFocus() === `m${seq - 1}`);
    }
    expect(rows().length).toBeLessThan(60);
    // Scrolled away, it is kept, and the keys go on from there.
    box().scrollTop = 0;
    box().dispatchEvent(new Event("scroll"));
    await until("the first ones are there", () => row(1) !== undefined);
    expect(withFocus()).toBe(`m${MANY - 26}`);
  });

  test("leaves the focus in the menu of a message, which opens beside it", async () => {
    show();
    await until("it is at the end", atEnd);
    const actions = page.querySelector<HTMLElement>('.message-actions[tabindex="0"]');
    actions?.focus();
    actions?.click();
    await until("the menu is there", () => page.querySelector('[role="menu"]') !== null);
    expect(document.activeElement?.closest('[role="menu"]')).not.toBeNull();
    // Drawn again beside it, as when a message comes.
    show();
    await new Promise(requestAnimationFrame);
    expect(document.activeElement?.closest('[role="menu"]')).not.toBeNull();
    document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true }));
    await until("the focus is back", () => document.activeElement === actions);
  });

  test("has a way back to its end, for who is elsewhere", async () => {
    const back = (): HTMLElement | null => page.querySelector<HTMLElement>('[aria-label="To the newest messages"]');
    show();
    await until("it is at the end", atEnd);
    expect(back()).toBeNull();
    await scrollTo(9000);
    back()?.click();
    await until("it is at the end", () => atEnd() && row(MANY) !== undefined && back() === null);
  });

  test("shows what one has written oneself", async () => {
    await scrollTo(9000);
    const outgoing = { clientMessageId: "mine", conversationId: ROOM, text: "Hello", entities: [], replyToSeq: 0, attachments: [], viewOnce: false, createTimeMs: NOON, state: "sending", problem: undefined } as unknown as ConversationView["outgoing"][number];
    show(room(ALL, { outgoing: [outgoing] }));
    await until("it is at the end", () => atEnd() && rows().some(({ dataset }) => dataset["key"] === "mine"));
  });
});
