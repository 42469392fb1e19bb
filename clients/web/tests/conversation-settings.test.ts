import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, describe, expect, test, vi } from "vitest";
import { reason, retryIn } from "../src/testing/details.js";
import type { MessageSchema } from "../src/gen/parley/messaging/v1/messages_pb.js";
import type { ParleyClient, SharedKind } from "../src/index.js";
import { receiptOf, shownPins } from "../src/index.js";
import { Drafts } from "../src/drafts.js";
import { fakeStorage, until, useWorld } from "./support.js";

const ROOM = "alice+bob";
const text = (value: string) => ({ case: "text" as const, value: { $typeName: "parley.messaging.v1.TextContent" as const, text: value, entities: [], masked: false } });

afterEach(() => void vi.useRealTimers());

describe("settings of a conversation", () => {
  const world = useWorld();
  const view = (client: ParleyClient) => client.messaging.store.get(ROOM);

  async function ready(userId: string, deviceId?: string): Promise<ParleyClient> {
    const client = world.client(userId, deviceId);
    await until(`${userId} is ready`, () => client.messaging.ready && client.stream.kind === "live" && client.relations.settings !== undefined);
    return client;
  }

  async function pair(): Promise<[ParleyClient, ParleyClient]> {
    world.backend.openDirect("alice", "bob");
    return Promise.all([ready("alice"), ready("bob")]);
  }

  test("pinning, archiving, muting and marking reach one's own devices and nobody else", async () => {
    const [alice, bob] = await pair();
    const tablet = await ready("alice", "alices-tablet");
    await alice.conversationSettings.pin(ROOM, true);
    await alice.conversationSettings.archive(ROOM, true);
    await alice.conversationSettings.mute(ROOM, 3_600_000);
    await alice.conversationSettings.markUnread(ROOM, true);
    await until("the tablet has it all", () => view(tablet)?.own.markedUnread === true);
    expect(view(tablet)?.own).toMatchObject({ pinned: true, archived: true });
    expect(view(tablet)?.own.muteEndMs).toBeGreaterThan(Date.now() + 3_500_000);
    expect(view(bob)?.own).toMatchObject({ pinned: false, archived: false, markedUnread: false, muteEndMs: undefined });
    await alice.conversationSettings.mute(ROOM);
    expect(new Date(view(alice)?.own.muteEndMs ?? 0).getUTCFullYear()).toBe(9999);
    await alice.conversationSettings.unmute(ROOM);
    expect(view(alice)?.own.muteEndMs).toBe(0);
  });

  test("what is read on one device is read on the others, and the mark goes with it", async () => {
    const [alice, bob] = await pair();
    const tablet = await ready("alice", "alices-tablet");
    bob.messaging.send(ROOM, "one");
    bob.messaging.send(ROOM, "two");
    await until("both are unread", () => view(alice)?.unread === 2 && view(tablet)?.unread === 2);
    await tablet.conversationSettings.markUnread(ROOM, true);
    await alice.messaging.markRead(ROOM);
    await until("the tablet knows", () => view(tablet)?.unread === 0 && view(tablet)?.own.markedUnread === false);
  });

  test("a message is sent, then delivered, then read, and the deliveries of a burst are one request", async () => {
    const [alice, bob] = await pair();
    const receipt = (seq: number) => {
      const conversation = view(alice)?.conversation;
      return conversation && receiptOf(conversation, seq, "alice");
    };
    for (const line of ["one", "two", "three"]) alice.messaging.send(ROOM, line);
    await until("all are sent", () => view(alice)?.messages.length === 3);
    expect(receipt(3)).toBe("sent");
    await until("delivered", () => receipt(3) === "delivered");
    expect(world.backend.requests["markDelivered"]).toBe(1);
    await bob.messaging.markRead(ROOM);
    await until("read", () => receipt(3) === "read");
  });

  test("whoever sends no receipts tells nothing of what arrived", async () => {
    const [alice, bob] = await pair();
    await bob.relations.update({ sendReceipts: false });
    alice.messaging.send(ROOM, "hello");
    await until("it arrived", () => view(bob)?.unread === 1);
    await bob.messaging.markRead(ROOM);
    expect(view(bob)?.unread).toBe(0);
    expect(world.backend.requests["markDelivered"]).toBeUndefined();
    expect(view(alice)?.conversation.members.find((m) => m.userId === "bob")).toMatchObject({ readSeq: 0, deliveredSeq: 0 });
  });

  test("a message vanishes at its time, without any word of the service", async () => {
    const [alice, bob] = await pair();
    await alice.groups.setVanishing(ROOM, 300);
    await until("bob is told", () => view(bob)?.conversation.vanishAfterS === 300);
    vi.useFakeTimers({ now: Date.now(), toFake: ["setTimeout", "clearTimeout", "Date"] });
    alice.messaging.send(ROOM, "soon gone");
    await vi.advanceTimersByTimeAsync(100);
    expect(view(bob)?.messages.at(-1)?.content).toMatchObject({ text: "soon gone" });
    await vi.advanceTimersByTimeAsync(299_000);
    expect(view(bob)?.messages.at(-1)?.content.kind).toBe("text");
    await vi.advanceTimersByTimeAsync(2000);
    expect([alice, bob].map((client) => view(client)?.messages.at(-1)?.content.kind)).toEqual(["expired", "expired"]);
    expect(view(bob)?.messages[0]?.content).toEqual({ kind: "system", event: { kind: "vanishing_changed", vanishAfterS: 300 } });
  });

  test("what one pins is in view of the other, the latest first, until it is taken away or unsent", async () => {
    const [alice, bob] = await pair();
    const pins = (client: ParleyClient) => {
      const held = view(client);
      return held && shownPins(held.conversation, held.messages, client.userId).map(({ seq, message }) => [seq, message?.seq]);
    };
    for (const words of ["one", "two", "three"]) world.backend.post(ROOM, "alice", text(words));
    for (const seq of [3, 1, 2]) await alice.groups.pin(ROOM, seq, true);
    await alice.groups.pin(ROOM, 3, true);
    await until("bob sees them", () => pins(bob)?.length === 3 && view(bob)?.messages.length === 6);
    expect(pins(bob)).toEqual([[2, 2], [1, 1], [3, 3]]);
    expect(view(bob)?.messages.at(-1)?.content).toEqual({ kind: "system", event: { kind: "pinned", seq: 2 } });
    await bob.groups.pin(ROOM, 1, false);
    await alice.messaging.unsend(ROOM, 3);
    await until("both know", () => pins(alice)?.length === 1 && pins(bob)?.length === 1);
    expect(pins(bob)).toEqual([[2, 2]]);
  });

  test("a message is forwarded once into each conversation, and what is refused is told for each", async () => {
    world.backend.openDirect("alice", "carol");
    world.backend.openDirect("alice", "dave");
    const [alice] = await pair();
    await until("all are there", () => alice.messaging.store.list().length === 3);
    world.backend.post(ROOM, "bob", text("pass it on"));
    await alice.relations.block("dave");
    const targets = new Map([["alice+carol", "f1"], ["alice+dave", "f2"], [ROOM, "f3"]]);
    for (let tries = 0; tries < 2; tries++) {
      const refused = await alice.forwarding.forward(ROOM, 1, targets);
      expect([...refused].map(([id, failure]) => [id, failure.reason, failure.line])).toEqual([["alice+dave", "NOT_ALLOWED", "You cannot write to this person."]]);
    }
    const carols = alice.messaging.store.get("alice+carol")?.messages;
    expect(carols?.map((m) => [m.senderId, m.forwarded, m.content])).toEqual([["alice", true, { kind: "text", text: "pass it on", entities: [] }]]);
    expect(view(alice)?.messages.map((m) => m.forwarded)).toEqual([false, true]);
    await expect(alice.forwarding.forward(ROOM, 99, targets)).rejects.toMatchObject({ code: "not_found" });
  });

  test("search finds words in all conversations or in one, in pages", async () => {
    world.backend.openDirect("alice", "carol");
    const [alice] = await pair();
    for (let i = 0; i < 25; i++) world.backend.post(ROOM, "bob", text(`ridge ${i}`));
    world.backend.post("alice+carol", "carol", text("The Ridge!"));
    const first = await alice.search("rid");
    expect(first.messages).toHaveLength(20);
    expect((await alice.search("rid", undefined, first.nextPageToken)).messages).toHaveLength(6);
    expect((await alice.search("ridge", "alice+carol")).messages.map((m) => m.conversationId)).toEqual(["alice+carol"]);
    const halfway = 12;
    const sentMs = view(alice)?.messages[halfway]?.sendTimeMs ?? 0;
    expect((await alice.search("ridge", "", "", { fromUserId: "carol" })).messages.map((m) => m.senderId)).toEqual(["carol"]);
    expect((await alice.search("ridge", "", "", { has: ["link"] })).messages).toEqual([]);
    expect((await alice.search("ridge", "", "", { beforeMs: 1 })).messages).toEqual([]);
    expect((await alice.search("ridge", ROOM, "", { sinceMs: sentMs, fromUserId: "bob" })).messages.length).toBeGreaterThan(0);
    await expect(alice.search("!")).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("what was sent in a conversation is listed by its kind, in pages", async () => {
    const [alice] = await pair();
    const file = (fileName: string, contentType: string) => ({ attachmentId: fileName, fileName, contentType, sizeBytes: 10n });
    const link = { offset: 0, length: 1, entity: { case: "linkUrl" as const, value: "https://a.example/" } };
    const send = (init: MessageInitShape<typeof MessageSchema>) => world.backend.post(ROOM, "bob", text(""), { init });
    for (let i = 0; i < 21; i++) send({ attachments: [file("a.png", "image/png")] });
    send({ attachments: [file("b.mp4", "video/mp4"), file("b.pdf", "application/pdf")] });
    send({ content: { case: "voice", value: { attachmentId: "c.ogg" } }, attachments: [file("c.ogg", "audio/ogg")] });
    send({ content: { case: "text", value: { text: "x", entities: [link] } } });
    const first = await alice.listShared(ROOM, "media");
    const rest = await alice.listShared(ROOM, "media", first.nextPageToken);
    expect([...first.messages, ...rest.messages].map((m) => m.seq)).toEqual(Array.from({ length: 22 }, (_, i) => 22 - i));
    expect(rest.nextPageToken).toBe("");
    const of = async (kind: SharedKind) => (await alice.listShared(ROOM, kind)).messages.map((m) => m.seq);
    expect([await of("file"), await of("voice"), await of("link")]).toEqual([[22], [23], [24]]);
    await expect(alice.listShared("", "link")).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("the way to a message far back is brought, and one that is not there is said to be missing", async () => {
    world.backend.openDirect("alice", "bob");
    for (let i = 1; i <= 900; i++) world.backend.post(ROOM, "bob", text(`${i}`));
    const alice = await ready("alice");
    const [there] = await Promise.all([alice.messaging.loadUntil(ROOM, 37), alice.messaging.loadOlder(ROOM)]);
    expect(there).toBe(true);
    expect(view(alice)?.messages.find((m) => m.seq === 37)).toBeDefined();
    expect(await alice.messaging.loadUntil(ROOM, 0)).toBe(false);
  });

  test("the texts that a message had before are there, the oldest first", async () => {
    const [alice] = await pair();
    alice.messaging.send(ROOM, "one");
    await until("sent", () => view(alice)?.messages.length === 1);
    await alice.messaging.edit(ROOM, 1, "two");
    await alice.messaging.edit(ROOM, 1, "three");
    expect((await alice.messaging.edits(ROOM, 1)).map((edit) => edit.text)).toEqual(["one", "two"]);
  });

  test("sending too fast waits as long as the service says, and then goes out", async () => {
    const [alice, bob] = await pair();
    world.backend.faults.set("sendMessage", retryIn(reason(new ConnectError("slow down", Code.ResourceExhausted), "SEND_RATE"), 1));
    alice.messaging.send(ROOM, "hello");
    await until("it says so", () => view(alice)?.outgoing[0]?.problem?.line.startsWith("You are sending too fast") ?? false);
    expect(view(alice)?.outgoing[0]?.state).toBe("sending");
    world.backend.faults.clear();
    await until("it went out", () => view(bob)?.messages.length === 1);
  });

  test("a longer wait is left to the user", async () => {
    const [alice] = await pair();
    world.backend.faults.set("sendMessage", retryIn(reason(new ConnectError("slow down", Code.ResourceExhausted), "SEND_RATE"), 120));
    alice.messaging.send(ROOM, "hello");
    await until("it failed", () => view(alice)?.outgoing[0]?.state === "failed");
    expect(view(alice)?.outgoing[0]?.problem?.line).toBe("You are sending too fast. Please try again in 2 minutes.");
  });

  test("a group's picture and history setting change for all", async () => {
    const [alice, bob] = await pair();
    const id = await alice.groups.create("Hike", ["bob"]);
    await alice.groups.setPicture(id, "symbol:mountain");
    await alice.groups.setHistoryOpen(id, true);
    const shared = () => bob.messaging.store.get(id)?.conversation;
    await until("bob sees both", () => shared()?.historyOpen === true);
    expect(shared()?.avatarRef).toBe("symbol:mountain");
    await alice.groups.setAdminsAdd(id, true);
    await until("bob sees who may add", () => shared()?.adminsAdd === true);
    await alice.groups.setAdminsAdd(id, false);
    await until("bob sees it again", () => shared()?.adminsAdd === false);
  });
});

describe("drafts", () => {
  test("are in this browser, by user and conversation, until they are empty", () => {
    const storage = fakeStorage();
    new Drafts("alice", storage).set("room", "half a thought");
    expect(new Drafts("alice", storage).get("room")).toBe("half a thought");
    expect(new Drafts("alice", storage).get("other")).toBe("");
    expect(new Drafts("bob", storage).get("room")).toBe("");
    new Drafts("alice", storage).set("room", "  ");
    expect(storage.getItem("parley.draft.alice.room")).toBeNull();
  });

  test("a full storage loses the draft at the page's end, not before", () => {
    const full = { ...fakeStorage(), setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
    expect(() => new Drafts("alice", full).set("room", "text")).not.toThrow();
  });
});
