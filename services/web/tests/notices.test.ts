import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ParleyClient } from "@parley/client";
import type { CameVersions, ShownNotice } from "@parley/client/notices";
import { DeviceNotices, forgetNotices } from "../src/device-notices";
import { language } from "../src/language";
import { keepTold, type Told } from "../src/notice-told";
import { addressOf, conversationToOpen, samePage } from "../src/window-of-page";
import { NoticeBoard } from "../src/worker/notice-board";
import { type NoticeView, viewOf } from "../src/worker/notice-view";
import { until, useWorld } from "./support";

const LINES = {
  message: "New message",
  mention: "You were mentioned",
  reply: "New reply to you",
  reaction: "New reaction to your message",
  request: "New message request",
  missed: "Missed call",
  voice: "Incoming voice call",
  video: "Incoming video call",
  by: "{name}: {text}",
  mentionBy: "{name} mentioned you: {text}",
  replyBy: "{name} replied: {text}",
  reactionBy: "{name} reacted to your message",
  callReminder: "Soon: {text}",
  callBegins: "Now: {text}",
};
const TOLD: Told = { page: "/", language: "en", direction: "ltr", lines: LINES, names: { bob: "Bob Berger", leila: "ليلى" } };

const notice = (change: Partial<ShownNotice> = {}): ShownNotice => ({
  type: "notice",
  thread: "conversation:c",
  version: 1,
  badge: 1,
  kind: "message",
  conversationId: "c",
  timeMs: 0,
  quiet: false,
  fromUserId: "bob",
  title: "",
  text: "hello",
  callId: "",
  video: false,
  ...change,
});

describe("a notice", () => {
  const shown = (change: Partial<ShownNotice> = {}, told: Told | undefined = TOLD) => {
    const { title, options } = viewOf(notice(change), told);
    return [title, options.body];
  };

  test.each<[Partial<ShownNotice>, string, string]>([
    [{}, "Bob Berger", "hello"],
    [{ fromUserId: "eve" }, "eve", "hello"],
    [{ text: "" }, "Bob Berger", "New message"],
    [{ title: "Hike" }, "Hike", "Bob Berger: hello"],
    [{ title: "Hike", text: "" }, "Hike", "Bob Berger: New message"],
    [{ kind: "mention", title: "Hike" }, "Hike", "Bob Berger mentioned you: hello"],
    [{ kind: "reply" }, "Bob Berger", "Bob Berger replied: hello"],
    [{ kind: "reaction", text: "" }, "Bob Berger", "Bob Berger reacted to your message"],
    [{ kind: "missed_call", text: "" }, "Bob Berger", "Missed call"],
    [{ kind: "call_reminder", title: "Choir", text: "Rehearsal" }, "Choir", "Soon: Rehearsal"],
    [{ kind: "call_begins", text: "Rehearsal" }, "Bob Berger", "Now: Rehearsal"],
    [{ kind: "call_begins", text: "" }, "Bob Berger", "New message"],
    [{ kind: "call", text: "", video: true }, "Bob Berger", "Incoming video call"],
    [{ kind: "call", text: "" }, "Bob Berger", "Incoming voice call"],
  ])("says who and what (%#)", (change, title, body) => {
    expect(shown(change)).toEqual([title, body]);
  });

  test.each<[ShownNotice["kind"], string]>([
    ["message", "New message"],
    ["mention", "You were mentioned"],
    ["reply", "New reply to you"],
    ["reaction", "New reaction to your message"],
    ["missed_call", "Missed call"],
    ["request", "New message request"],
  ])("without previews says only that something came: %s", (kind, body) => {
    expect(shown({ kind, fromUserId: "", text: "", title: "" })).toEqual(["Parley", body]);
  });

  test("turns the direction of reading of nothing beside what somebody wrote", () => {
    expect(shown({ fromUserId: "leila", title: "Hike", text: "نعم" })).toEqual(["Hike", "\u2068ليلى\u2069: \u2068نعم\u2069"]);
  });

  test("is shown also where the browser has lost the page's words", () => {
    expect(viewOf(notice(), undefined)).toMatchObject({ title: "bob", options: { body: "hello" } });
    expect(viewOf(notice({ fromUserId: "", text: "" }), undefined)).toMatchObject({ title: "Parley", options: { body: "" } });
  });

  test("stands in place of the one before of its conversation, and is heard unless it is to be quiet", () => {
    expect(viewOf(notice(), TOLD).options).toMatchObject({ tag: "conversation:c", renotify: true, silent: false, requireInteraction: false, data: { conversationId: "c" } });
    expect(viewOf(notice({ quiet: true }), TOLD).options).toMatchObject({ renotify: false, silent: true });
    expect(viewOf(notice({ kind: "call" }), TOLD).options.requireInteraction).toBe(true);
  });
});

