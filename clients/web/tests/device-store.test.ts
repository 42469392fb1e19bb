import { IDBFactory } from "fake-indexeddb";
import { describe, expect, test, vi } from "vitest";
import type { KeptConversation } from "../src/core/kept.js";
import { withoutVanished } from "../src/core/kept.js";
import { type DeviceStore, type KeptChange, MemoryDeviceStore, WIPED } from "../src/device-store.js";
import { type DeviceSecrets, makeDeviceSecrets } from "../src/encryption/key-crypto.js";
import { IndexedDbStore } from "../src/indexed-db-store.js";
import { conversation, message, outgoing, own } from "../src/testing/samples.js";

const kept = (id: string, change: Partial<KeptConversation> = {}): KeptConversation => ({
  conversation: conversation({ id, lastSeq: 2 }),
  messages: [message(1, { conversationId: id }), message(2, { conversationId: id })],
  own: own({ readSeq: 1 }),
  countedSeq: 2,
  revision: 3,
  ...change,
});
const all = (row: KeptConversation): KeptConversation => row;
const change = (put: readonly KeptConversation[], more: Partial<KeptChange> = {}): KeptChange => ({ put, remove: [], syncToken: "t1", people: [], whole: false, ...more });
const ids = (rows: readonly KeptConversation[]): string[] => rows.map((row) => row.conversation.id).sort();

/** Each makes a store, and another one on the same data, as the next page has it. */
const KINDS: Record<string, () => () => DeviceStore> = {
  "in memory": () => {
    const store = new MemoryDeviceStore();
    return () => store;
  },
  "in IndexedDB": () => {
    const factory = new IDBFactory();
    return () => new IndexedDbStore("alice", factory);
  },
};

describe.each(Object.entries(KINDS))("a device's store %s", (_, make) => {
  test("is empty at first", async () => {
    expect(await make()().load(all)).toEqual({ syncToken: "", conversations: [], people: [], unsent: [], version: 0 });
  });

  test("has after a reload what was saved, with its token", async () => {
    const open = make();
    const store = open();
    await store.claim("w");
    await store.save("w", change([kept("a"), kept("b")]));
    const people = [{ userId: "bob", name: "Bob", avatarUrl: "" }];
    await store.save("w", change([kept("a", { revision: 4 })], { remove: ["b"], syncToken: "t2", people }));
    store.close();
    const loaded = await open().load(all);
    expect(loaded).toEqual({ syncToken: "t2", conversations: [kept("a", { revision: 4 })], people, unsent: [], version: 2 });
  });

  test("what is saved as a whole takes the place of everything", async () => {
    const open = make();
    await open().claim("w");
    await open().save("w", change([kept("a"), kept("b")]));
    await open().save("w", change([kept("c")], { whole: true }));
    expect(ids((await open().load(all)).conversations)).toEqual(["c"]);
  });

  test("takes conversations only of the window that claimed it last", async () => {
    const open = make();
    const [one, other] = [open(), open()];
    await one.claim("one");
    await one.save("one", change([kept("a")]));
    const { version } = await other.claim("other");
    expect(version).toBe(1);
    expect(await one.save("one", change([kept("b")]))).toBeUndefined();
    expect(await other.save("other", change([kept("c")]))).toBe(2);
    expect(ids((await open().load(all)).conversations)).toEqual(["a", "c"]);
  });

  test("keeps what waits to be sent in the order of writing, from any window, until it is taken away", async () => {
    const open = make();
    await open().putUnsent(outgoing("second", { createTimeMs: 2 }));
    await open().putUnsent(outgoing("first", { createTimeMs: 1 }));
    await open().putUnsent(outgoing("third", { createTimeMs: 3 }));
    await open().putUnsent(outgoing("third", { createTimeMs: 3, state: "failed" }));
    await open().removeUnsent("second");
    await open().removeUnsent("never there");
    const { unsent } = await open().load(all);
    expect(unsent.map((o) => [o.clientMessageId, o.state])).toEqual([["first", "sending"], ["third", "failed"]]);
    expect((await open().claim("w")).unsent).toEqual(unsent);
  });

  test("what vanished while the page was closed is gone from it, too, after the next load", async () => {
    const open = make();
    await open().claim("w");
    const secret = message(3, { conversationId: "a", content: { kind: "text", text: "4711", entities: [] }, expireTimeMs: 5000 });
    await open().save("w", change([kept("a", { messages: [secret] }), kept("b")]));
    await open().load((row) => withoutVanished(row, 5000));
    const raw = await open().load(all);
    expect(raw.conversations.find((row) => row.conversation.id === "a")?.messages[0]?.content).toEqual({ kind: "expired" });
    expect(JSON.stringify(raw)).not.toContain("4711");
  });

  test("what a load leaves out is kept no more", async () => {
    const open = make();
    await open().claim("w");
    await open().save("w", change([kept("a"), kept("b")]));
    expect(ids((await open().load((row) => (row.conversation.id === "a" ? undefined : row))).conversations)).toEqual(["b"]);
    expect(ids((await open().load(all)).conversations)).toEqual(["b"]);
  });

  test("conversations can be forgotten without what waits to be sent", async () => {
    const open = make();
    await open().claim("w");
    await open().save("w", change([kept("a")]));
    await open().putUnsent(outgoing("one"));
    await open().clearConversations();
    expect(await open().load(all)).toMatchObject({ syncToken: "", conversations: [], unsent: [{ clientMessageId: "one" }], version: 2 });
  });

  test("wiped, it has nothing, and takes nothing of what was still under way", async () => {
    const open = make();
    const store = open();
    await store.claim("w");
    await store.save("w", change([kept("a")]));
    await store.putUnsent(outgoing("one"));
    await store.wipe();
    const late = [
      () => store.claim("w"),
      () => store.save("w", change([kept("a")])),
      () => store.putUnsent(outgoing("two")),
      () => store.saveKeys("others", { accounts: [], news: [] }, true),
    ];
    for (const write of late) await expect(write()).rejects.toThrow("wiped");
    expect(await open().load(all)).toMatchObject({ syncToken: "", conversations: [], unsent: [] });
    expect(await open().loadKeys("others")).toBeUndefined();
  });

  test("what was saved does not change with what the page does to it later", async () => {
    const open = make();
    await open().claim("w");
    const row = { ...kept("a") };
    await open().save("w", change([row]));
    Object.assign(row, { revision: 99 });
    expect((await open().load(all)).conversations[0]?.revision).toBe(3);
  });
});

