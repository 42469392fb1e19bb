import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { Level, NotificationSettingsSchema, Provider } from "../src/gen/parley/notifications/v1/service_pb.js";
import type { Api } from "../src/api.js";
import type { ParleyClient, PushRegistration } from "../src/index.js";
import { isNews, readNotice, remember } from "../src/notices.js";
import { Notifications } from "../src/notifications.js";
import { until, useWorld } from "./support.js";

const KEY = Uint8Array.from([4, 1, 2, 3]);
const OTHER_KEY = Uint8Array.from([4, 9, 9, 9]);

/** A browser's push manager, and what it was asked. */
class FakeBrowser {
  standing: (PushSubscription & { readonly endpoint: string }) | undefined;
  made = 0;
  /** What it waits for before it subscribes. */
  before: Promise<void> = Promise.resolve();

  get registration(): PushRegistration {
    const pushManager = { getSubscription: () => Promise.resolve(this.standing ?? null), subscribe: (options: PushSubscriptionOptionsInit) => this.subscribe(options) };
    return { pushManager: pushManager as unknown as PushManager };
  }

  async subscribe({ applicationServerKey }: PushSubscriptionOptionsInit): Promise<PushSubscription> {
    await this.before;
    const keys: Record<string, number[]> = { p256dh: [4, 7], auth: [8] };
    const subscription = {
      endpoint: `https://push.example/${++this.made}`,
      options: { applicationServerKey: (applicationServerKey as Uint8Array).slice().buffer },
      getKey: (name: string) => Uint8Array.from(keys[name] ?? []).buffer,
      unsubscribe: () => {
        this.standing = undefined;
        return Promise.resolve(true);
      },
    };
    this.standing = subscription as unknown as PushSubscription;
    return this.standing;
  }
}

describe("notifications", () => {
  const world = useWorld();
  let browser: FakeBrowser;
  let alice: ParleyClient;

  beforeEach(async () => {
    browser = new FakeBrowser();
    world.backend.notifications.webPushPublicKey = KEY;
    alice = world.client("alice");
    await until("ready", () => alice.messaging.ready);
  });

  const token = () => world.backend.notifications.tokens.get(alice.deviceId);

  test("a browser subscribes by the service's key, and again at each start under the same subscription", async () => {
    for (let starts = 0; starts < 2; starts++) await alice.notifications.subscribe(browser.registration);
    expect(token()).toMatchObject({ provider: Provider.WEB_PUSH, token: "https://push.example/1", webPushKeys: { p256dh: Uint8Array.from([4, 7]), auth: Uint8Array.from([8]) } });
    expect([browser.made, world.backend.requests["registerToken"]]).toEqual([1, 2]);
  });

  test("a subscription that is bound to a former key is made anew", async () => {
    await alice.notifications.subscribe(browser.registration);
    world.backend.notifications.webPushPublicKey = OTHER_KEY;
    const later = world.client("alice");
    await later.notifications.subscribe(browser.registration);
    expect(token()?.token).toBe("https://push.example/2");
  });

  test("where browsers are not served nobody subscribes", async () => {
    world.backend.notifications.webPushPublicKey = new Uint8Array();
    await expect(alice.notifications.subscribe(browser.registration)).rejects.toMatchObject({ reason: "PROVIDER_NOT_SERVED", line: "No notifications are sent to this device here." });
    expect([alice.notifications.isWebPushServed, browser.made]).toEqual([false, 0]);
  });

  test("a browser is told no more", async () => {
    await alice.notifications.subscribe(browser.registration);
    await alice.notifications.unsubscribe(browser.registration);
    expect([token(), browser.standing]).toEqual([undefined, undefined]);
  });

  test("a logout ends it, also without a network", async () => {
    await alice.notifications.subscribe(browser.registration);
    world.backend.fault = new ConnectError("down", Code.Unavailable);
    await alice.wipe();
    expect(browser.standing).toBeUndefined();
  });

  test.each(["browser", "service"])("a logout ends also what the %s is only about to do", async (slow) => {
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const api = world.backend.apiFor("alice");
    const registerToken: Api["notifications"]["registerToken"] = (...args) => gate.then(() => api.notifications.registerToken(...args));
    const held = slow === "service" ? { ...api, notifications: { ...api.notifications, registerToken } } : api;
    if (slow === "browser") browser.before = gate;
    const notifications = new Notifications(held, alice.deviceId, () => undefined);
    await notifications.refresh();
    const subscribing = notifications.subscribe(browser.registration);
    await notifications.leave();
    go();
    await subscribing;
    expect([token(), browser.standing]).toEqual([undefined, undefined]);
  });

  test("a logout of who was told nothing asks nothing", async () => {
    await alice.wipe();
    expect(world.backend.requests["removeToken"]).toBeUndefined();
  });

  test("settings are brought and changed, and a change of one part keeps the others", async () => {
    await alice.notifications.refresh();
    expect(alice.notifications.current).toEqual({ level: "all", previews: true, quietHours: undefined });
    await alice.notifications.update({ quietHours: { startMinute: 1380, endMinute: 420 } });
    await alice.notifications.update({ level: "mentions" });
    await alice.notifications.update({ previews: false });
    const chosen = { level: "mentions", previews: false, quietHours: { startMinute: 1380, endMinute: 420 } };
    expect(alice.notifications.current).toEqual(chosen);
    const later = world.client("alice", "alices-tablet");
    await later.notifications.refresh();
    expect(later.notifications.current).toEqual(chosen);
    await alice.notifications.update({ quietHours: undefined });
    expect(alice.notifications.current).toEqual({ ...chosen, quietHours: undefined });
  });

  test("quiet hours of another device keep their days and their clock when something else is changed", async () => {
    const hours = { startMinute: 60, endMinute: 120, timeZone: "Asia/Tokyo", weekdays: [5, 6] };
    const theirs = create(NotificationSettingsSchema, { level: Level.ALL, quietHours: hours });
    const service = world.backend.apiFor("alice").notifications;
    await service.updateNotificationSettings({ settings: theirs });
    await alice.notifications.update({ previews: false });
    const kept = (await service.getNotificationSettings({})).settings;
    expect(kept).toMatchObject({ level: Level.ALL, previewsOff: true, quietHours: hours });
  });

  test("a conversation has a level of its own, until it is taken away", async () => {
    await alice.notifications.setLevel("room", "mentions");
    expect(alice.notifications.levelOf("room")).toBe("mentions");
    const later = world.client("alice", "alices-tablet");
    await later.notifications.refresh();
    expect([later.notifications.levelOf("room"), later.notifications.levelOf("other")]).toEqual(["mentions", undefined]);
    await alice.notifications.setLevel("room", undefined);
    await later.notifications.refresh();
    expect([alice.notifications.levelOf("room"), later.notifications.levelOf("room")]).toEqual([undefined, undefined]);
  });

  test("where there is no such service that is said", async () => {
    world.backend.faults.set("getNotificationSettings", new ConnectError("HTTP 404", Code.Unimplemented));
    await expect(alice.notifications.refresh()).rejects.toMatchObject({ code: "unimplemented" });
    expect(alice.notifications.current).toBeUndefined();
  });
});