describe("the worker", () => {
  const PUSHED = { type: "notice", thread: "conversation:c", badge: 1, kind: "message", conversation_id: "c", from_user_id: "bob" };
  let screen: Map<string, NoticeView>;
  let badges: number[];
  let came: CameVersions;
  let board: NoticeBoard;
  let show: (view: NoticeView) => Promise<void>;

  beforeEach(() => {
    [screen, badges, came] = [new Map(), [], {}];
    show = async (view) => void screen.set(view.options.tag ?? "", view);
    const memory = { told: async () => TOLD, came: async () => came, keepCame: async (next: CameVersions) => void (came = next) };
    board = new NoticeBoard({ show: (view) => show(view), close: async (tag) => void screen.delete(tag), setBadge: async (count) => void badges.push(count) }, memory, () => 1);
  });

  const texts = () => [...screen.values()].map(({ options }) => options.body);

  test("shows the newest of each conversation, with the number of all", async () => {
    await Promise.all([
      board.take({ ...PUSHED, version: 1, text: "one" }),
      board.take({ ...PUSHED, version: 2, text: "two", badge: 2 }),
      board.take({ ...PUSHED, thread: "conversation:d", conversation_id: "d", version: 1, text: "other", badge: 3 }),
    ]);
    expect([texts(), badges]).toEqual([["two", "other"], [1, 2, 3]]);
  });

  test("takes back what was read elsewhere, and shows nothing older that comes after", async () => {
    await board.take({ ...PUSHED, version: 1, text: "one" });
    await board.take({ type: "take_back", thread: "conversation:c", version: 3, badge: 0 });
    await board.take({ ...PUSHED, version: 2, text: "two" });
    expect([texts(), badges]).toEqual([[], [1, 0]]);
    await board.take({ ...PUSHED, version: 4, text: "four" });
    expect(texts()).toEqual(["four"]);
  });

  test("shows what comes after something that could not be shown or was none", async () => {
    const honest = show;
    show = () => Promise.reject(new TypeError("no permission"));
    await expect(board.take({ ...PUSHED, version: 1, text: "one" })).rejects.toThrow("no permission");
    show = honest;
    await board.take("none");
    // It was not shown, so it may come again.
    await board.take({ ...PUSHED, version: 1, text: "one" });
    expect(texts()).toEqual(["one"]);
  });
});

test("a click leads to the conversation in the window of this page, or in a new one", () => {
  expect(samePage("https://dm.example/?user=alice#/room", "/?user=alice")).toBe(true);
  expect(samePage("https://dm.example/?user=bob#/room", "/?user=alice")).toBe(false);
  expect(addressOf("/?user=alice", "a+b")).toBe("/?user=alice#/a%2Bb");
  expect(conversationToOpen({ kind: "open", conversationId: "c" })).toBe("c");
  for (const other of [null, "open", {}, { kind: "other", conversationId: "c" }, { kind: "open" }]) expect(conversationToOpen(other)).toBeUndefined();
});

