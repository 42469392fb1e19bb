import { Code, ConnectError } from "@connectrpc/connect";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { DeviceStore, ParleyClient } from "../src/index.js";
import { IndexedDbStore, MemoryDeviceStore, ParleyClient as Client } from "../src/index.js";
import { MockBackend } from "../src/testing/backend.js";
import { fakeStorage, until } from "./support.js";

const ROOM = "alice+bob";
const down = new ConnectError("down", Code.Unavailable);
const content = (value: string) => ({ case: "text" as const, value: { $typeName: "parley.messaging.v1.TextContent" as const, text: value, entities: [], masked: false } });
const texts = (client: ParleyClient, room = ROOM) => client.messaging.store.get(room)?.messages.map((m) => (m.content.kind === "text" ? m.content.text : m.content.kind)) ?? [];
const waiting = (client: ParleyClient) => client.messaging.store.outgoing().map((o) => o.text);

let backend: MockBackend;
let factory: IDBFactory;
let pages: Client[];
let now: number;

beforeEach(() => {
  [backend, factory, pages, now] = [new MockBackend(() => now), new IDBFactory(), [], 1_700_000_000_000];
  backend.openDirect("alice", "bob");
});
afterEach(() => {
  backend.fault = undefined;
  for (const page of pages) page.stop();
  vi.restoreAllMocks();
});

/** A page of Alice's browser. */
function page(store: DeviceStore = new IndexedDbStore("alice", factory), userId = "alice"): Client {
  const tokens = () => Promise.resolve({ value: "t", userId, expiresMs: Number.POSITIVE_INFINITY });
  const client = new Client({ userId, deviceId: "my-browser", tokens, api: backend.apiFor(userId), baseUrl: "", storage: fakeStorage(), store });
  pages.push(client);
  client.start();
  return client;
}

async function live(client: Client): Promise<Client> {
  await until("it is live", () => client.stream.kind === "live" && client.messaging.ready);
  return client;
}

/** What the browser keeps, read beside the page. */
const disk = (userId = "alice") => new IndexedDbStore(userId, factory).load((row) => row);

async function kept(what: string, condition: (now: Awaited<ReturnType<typeof disk>>) => boolean): Promise<void> {
  await vi.waitFor(async () => {
    if (!condition(await disk())) throw new Error(`never kept: ${what}`);
  }, { timeout: 30_000, interval: 20 });
}

/** Nothing of Parley can be reached, and what is open breaks. */
function cut(): void {
  backend.fault = down;
  backend.dropStreams("alice");
}