describe("a push", () => {
  const PUSHED = { type: "notice", thread: "conversation:c", version: 3, badge: 2, kind: "reply", conversation_id: "c", time: "2026-05-15T12:00:00.000Z", quiet: true, seq: 7, message_id: "m", from_user_id: "bob", text: "yes", title: "Hi\u202eke" };

  test("is read with what it has, and nothing in a group's name turns the direction of reading", () => {
    expect(readNotice(PUSHED)).toEqual({ type: "notice", thread: "conversation:c", version: 3, badge: 2, kind: "reply", conversationId: "c", timeMs: Date.UTC(2026, 4, 15, 12), quiet: true, fromUserId: "bob", text: "yes", title: "Hike", callId: "", video: false });
  });

  test("holds nothing that was left out", () => {
    const { text: _, title: __, from_user_id: ___, quiet: ____, ...bare } = PUSHED;
    expect(readNotice({ ...bare, kind: "request" })).toMatchObject({ kind: "request", fromUserId: "", text: "", title: "", quiet: false });
  });

  test("takes back", () => {
    expect(readNotice({ type: "take_back", thread: "call:1", version: 4, badge: 0 })).toEqual({ type: "take_back", thread: "call:1", version: 4, badge: 0 });
  });

  test("of a newer kind counts as a message", () => {
    expect(readNotice({ ...PUSHED, kind: "poll" })).toMatchObject({ kind: "message" });
  });

  test.each([undefined, null, 7, "text", [], {}, { type: "notice" }, { ...PUSHED, thread: 1 }, { ...PUSHED, type: "other" }, { ...PUSHED, conversation_id: "" }])("that is none is passed over (%#)", (json) => {
    expect(readNotice(json)).toBeUndefined();
  });

  const of = (version: number, thread = "conversation:c") => ({ type: "take_back", thread, version, badge: 0 }) as const;
  const HOUR_MS = 3_600_000;

  test("that comes twice, or after a newer one of its thread, is no news", () => {
    const came = remember(of(3), {}, 0);
    expect([2, 3, 4].map((version) => isNews(of(version), came, 1))).toEqual([false, false, true]);
    expect(isNews(of(1, "conversation:other"), came, 1)).toBe(true);
  });

  test("of a thread that began anew after a long time is news", () => {
    const came = remember(of(30), {}, 0);
    expect(isNews(of(1), came, HOUR_MS + 1)).toBe(true);
    expect(Object.keys(remember(of(1, "other"), came, HOUR_MS + 1))).toEqual(["other"]);
  });
});