describe("the database", () => {
  const rewrite = async (factory: IDBFactory, name: string, act: (database: IDBDatabase) => void): Promise<void> => {
    const request = factory.open(name);
    await new Promise((resolve) => (request.onsuccess = resolve));
    act(request.result);
    request.result.close();
  };

  test("is each user's own", async () => {
    const factory = new IDBFactory();
    await new IndexedDbStore("alice", factory).putUnsent(outgoing("of alice"));
    expect((await new IndexedDbStore("bob", factory).load(all)).unsent).toEqual([]);
    await new IndexedDbStore("bob", factory).wipe();
    expect((await new IndexedDbStore("alice", factory).load(all)).unsent).toHaveLength(1);
  });

  test("is not there after a wipe, whatever comes then, and is there anew for who logs in next", async () => {
    const factory = new IDBFactory();
    const names = async (): Promise<unknown[]> => (await factory.databases()).map(({ name }) => name);
    const store = new IndexedDbStore("alice", factory);
    await store.putUnsent(outgoing("one"));
    const keys = makeDeviceSecrets();
    const wiping = store.wipe();
    await expect(keys.then((secrets) => store.saveKeys("own", secrets, true))).rejects.toThrow("wiped");
    await wiping;
    await vi.waitFor(async () => expect(await names()).toEqual([]), { timeout: 30_000 });
    await new IndexedDbStore("alice", factory).putUnsent(outgoing("of the next login"));
    expect(await names()).toEqual(["parley.alice"]);
  });

  test("of a store that fails is taken away as well", async () => {
    const factory = new IDBFactory();
    await new IndexedDbStore("alice", factory).putUnsent(outgoing("one"));
    const store = new IndexedDbStore("alice", factory);
    await store.load(all);
    vi.spyOn(factory, "deleteDatabase");
    store.close();
    vi.spyOn(factory, "open").mockImplementation(() => {
      throw new DOMException("no", "SecurityError");
    });
    await expect(store.wipe()).rejects.toThrow();
    expect(factory.deleteDatabase).toHaveBeenCalledWith("parley.alice");
  });

  test("of another form is fetched anew, without losing what waits to be sent", async () => {
    const factory = new IDBFactory();
    const store = new IndexedDbStore("alice", factory);
    await store.claim("w");
    await store.save("w", change([kept("a")]));
    await store.putUnsent(outgoing("one"));
    await rewrite(factory, "parley.alice", (database) => {
      const table = database.transaction("account", "readwrite").objectStore("account");
      table.put({ format: 999, syncToken: "t", people: [], writer: "w", version: 7 }, "state");
    });
    expect(await store.load(all)).toMatchObject({ syncToken: "", conversations: [], unsent: [{ clientMessageId: "one" }] });
  });

  test("of a newer release is not touched: the store says that it cannot", async () => {
    const factory = new IDBFactory();
    const request = factory.open("parley.alice", 1000);
    await new Promise((resolve) => (request.onsuccess = resolve));
    request.result.close();
    await expect(new IndexedDbStore("alice", factory).load(all)).rejects.toThrow();
  });

  test("lets another window take it away, and is there again for the next use", async () => {
    const factory = new IDBFactory();
    const [one, other] = [new IndexedDbStore("alice", factory), new IndexedDbStore("alice", factory)];
    await one.putUnsent(outgoing("one"));
    await other.wipe();
    await one.putUnsent(outgoing("two"));
    expect((await one.load(all)).unsent.map((o) => o.clientMessageId)).toEqual(["two"]);
  });

  test("a change that cannot be written is not written in part", async () => {
    const factory = new IDBFactory();
    const store = new IndexedDbStore("alice", factory);
    await store.claim("w");
    await store.save("w", change([kept("a")]));
    const unfit = { ...kept("c"), extra: () => undefined } as KeptConversation;
    await expect(store.save("w", change([kept("b"), unfit], { remove: ["a"] }))).rejects.toThrow();
    expect(ids((await store.load(all)).conversations)).toEqual(["a"]);
  });
});

