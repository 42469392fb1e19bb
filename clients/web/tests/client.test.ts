import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { ParleyClient } from "../src/index.js";
import { EventStream, type StreamState } from "../src/event-stream.js";
import { LoginOverError, TokenCache } from "../src/tokens.js";
import { until, useWorld } from "./support.js";

const ROOM = "alice+bob";
const down = () => new ConnectError("down", Code.Unavailable);
const texts = (client: ParleyClient) =>
  client.messaging.store.get(ROOM)?.messages.map((m) => (m.content.kind === "text" ? m.content.text : m.content.kind));
const text = (value: string) => ({ case: "text" as const, value: { $typeName: "parley.messaging.v1.TextContent" as const, text: value, entities: [], masked: false } });

describe("client", () => {
  const world = useWorld();

  async function ready(userId: string, deviceId?: string): Promise<ParleyClient> {
    const client = world.client(userId, deviceId);
    await until(`${userId} is ready`, () => client.messaging.ready && client.stream.kind === "live");
    return client;
  }

  async function pair(): Promise<[ParleyClient, ParleyClient]> {
    world.backend.openDirect("alice", "bob");
    return Promise.all([ready("alice"), ready("bob")]);
  }

  test("a message reaches the other side and the sender's other devices once, and the bubble settles", async () => {
    const [alice, bob] = await pair();
    const tablet = await ready("alice", "alices-tablet");
    alice.messaging.send(ROOM, "hello");
    expect(alice.messaging.store.get(ROOM)?.outgoing).toHaveLength(1);
    await until("all have it", () => [alice, bob, tablet].every((c) => texts(c)?.length === 1));
    expect(alice.messaging.store.get(ROOM)?.outgoing).toEqual([]);
  });

  test("messages written quickly keep their order", async () => {
    const [alice, bob] = await pair();
    const written = Array.from({ length: 20 }, (_, i) => `${i}`);
    for (const line of written) alice.messaging.send(ROOM, line);
    await until("all arrived", () => texts(bob)?.length === 20);
    expect(texts(bob)).toEqual(written);
  });

  test("a message that cannot be sent is shown as failed, and a retry sends it once", async () => {
    const [alice, bob] = await pair();
    world.backend.fault = new ConnectError("no", Code.PermissionDenied);
    alice.messaging.send(ROOM, "hello");
    await until("it failed", () => alice.messaging.store.get(ROOM)?.outgoing[0]?.state === "failed");
    const failed = alice.messaging.store.get(ROOM)?.outgoing[0];
    expect(failed?.problem?.line).toBe("You are not allowed to do that.");
    world.backend.fault = undefined;
    alice.messaging.retry(ROOM, failed?.clientMessageId ?? "");
    await until("it arrived", () => texts(bob)?.length === 1);
  });

  test("a retry of a message that had arrived after all doubles nothing", async () => {
    const [alice] = await pair();
    alice.messaging.send(ROOM, "hello");
    await until("acknowledged", () => texts(alice)?.length === 1);
    const id = alice.messaging.store.get(ROOM)?.messages[0]?.clientMessageId ?? "";
    const common = { clientMessageId: id, conversationId: ROOM, text: "hello", entities: [], replyToSeq: 0, attachments: [], viewOnce: false, createTimeMs: 0 };
    alice.messaging.store.addOutgoing({ ...common, state: "failed", problem: undefined, retryable: true, held: false });
    alice.messaging.retry(ROOM, id);
    await until("settled", () => alice.messaging.store.get(ROOM)?.outgoing.length === 0);
    expect(texts(alice)).toEqual(["hello"]);
  });

  test("a gap in the sequence is filled by a sync", async () => {
    const [alice] = await pair();
    world.backend.post(ROOM, "bob", text("lost"), { lost: true });
    world.backend.post(ROOM, "bob", text("seen"));
    await until("both are there", () => texts(alice)?.length === 2);
    expect(texts(alice)).toEqual(["lost", "seen"]);
  });

  test("Resync brings what no event told", async () => {
    const [alice] = await pair();
    world.backend.post(ROOM, "bob", text("lost"), { lost: true });
    world.backend.sendEvent(["alice"], { case: "resync", value: { $typeName: "parley.gateway.v1.Resync", reason: 1, conversationIds: [] } });
    await until("it is there", () => texts(alice)?.length === 1);
  });

  test("after the stream broke, the client comes back and misses nothing, in pages", async () => {
    const [alice] = await pair();
    world.backend.post(ROOM, "bob", text("first"));
    await until("first", () => texts(alice)?.length === 1);
    world.backend.dropStreams("alice");
    for (let i = 0; i < 450; i++) world.backend.post(ROOM, "bob", text(`${i}`));
    await until("all are there", () => texts(alice)?.length === 451);
    expect(alice.stream.kind).toBe("live");
  });

  test("on another network the client opens a new stream at once", async () => {
    const [alice] = await pair();
    const before = world.backend.requests["subscribe"] ?? 0;
    alice.reconnect();
    await until("a new stream", () => world.backend.requests["subscribe"] === before + 1 && alice.stream.kind === "live");
  });

  test("a message whose sending a proxy cancelled is sent again by itself, once", async () => {
    const [alice, bob] = await pair();
    world.backend.faults.set("sendMessage", new ConnectError("stream reset", Code.Canceled));
    alice.messaging.send(ROOM, "hello");
    await until("the first try", () => (world.backend.requests["sendMessage"] ?? 0) >= 1);
    world.backend.faults.clear();
    await until("it arrived", () => texts(bob)?.length === 1);
    expect(alice.messaging.store.outgoing()).toEqual([]);
  });

  test("while the services are down the client goes on trying, and then catches up", async () => {
    world.backend.openDirect("alice", "bob");
    world.backend.fault = down();
    const alice = world.client("alice");
    await until("it waits", () => alice.stream.kind === "waiting");
    world.backend.post(ROOM, "bob", text("hello"));
    world.backend.fault = undefined;
    alice.retryNow();
    await until("it has caught up", () => texts(alice)?.length === 1);
  });

  test("a second window takes the stream over, and the first says so and does not fight", async () => {
    world.backend.openDirect("alice", "bob");
    const first = await ready("alice");
    // The mock does not send error details, so the reason travels as the client would read it.
    const detail = { type: "google.rpc.ErrorInfo", value: new Uint8Array([10, 8, ...new TextEncoder().encode("REPLACED")]) };
    const replaced = new ConnectError("replaced", Code.Aborted);
    Object.assign(replaced, { details: [detail] });
    const before = world.backend.requests["subscribe"];
    world.backend.dropStreams("alice", replaced);
    await until("it stopped", () => first.stream.kind === "stopped");
    expect(first.stream).toMatchObject({ reason: "replaced", line: "Parley was opened in another window." });
    expect(world.backend.requests["subscribe"]).toBe(before);
    first.start();
    await until("it is back", () => first.stream.kind === "live");
  });

  test.each(["phone", "my phone 1", "x".repeat(65), ""])("a device's id that no service takes is refused at once: %s", (deviceId) => {
    expect(() => world.client("alice", deviceId)).toThrow(/deviceId/);
  });

  test("stopped before its stream was opened it says that it is stopped, and can be started again", async () => {
    const client = world.client("alice");
    client.stop();
    expect(client.stream).toEqual({ kind: "stopped", reason: "closed", line: "" });
    void client.start();
    await until("it is live", () => client.stream.kind === "live");
  });

  test("a login that is over stops the stream", async () => {
    const api = world.backend.apiFor("alice");
    const tokens = new TokenCache(() => Promise.reject(new LoginOverError("logged out")), "alice");
    const subscribe: typeof api.gateway.subscribe = async function* (request, options) {
      await tokens.get();
      yield* api.gateway.subscribe(request, options);
    };
    const states: StreamState[] = [];
    const stream = new EventStream({ ...api, gateway: { ...api.gateway, subscribe } }, "device-1", { onEvent: () => undefined, onState: (state) => states.push(state), isCurrent: () => true });
    stream.start();
    await until("it stopped", () => states.at(-1)?.kind === "stopped");
    expect(states.at(-1)).toMatchObject({ reason: "login", failure: { reason: "TOKEN_EXPIRED", detail: "logged out" } });
  });

  test("a refused login stops the stream instead of hammering the server", async () => {
    world.backend.fault = new ConnectError("who?", Code.Unauthenticated);
    const alice = world.client("alice");
    await until("it stopped", () => alice.stream.kind === "stopped");
    expect(alice.stream).toMatchObject({ reason: "login" });
    expect(world.backend.requests["subscribe"]).toBe(2);
  });

  test("people see each other come online and go", async () => {
    const [alice, bob] = await pair();
    await until("both see each other", () => Boolean(alice.presence.of("bob")?.online && bob.presence.of("alice")?.online));
    bob.stop();
    await until("alice sees bob leave", () => alice.presence.of("bob")?.online === false);
  });

  test("typing is seen, and ends with the message", async () => {
    const [alice, bob] = await pair();
    alice.presence.draft(ROOM, "hel");
    await until("bob sees it", () => bob.presence.typing(ROOM).includes("alice"));
    alice.messaging.send(ROOM, "hello");
    await until("it ended", () => texts(bob)?.length === 1 && bob.presence.typing(ROOM).length === 0);
  });

  test("reading is told once and seen by the other side", async () => {
    const [alice, bob] = await pair();
    alice.messaging.send(ROOM, "hello");
    await until("arrived", () => bob.messaging.store.get(ROOM)?.unread === 1);
    await Promise.all([bob.messaging.markRead(ROOM), bob.messaging.markRead(ROOM), bob.messaging.markRead(ROOM)]);
    await bob.messaging.markRead(ROOM);
    expect(bob.messaging.store.get(ROOM)?.unread).toBe(0);
    await until("seen", () => alice.messaging.store.get(ROOM)?.conversation.members.some((m) => m.userId === "bob" && m.readSeq === 1) ?? false);
    expect(world.backend.requests["markRead"]).toBeLessThanOrEqual(3);
  });

  test("reading that could not be told is told later", async () => {
    const [alice, bob] = await pair();
    alice.messaging.send(ROOM, "hello");
    await until("arrived", () => texts(bob)?.length === 1);
    world.backend.fault = down();
    await bob.messaging.markRead(ROOM);
    world.backend.fault = undefined;
    await bob.messaging.markRead(ROOM);
    await until("seen", () => alice.messaging.store.get(ROOM)?.conversation.members.some((m) => m.readSeq === 1 && m.userId === "bob") ?? false);
  });

  test("history comes in pages down to the first message", async () => {
    world.backend.openDirect("alice", "bob");
    for (let i = 1; i <= 320; i++) world.backend.post(ROOM, "bob", text(`${i}`));
    const alice = await ready("alice");
    for (let i = 0; i < 10; i++) await alice.messaging.loadOlder(ROOM);
    expect(texts(alice)).toEqual(Array.from({ length: 320 }, (_, i) => `${i + 1}`));
    expect(alice.messaging.store.get(ROOM)?.hasOlder).toBe(false);
  });

  test("a new conversation shows up on both sides", async () => {
    const [alice, bob] = await Promise.all([ready("alice"), ready("bob")]);
    expect(await alice.messaging.openDirect("bob")).toBe(ROOM);
    await until("bob has it", () => bob.messaging.store.list().length === 1);
    await until("they see each other", () => Boolean(alice.presence.of("bob")?.online && bob.presence.of("alice")?.online));
  });
});