describe("after a reload without a network", () => {
  test("the last conversations and messages are there at once", async () => {
    const first = await live(page());
    backend.post(ROOM, "bob", content("one"));
    backend.post(ROOM, "bob", content("two"));
    await kept("both", ({ conversations }) => conversations[0]?.messages.length === 2);
    cut();
    first.stop();
    const second = page();
    await until("they are there", () => texts(second).length === 2);
    expect(texts(second)).toEqual(["one", "two"]);
    expect(second.messaging.ready).toBe(true);
    expect(second.messaging.store.get(ROOM)?.unread).toBe(2);
  });

  test("a message that was not sent is there, and goes out once when the network is back", async () => {
    const first = await live(page());
    await kept("the conversation", ({ conversations }) => conversations.length === 1);
    cut();
    first.messaging.send(ROOM, "in a tunnel");
    first.messaging.send(ROOM, "still in it");
    await kept("what waits", ({ unsent }) => unsent.length === 2);
    first.stop();
    const second = page();
    await until("it is there", () => waiting(second).length === 2);
    expect(waiting(second)).toEqual(["in a tunnel", "still in it"]);
    backend.fault = undefined;
    second.reconnect();
    await until("it is sent", () => texts(second).length === 2 && waiting(second).length === 0);
    expect(backend.stored(ROOM).messages.map((m) => m.content.case === "text" && m.content.value.text)).toEqual(["in a tunnel", "still in it"]);
    await kept("nothing that waits", ({ unsent }) => unsent.length === 0);
    expect(waiting(await live(page()))).toEqual([]);
  });

  test("messages that were written in one moment keep their order, before those that are written then", async () => {
    const first = await live(page());
    await kept("the conversation", ({ conversations }) => conversations.length === 1);
    cut();
    vi.spyOn(Date, "now").mockReturnValue(Date.now());
    const written = Array.from({ length: 12 }, (_, i) => `${i}`);
    for (const text of written) first.messaging.send(ROOM, text);
    await kept("all", ({ unsent }) => unsent.length === 12);
    first.stop();
    const second = page();
    await until("they are there", () => waiting(second).length === 12);
    second.messaging.send(ROOM, "last");
    await kept("it, too", ({ unsent }) => unsent.length === 13);
    second.stop();
    const third = page();
    await until("they are there again", () => waiting(third).length === 13);
    expect(waiting(third)).toEqual([...written, "last"]);
  });

  test("a message whose answer was lost is not sent twice", async () => {
    const first = await live(page());
    await kept("the conversation", ({ conversations }) => conversations.length === 1);
    cut();
    first.messaging.send(ROOM, "once");
    await kept("it", ({ unsent }) => unsent.length === 1);
    first.stop();
    const { clientMessageId } = (await disk()).unsent[0]!;
    backend.fault = undefined;
    // It had arrived, and Alice never heard of it.
    backend.post(ROOM, "alice", content("once"), { init: { clientMessageId } });
    const second = await live(page());
    await until("it has settled", () => waiting(second).length === 0 && texts(second).length === 1);
    expect(backend.stored(ROOM).messages).toHaveLength(1);
  });

  test("one that was refused for good is shown as such, and not sent again by itself", async () => {
    const first = await live(page());
    backend.faults.set("sendMessage", new ConnectError("no", Code.PermissionDenied));
    first.messaging.send(ROOM, "hello");
    await kept("that it failed", ({ unsent }) => unsent[0]?.state === "failed");
    first.stop();
    const before = backend.requests["sendMessage"];
    const second = await live(page());
    await until("it is there", () => waiting(second).length === 1);
    expect(second.messaging.store.outgoing()[0]).toMatchObject({ state: "failed", retryable: false });
    expect(backend.requests["sendMessage"]).toBe(before);
    second.messaging.discard(ROOM, second.messaging.store.outgoing()[0]!.clientMessageId);
    await kept("nothing", ({ unsent }) => unsent.length === 0);
  });
});