describe("this browser's notices", () => {
  const world = useWorld();
  let shown: { tag: string; close: () => void }[];
  let cached: Map<string, string>;
  let said: ((event: { data: unknown }) => void)[];
  let subscriptions: number;
  let permission: NotificationPermission;
  let alice: ParleyClient;
  let notices: DeviceNotices;

  /** A browser whose user answers the question as `permission` says. */
  beforeEach(async () => {
    [shown, cached, said, subscriptions, permission] = [[], new Map(), [], 0, "granted"];
    let standing: unknown = null;
    const kept = new Map<string, string>();
    const pushManager = {
      getSubscription: async () => standing,
      subscribe: async ({ applicationServerKey }: { applicationServerKey: Uint8Array }) => {
        subscriptions++;
        return (standing = { endpoint: "https://push.example/1", options: { applicationServerKey: applicationServerKey.slice().buffer }, getKey: () => new ArrayBuffer(1), unsubscribe: async () => {
          standing = null;
          return true;
        } });
      },
    };
    // Of a worker that does not run yet browsers make no subscription.
    let start: (started: object) => void = () => undefined;
    const ready = new Promise<object>((resolve) => (start = resolve));
    const registration = { pushManager, getNotifications: async () => shown };
    const serviceWorker = {
      register: async () => {
        start(registration);
        return { pushManager: { getSubscription: async () => null, subscribe: async () => Promise.reject(new DOMException("no active worker", "AbortError")) } };
      },
      ready,
      getRegistration: async () => registration,
      addEventListener: (_: string, listen: (event: { data: unknown }) => void) => void said.push(listen),
      removeEventListener: (_: string, listen: (event: { data: unknown }) => void) => void (said = said.filter((other) => other !== listen)),
    };
    const cache = { put: async (address: string, response: Response) => void cached.set(address, await response.text()), match: async (address: string) => (cached.has(address) ? new Response(cached.get(address)) : undefined) };
    vi.stubGlobal("navigator", { serviceWorker });
    vi.stubGlobal("PushManager", class {});
    vi.stubGlobal("Notification", { get permission() { return permission; }, requestPermission: async () => permission });
    vi.stubGlobal("caches", { open: async () => cache, delete: async () => cached.clear() });
    vi.stubGlobal("localStorage", { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value), removeItem: (key: string) => void kept.delete(key) });
    vi.stubGlobal("location", { pathname: "/", search: "?user=alice" });
    world.backend.notifications.webPushPublicKey = Uint8Array.from([4, 1]);
    world.backend.openDirect("alice", "bob");
    alice = world.client("alice");
    notices = new DeviceNotices(alice);
    await until("ready", () => alice.current);
  });
  afterEach(() => {
    notices.close();
    vi.unstubAllGlobals();
  });

  const told = () => JSON.parse(cached.get("/notices/told.json") ?? "{}") as Partial<Told>;

  test("are turned on and off, and on again by themselves at the next start", async () => {
    expect(notices.state).toBe("off");
    await notices.turnOn();
    expect([notices.state, world.backend.notifications.tokens.size]).toEqual(["on", 1]);
    const later = new DeviceNotices(alice);
    later.open(() => undefined);
    await until("it registers again", () => world.backend.requests["registerToken"] === 2);
    later.close();
    await notices.turnOff();
    expect([notices.state, world.backend.notifications.tokens.size, subscriptions]).toEqual(["off", 0, 1]);
  });

  test("stay off where the user does not allow them", async () => {
    permission = "denied";
    await notices.turnOn();
    expect([notices.state, subscriptions]).toEqual(["refused", 0]);
  });

  test("have the page's language and address, also after a change", async () => {
    notices.open(() => undefined);
    await notices.turnOn();
    await until("the worker was told", () => told().language === "en");
    expect(told()).toMatchObject({ page: "/?user=alice", lines: { message: "New message" } });
    await language.choose("ar");
    await until("the worker was told again", () => told().direction === "rtl");
    await language.choose("en");
  });

  test("go when their conversation was read here", async () => {
    const closed: string[] = [];
    shown = ["conversation:alice+bob", "conversation:other", "call:1"].map((tag) => ({ tag, close: () => void closed.push(tag) }));
    world.backend.post("alice+bob", "bob", { case: "text", value: { $typeName: "parley.messaging.v1.TextContent", text: "hi", entities: [], masked: false } });
    await until("it is unread", () => alice.messaging.store.get("alice+bob")?.unread === 1);
    await notices.turnOn();
    notices.open(() => undefined);
    expect(closed).toEqual([]);
    await alice.messaging.markRead("alice+bob");
    await until("the notice goes", () => closed.length > 0);
    expect(closed).toEqual(["conversation:alice+bob"]);
  });

  test("stay while this device may not know yet what was written", async () => {
    await notices.turnOn();
    alice.stop();
    const closed: string[] = [];
    shown = [{ tag: "conversation:alice+bob", close: () => void closed.push("it") }];
    notices.open(() => undefined);
    // As after a start with what was kept: nothing is unread there.
    expect([alice.messaging.ready, alice.current, alice.messaging.store.get("alice+bob")?.unread]).toEqual([true, false, 0]);
    world.backend.post("alice+bob", "bob", { case: "text", value: { $typeName: "parley.messaging.v1.TextContent", text: "hi", entities: [], masked: false } });
    alice.start();
    await until("it is unread", () => alice.current && alice.messaging.store.get("alice+bob")?.unread === 1);
    expect(closed).toEqual([]);
    await alice.messaging.markRead("alice+bob");
    await until("the notice goes", () => closed.length > 0);
  });

  test("lead to their conversation", () => {
    const opened: string[] = [];
    notices.open((id) => opened.push(id));
    for (const listen of said) listen({ data: { kind: "open", conversationId: "alice+bob" } });
    expect(opened).toEqual(["alice+bob"]);
    notices.close();
    expect(said).toEqual([]);
  });

  test("leave nothing behind after a logout", async () => {
    let open = 1;
    shown = [{ tag: "conversation:c", close: () => void open-- }];
    notices.open(() => undefined);
    await notices.turnOn();
    await until("the worker was told", () => cached.size > 0);
    await Promise.all([alice.wipe(), forgetNotices("alice")]);
    expect([notices.state, open, cached.size, world.backend.notifications.tokens.size]).toEqual(["off", 0, 0, 0]);
  });

  test("leave nothing behind that was still being kept, nor the subscription of an earlier page", async () => {
    await notices.turnOn();
    const later = world.client("alice");
    const keeping = keepTold(TOLD);
    // It has not registered anew yet.
    await Promise.all([later.wipe(), forgetNotices("alice")]);
    await keeping;
    expect([cached.size, await (await navigator.serviceWorker.getRegistration())?.pushManager.getSubscription()]).toEqual([0, null]);
  });
});