describe.each(Object.entries(KINDS))("a device's keys %s", (_, make) => {
  test("are those that were kept first, cannot be read, and go with everything else", async () => {
    const open = make();
    expect(await open().loadKeys("own")).toBeUndefined();
    const [first, second] = [await makeDeviceSecrets(), await makeDeviceSecrets()];
    await open().saveKeys("own", first, true);
    const kept = await open().saveKeys("own", second, true);
    const publicKey = (secrets: DeviceSecrets | undefined) => secrets && crypto.subtle.exportKey("raw", secrets.kem.publicKey);
    expect(await publicKey(kept)).toEqual(await publicKey(first));
    expect(await publicKey(await open().loadKeys("own"))).toEqual(await publicKey(first));
    await expect(crypto.subtle.exportKey("pkcs8", kept.kem.privateKey)).rejects.toThrow();
    // What a new layout of conversations, and a wipe of them, leave.
    await open().clearConversations();
    expect(await open().loadKeys("own")).toBeDefined();
    await open().wipe();
    expect(await open().loadKeys("own")).toBeUndefined();
  });

  test("have beside them what was seen of others' keys", async () => {
    const open = make();
    expect(await open().loadKeys("others")).toBeUndefined();
    const known = { accounts: [{ userId: "bob", version: 1, accountKey: Uint8Array.of(4, 1), deviceIds: ["b1"] }], news: [{ userId: "bob", kind: "device_added" as const, timeMs: 5 }] };
    await open().saveKeys("others", known);
    expect(await open().loadKeys("others")).toEqual(known);
  });
});

