/**
 * The page without a backend: `npm run mock`. You are Alice; the address's `scene` sets the stage:
 * `?user=alice&scene=incoming`, `typing`, `offline`, `group` (the hike's group has a call; `&people=9` makes it larger, `&share` shows a
 * screen), `ring` (it rings), `waiting` (Dana calls after some seconds, for whoever talks by then), `elsewhere` (one is in it with another device), `many` (ten thousand conversations more), `long` (ten thousand messages with Chidi; the last answers an early one), and `&peeroff`, `&interrupted`, `&weak` during a call.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { render } from "preact";
import { MemoryDeviceStore, ParleyClient, type Put } from "@parley/client";
import { App } from "../src/app";
import { language } from "../src/language";
import { Session } from "../src/session";
import "../src/styles";
import { conversation, member, MockBackend } from "@parley/client/testing";
import { type DrawnParticipant, drawnMedia, paintPicture } from "./media";
import { seed, seedFiles, seedLong } from "./seed";

const NAMES = { alice: "Alice Moreau", bob: "Bob Lindqvist", chidi: "Chidi Okafor", dana: "Dana Petrov", farid: "Farid Haddad", gwen: "Gwen Hughes", layla: "ليلى حداد" };
const query = new URLSearchParams(location.search);
const backend = new MockBackend();
seed(backend);
if (query.get("scene") === "long") seedLong(backend);
backend.files.addressOf = (id, body) => (body ? URL.createObjectURL(body) : `data:text/plain,${id}`);
await seedFiles(backend, paintPicture);

const session = new Session({
  linkPreview: async (url) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { hostname, pathname } = new URL(url);
    return { title: `A page about ${pathname}`, description: "What this page says of itself, in a sentence or two.", siteName: hostname.split(".")[0] ?? "" };
  },
  loadUsers: () => Promise.resolve(Object.entries(NAMES).map(([userId, name]) => ({ userId, name }))),
  devTokens: (userId) => () => Promise.resolve({ value: "mock", userId, expiresMs: Date.now() + 3_600_000 }),
  createClient: (userId, tokens, people) =>
    new ParleyClient({ userId, tokens, people, deviceId: "mock-page", store: new MemoryDeviceStore(), api: backend.apiFor(userId), media: drawnMedia(shown), put: slowly(backend.files.put) }),
});

/** Slow enough to see the progress. */
function slowly(put: Put): Put {
  return async (options) => {
    for (let part = 1; part < 10; part++) {
      await new Promise((resolve) => setTimeout(resolve, 120));
      if (options.signal.aborted) throw new DOMException("cancelled", "AbortError");
      options.onProgress((options.body.size * part) / 10);
    }
    await put(options);
  };
}

/** The other side: a second client in the same page. */
const bob = new ParleyClient({
  userId: "bob",
  deviceId: "mock-bob",
  store: new MemoryDeviceStore(),
  tokens: () => Promise.resolve({ value: "mock", userId: "bob", expiresMs: Number.POSITIVE_INFINITY }),
  api: backend.apiFor("bob"),
  media: drawnMedia(() => [{ userId: "alice" }]),
});
bob.start();
bob.onRing = (ringing) => {
  if (ringing) setTimeout(() => bob.calls.accept(false), 1500);
};

/** The participants whom Alice sees: Bob, or those of the group's call. */
function shown(): DrawnParticipant[] {
  const off = query.has("peeroff");
  const running = session.state.client?.calls.view();
  if (!running?.group) return [{ userId: "bob", muted: off, dark: off }];
  const others = running.call?.participants.filter((p) => p.userId !== "alice" && p.deviceId) ?? [];
  return others.map(({ userId }, i) => ({ userId, speaks: i === 0, muted: i === 1, dark: i % 4 === 1, shares: i === 0 && query.has("share") }));
}

/** A call in the group of the hike, in which others are already. */
function groupCall(): void {
  const more = ["dana", "farid", "gwen", "hana", "ivo", "jun", "kira", "lars"].slice(0, Math.max(0, Number(query.get("people") ?? 3) - 3));
  const { members } = backend.stored("hike").conversation;
  if (more.length > 0) backend.change(backend.stored("hike"), { members: [...members, ...more.map((userId) => ({ ...structuredClone(members[1]!), userId }))] });
  const { call } = backend.calls.methodsOf("bob").startCall({ conversationId: "hike", video: true, deviceId: "theirs" });
  for (const userId of ["chidi", ...more]) backend.calls.methodsOf(userId).joinCall({ callId: call.callId, deviceId: "theirs" });
  if (query.get("scene") !== "ring") backend.calls.methodsOf("alice").declineCall({ callId: call.callId });
  if (query.get("scene") === "elsewhere") backend.calls.methodsOf("alice").joinCall({ callId: call.callId, deviceId: "my-phone" });
  backend.calls.methodsOf("chidi").setHand({ callId: call.callId, raised: true });
}

const scenes: Record<string, () => void> = {
  incoming: () => setTimeout(() => bob.calls.dial("alice+bob", "alice", true), 1000),
  group: () => groupCall(),
  ring: () => setTimeout(groupCall, 1000),
  waiting: () => setTimeout(() => backend.calls.methodsOf("dana").startCall({ conversationId: "alice+dana", video: false, deviceId: "theirs" }), 6000),
  elsewhere: () => groupCall(),
  many: () => {
    const load = setInterval(() => {
      const { messaging } = session.state.client ?? {};
      if (!messaging?.ready) return;
      clearInterval(load);
      for (let n = 0; n < 10_000; n++) messaging.store.applyConversation(conversation({ id: `many-${n}`, kind: "group", title: `Group ${n}`, members: [member("alice"), member("bob")] }));
    }, 500);
  },
  typing: () => setInterval(() => bob.presence.draft("alice+bob", `${Date.now()}`), 3000),
  offline: () =>
    setTimeout(() => {
      backend.fault = new ConnectError("down", Code.Unavailable);
      backend.dropStreams("alice");
    }, 1500),
};
scenes[query.get("scene") ?? ""]?.();

await language.open();
const root = document.getElementById("app");
if (root) render(<App session={session} />, root);
void session.open();