describe("a cold start with a network", () => {
  async function leave(): Promise<void> {
    const first = await live(page());
    backend.post(ROOM, "bob", content("one"));
    backend.post(ROOM, "bob", content("two"));
    await kept("both", ({ conversations }) => conversations[0]?.messages.length === 2);
    first.stop();
  }

  test("brings what happened meanwhile: new messages, changes of kept ones, new conversations", async () => {
    await leave();
    backend.changeMessage(ROOM, 1, { content: { case: "unsent", value: { $typeName: "parley.messaging.v1.Unsent" } } });
    backend.post(ROOM, "bob", content("three"));
    backend.openDirect("alice", "carol");
    const second = await live(page());
    await until("all is there", () => texts(second).length === 3 && second.messaging.store.list().length === 2);
    expect(texts(second)).toEqual(["unsent", "two", "three"]);
    await kept("what was taken back no more", ({ conversations }) => !JSON.stringify(conversations, (_, v: unknown) => (typeof v === "bigint" ? `${v}` : v)).includes('"one"'));
  });

  test("a group that Alice was taken out of is gone, also from the next start", async () => {
    const members = ["alice", "bob"].map((userId) => ({ userId, readSeq: 0n }));
    const group = backend.createConversation({ conversationId: "hike", kind: 2, title: "Hike", members });
    backend.post("hike", "bob", content("hello"));
    await leave();
    backend.change(group, { members: group.conversation.members.filter((m) => m.userId === "bob") });
    const second = await live(page());
    await until("it is gone", () => second.messaging.store.get("hike") === undefined);
    await kept("no more", ({ conversations }) => conversations.every((row) => row.conversation.id !== "hike"));
    second.stop();
    cut();
    const third = page();
    await until("the other is there", () => texts(third).length === 2);
    expect(third.messaging.store.get("hike")).toBeUndefined();
  });

  test("a message that vanished meanwhile is not shown, not even before the network answers", async () => {
    now = Date.now();
    const first = await live(page());
    backend.post(ROOM, "bob", content("4711"), { init: { expireTime: { $typeName: "google.protobuf.Timestamp", seconds: BigInt(Math.floor(now / 1000) + 60), nanos: 0 } } });
    await kept("it", ({ conversations }) => conversations[0]?.messages.length === 1);
    first.stop();
    cut();
    vi.spyOn(Date, "now").mockReturnValue(now + 120_000);
    const second = page();
    await until("its place is there", () => texts(second).length === 1);
    expect(texts(second)).toEqual(["expired"]);
    await kept("its words no more", ({ conversations }) => conversations[0]?.messages[0]?.content.kind === "expired");
  });

  test("a token that the service does not know any more begins anew", async () => {
    await leave();
    backend.faults.set("sync", Object.assign(new ConnectError("unknown", Code.FailedPrecondition), { details: [{ type: "google.rpc.ErrorInfo", value: Uint8Array.from([10, 18, ...new TextEncoder().encode("SYNC_TOKEN_UNKNOWN")]) }] }));
    const second = page();
    await until("it was refused", () => (backend.requests["sync"] ?? 0) > 1);
    backend.faults.clear();
    await until("all is there", () => texts(second).length > 0 && second.messaging.ready);
    expect(texts(second).at(-1)).toBe("two");
  });

  test("only so many messages of a conversation are kept, and the count of unread ones is right all the same", async () => {
    const first = await live(page());
    for (let i = 1; i <= 130; i++) backend.post(ROOM, "bob", content(`${i}`));
    await until("all are there", () => texts(first).length === 130);
    await kept("the newest", ({ conversations }) => conversations[0]?.messages.at(-1)?.seq === 130);
    expect((await disk()).conversations[0]?.messages).toHaveLength(100);
    first.stop();
    cut();
    const second = page();
    await until("they are there", () => texts(second).length === 100);
    expect(second.messaging.store.get(ROOM)).toMatchObject({ unread: 130, hasOlder: true });
  });
});

describe("what belongs to one user", () => {
  test("is not seen by the next one in the same browser", async () => {
    const first = await live(page());
    backend.post(ROOM, "bob", content("for alice"));
    await kept("it", ({ conversations }) => conversations.length === 1);
    first.stop();
    cut();
    const other = page(new IndexedDbStore("eve", factory), "eve");
    await until("she waits", () => other.stream.kind === "waiting");
    expect(other.messaging.store.list()).toEqual([]);
  });

  test.each<[string, (client: Client) => unknown]>([
    ["a logout", (client) => client.wipe()],
    ["deleting the account", (client) => client.account.delete()],
    ["being signed out from elsewhere", () => backend.dropStreams("alice", signedOut("TOKEN_REVOKED"))],
    ["an account that is gone", () => backend.dropStreams("alice", signedOut("ACCOUNT_DELETED"))],
  ])("is wiped by %s", async (_, end) => {
    const client = await live(page());
    backend.post(ROOM, "bob", content("for alice"));
    backend.faults.set("sendMessage", down);
    client.messaging.send(ROOM, "not sent");
    await kept("both", ({ conversations, unsent }) => conversations.length === 1 && unsent.length === 1);
    await end(client);
    await kept("nothing", ({ conversations, unsent, syncToken }) => conversations.length === 0 && unsent.length === 0 && syncToken === "");
    // What happens on the page afterwards is not kept either.
    client.messaging.send(ROOM, "too late");
    await until("it was tried", () => waiting(client).includes("too late"));
    expect((await disk()).unsent).toEqual([]);
  });
});

function signedOut(reason: string): ConnectError {
  const error = new ConnectError(reason, Code.Unauthenticated);
  return Object.assign(error, { details: [{ type: "google.rpc.ErrorInfo", value: Uint8Array.from([10, reason.length, ...new TextEncoder().encode(reason)]) }] });
}