describe("a connection to IndexedDB that the browser takes away", () => {
  /** A store, and what it opens: connections, each with its transactions. */
  function watched(): { store: IndexedDbStore; factory: IDBFactory; connections: IDBDatabase[]; onTransaction: (act: (transaction: IDBTransaction) => void) => void } {
    const factory = new IDBFactory();
    const connections: IDBDatabase[] = [];
    let act: ((transaction: IDBTransaction) => void) | undefined;
    const open = (name: string, version?: number): IDBOpenDBRequest => {
      const request = factory.open(name, version);
      request.addEventListener("success", () => {
        const database = request.result;
        const begin = database.transaction.bind(database);
        database.transaction = (...given) => {
          const transaction = begin(...given);
          const due = act;
          act = undefined;
          due?.(transaction);
          return transaction;
        };
        connections.push(database);
      });
      return request;
    };
    const deleteDatabase = factory.deleteDatabase.bind(factory);
    const store = new IndexedDbStore("alice", { open, deleteDatabase } as unknown as globalThis.IDBFactory);
    return { store, factory, connections, onTransaction: (next) => (act = next) };
  }

  test("without a word, as on phones: the next call opens another", async () => {
    const { store, connections } = watched();
    await store.putUnsent(outgoing("first"));
    connections[0]?.close();
    await store.putUnsent(outgoing("second"));
    expect((await store.load(all)).unsent.map((o) => o.clientMessageId)).toEqual(["first", "second"]);
    expect(connections).toHaveLength(2);
  });

  test("in the middle of a transaction: it is done again as a whole", async () => {
    const { store, connections, onTransaction } = watched();
    await store.claim("w");
    onTransaction((transaction) => queueMicrotask(() => transaction.abort()));
    expect(await store.save("w", change([kept("a")]))).toBe(1);
    expect(ids((await store.load(all)).conversations)).toEqual(["a"]);
    expect(connections).toHaveLength(2);
  });

  test("again and again: the call fails, and the next one may work", async () => {
    const { store, onTransaction } = watched();
    const abort = (transaction: IDBTransaction): void => {
      onTransaction(abort);
      transaction.abort();
    };
    await store.claim("w");
    onTransaction(abort);
    await expect(store.putUnsent(outgoing("lost"))).rejects.toThrow();
    onTransaction(() => undefined);
    await store.putUnsent(outgoing("kept"));
    expect((await store.load(all)).unsent.map((o) => o.clientMessageId)).toEqual(["kept"]);
  });

  test("and a logout beside it: nothing is opened after the wipe", async () => {
    const { store, connections } = watched();
    await store.putUnsent(outgoing("first"));
    connections[0]?.close();
    await store.wipe().catch(() => undefined);
    await expect(store.loadKeys("own")).rejects.toThrow(WIPED);
  });

  test("as a logout begins: the tables are emptied all the same", async () => {
    const { store, connections, factory } = watched();
    await store.putUnsent(outgoing("first"));
    connections[0]?.close();
    // Another window that does not let go.
    const request = factory.open("parley.alice");
    const held = await new Promise<IDBDatabase>((resolve) => (request.onsuccess = () => resolve(request.result as unknown as IDBDatabase)));
    await store.wipe();
    const rows = held.transaction("unsent").objectStore("unsent").count();
    expect(await new Promise((resolve) => (rows.onsuccess = () => resolve(rows.result)))).toBe(0);
    held.close();
  });

  test("and tells of it late: the one in its place is still the store's to close", async () => {
    const { store, connections } = watched();
    await store.putUnsent(outgoing("first"));
    const [first] = connections;
    first?.close();
    await store.putUnsent(outgoing("second"));
    first?.onclose?.(new Event("close"));
    await store.putUnsent(outgoing("third"));
    expect(connections).toHaveLength(2);
  });

  test("which another window held up: when it comes at last, it is in nobody's way", async () => {
    const { store, connections, factory } = watched();
    const request = factory.open("parley.alice", 1);
    await new Promise((resolve) => (request.onsuccess = resolve));
    await expect(store.load(all)).rejects.toThrow("another window");
    request.result.close();
    await vi.waitFor(() => expect(connections).toHaveLength(1), { timeout: 30_000 });
    const gone = factory.deleteDatabase("parley.alice");
    expect(await new Promise((resolve) => ([gone.onsuccess, gone.onblocked] = [() => resolve("gone"), () => resolve("blocked")]))).toBe("gone");
  });
});