describe("two windows", () => {
  test("the one whose stream was replaced writes no more, and takes over again whole", async () => {
    const one = await live(page());
    await kept("the conversation", ({ conversations }) => conversations.length === 1);
    const two = await live(page());
    backend.post(ROOM, "bob", content("for the second"));
    await kept("it", ({ conversations }) => conversations[0]?.messages.length === 1);
    one.stop();
    two.stop();
    one.start();
    await live(one);
    await until("it has caught up", () => texts(one).length === 1);
    await kept("it still", ({ conversations }) => conversations[0]?.messages.length === 1);
  });

  test("a message that one deleted is not sent by the other", async () => {
    const one = await live(page());
    await kept("the conversation", ({ conversations }) => conversations.length === 1);
    cut();
    one.messaging.send(ROOM, "better not");
    await kept("it", ({ unsent }) => unsent.length === 1);
    const two = page();
    await until("it is there, too", () => waiting(two).length === 1);
    one.messaging.discard(ROOM, one.messaging.store.outgoing()[0]!.clientMessageId);
    await kept("no more", ({ unsent }) => unsent.length === 0);
    one.stop();
    backend.faults.set("sendMessage", down);
    backend.fault = undefined;
    two.reconnect();
    await until("it is gone there, too", () => two.stream.kind === "live" && waiting(two).length === 0);
    expect(backend.stored(ROOM).messages).toEqual([]);
  });
});

describe("a browser without room", () => {
  test.each<[string, () => DeviceStore]>([
    ["that opens no database", () => new IndexedDbStore("alice", { open: () => { throw new DOMException("no", "SecurityError"); } } as unknown as IDBFactory)],
    ["whose database never opens", () => new IndexedDbStore("alice", { open: () => ({}) } as unknown as IDBFactory)],
    ["whose database fails", () => new IndexedDbStore("alice", { open: () => failing() } as unknown as IDBFactory)],
  ])("%s goes on in memory", async (_, make) => {
    const client = page(make());
    await until("it is live", () => client.stream.kind === "live" && client.messaging.ready);
    client.messaging.send(ROOM, "hello");
    await until("it is sent", () => texts(client).length === 1);
    await client.wipe();
  });

  test("that is full keeps nothing that would grow old", async () => {
    const full = new MemoryDeviceStore();
    const first = await live(page(full));
    backend.post(ROOM, "bob", content("one"));
    await vi.waitFor(async () => expect((await full.load((row) => row)).conversations[0]?.messages).toHaveLength(1), { timeout: 30_000 });
    vi.spyOn(full, "save").mockRejectedValue(new DOMException("full", "QuotaExceededError"));
    backend.post(ROOM, "bob", content("two"));
    await vi.waitFor(async () => expect((await full.load((row) => row)).conversations).toEqual([]), { timeout: 30_000 });
    first.messaging.send(ROOM, "goes on");
    await until("it is sent", () => texts(first).length === 3);
  });
});

function failing(): IDBOpenDBRequest {
  const request = { error: new DOMException("broken", "UnknownError") } as unknown as { onerror?: () => void };
  queueMicrotask(() => request.onerror?.());
  return request as unknown as IDBOpenDBRequest;
}

test("drafts of a user go with a logout, and those of others stay", async () => {
  const storage = Object.create({
    getItem(this: Record<string, string>, key: string) { return this[key] ?? null; },
    setItem(this: Record<string, string>, key: string, value: string) { this[key] = value; },
    removeItem(this: Record<string, string>, key: string) { delete this[key]; },
  }) as Storage;
  const client = new Client({ userId: "alice", deviceId: "device-1", tokens: () => Promise.reject(new Error("none")), api: backend.apiFor("alice"), baseUrl: "", storage, store: new MemoryDeviceStore() });
  client.drafts.set(ROOM, "not yet");
  storage.setItem("parley.draft.alice.b.room", "of alice.b");
  storage.setItem("parley.device.alice", "my-browser");
  await client.wipe();
  // What the service answers late, and what is still being written.
  client.drafts.receive(backend.drafts.set("alice", { conversationId: ROOM, text: "from the tablet", replyToSeq: 0n }));
  client.drafts.set(ROOM, "too late");
  expect(Object.keys(storage)).toEqual(["parley.draft.alice.b.room", "parley.device.alice"]);
});
