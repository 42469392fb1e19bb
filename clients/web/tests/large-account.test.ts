import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ConversationKind, MessageSchema, RequestState } from "../src/gen/parley/messaging/v1/messages_pb.js";
import { ConversationFolder, type ListConversationsRequest, MessagingService, type SyncRequest } from "../src/gen/parley/messaging/v1/service_pb.js";
import { createApi } from "../src/testing/api.js";
import { ConversationStore } from "../src/core/conversation-store.js";
import { Messaging } from "../src/messaging.js";

const CONVERSATIONS = 50_000;
const REQUESTS = 3_000;

/** An account as the service tells it: every room has a position, which rises with each of its changes. */
class Account {
  readonly rooms = Array.from({ length: CONVERSATIONS + REQUESTS }, (_, n) => ({ id: `c${n}`, seq: 1, revision: 0, position: n, gone: false, request: n >= CONVERSATIONS }));
  next = this.rooms.length;
  refuses = false;
  /** What happens while an answer is on its way. */
  meanwhile = (): void => undefined;
  readonly lists: ListConversationsRequest[] = [];
  readonly syncs: SyncRequest[] = [];

  change(n: number, change: { says?: number; revises?: number; gone?: boolean }): void {
    const room = this.room(n);
    room.seq += change.says ?? 0;
    room.revision += change.revises ?? 0;
    room.gone ||= change.gone ?? false;
    room.position = this.next++;
  }

  messaging(): { messaging: Messaging; store: ConversationStore } {
    const transport = createRouterTransport(({ service }) => {
      service(MessagingService, { listConversations: (request) => this.list(request), sync: (request) => this.sync(request) });
    });
    const store = new ConversationStore("me");
    return { store, messaging: new Messaging(createApi(transport), store, () => undefined, () => undefined) };
  }

  private room(n: number): Account["rooms"][number] {
    const room = this.rooms[n];
    if (!room) throw new Error(`no room ${n}`);
    return room;
  }

  private list(request: ListConversationsRequest) {
    this.lists.push(request);
    const wanted = request.folder === ConversationFolder.REQUESTS;
    const from = Number(request.pageToken || 0);
    const all = this.rooms.filter((room) => room.request === wanted).reverse();
    return {
      conversations: all.slice(from, from + 100).map((room) => ({ ...this.heads(room), lastMessage: message(room.id, room.seq) })),
      nextPageToken: from + 100 < all.length ? `${from + 100}` : "",
      syncToken: from ? "" : `${this.next}`,
    };
  }

  private sync(request: SyncRequest) {
    this.syncs.push(request);
    this.meanwhile();
    if (this.refuses) {
      this.refuses = false;
      throw unknownToken();
    }
    const changed = this.rooms.filter((room) => room.position >= Number(request.syncToken || 0)).sort((a, b) => a.position - b.position);
    const page = changed.slice(0, 10);
    const cursors = new Map(request.cursors.map((cursor) => [cursor.conversationId, Number(cursor.seq)]));
    return {
      deltas: page.filter((room) => !room.gone).map((room) => {
        const from = cursors.get(room.id) ?? Math.max(0, room.seq - 3);
        const messages = Array.from({ length: room.seq - from }, (_, n) => message(room.id, from + n + 1));
        return { ...this.heads(room), messages, cursor: { conversationId: room.id, seq: BigInt(room.seq), revision: BigInt(room.revision) } };
      }),
      goneConversationIds: page.filter((room) => room.gone).map(({ id }) => id),
      hasMore: changed.length > 10,
      syncToken: `${changed.length > 10 ? (changed[10]?.position ?? 0) : this.next}`,
    };
  }

  private heads(room: Account["rooms"][number]) {
    return {
      conversation: {
        conversationId: room.id,
        kind: ConversationKind.DIRECT,
        members: ["me", `peer of ${room.id}`].map((userId) => ({ userId })),
        lastSeq: BigInt(room.seq),
        revision: BigInt(room.revision),
      },
      ownState: { request: room.request ? RequestState.PENDING : RequestState.UNSPECIFIED },
    };
  }
}

function message(conversationId: string, seq: number) {
  const sendTime = timestampFromMs(seq * 1000);
  return create(MessageSchema, { messageId: `${conversationId}/${seq}`, conversationId, seq: BigInt(seq), sendTime, senderId: "peer", content: { case: "text", value: { text: "hello" } } });
}

function unknownToken(): ConnectError {
  const reason = new TextEncoder().encode("SYNC_TOKEN_UNKNOWN");
  const error = new ConnectError("unknown", Code.FailedPrecondition);
  error.details = [{ type: "google.rpc.ErrorInfo", value: new Uint8Array([10, reason.length, ...reason]) }];
  return error;
}

describe("an account of 50,000 conversations", () => {
  it("keeps what was declined elsewhere while an answer was on its way", async () => {
    const account = new Account();
    const { messaging, store } = account.messaging();
    await messaging.sync();
    const id = `c${CONVERSATIONS + REQUESTS - 1}`;
    const declined = { ...store.get(id)!.own, request: "declined" as const };
    expect(store.get(id)?.own.request).toBe("pending");
    account.change(CONVERSATIONS + REQUESTS - 1, { says: 1 });
    account.meanwhile = () => messaging.receiveOwnState(id, declined);
    await messaging.sync();
    expect(store.get(id)?.own.request).toBe("declined");
  });

  it("begins with the newest of each folder and one Sync", async () => {
    const account = new Account();
    const { messaging, store } = account.messaging();
    await messaging.sync();
    expect(messaging.ready).toBe(true);
    expect(store.list()).toHaveLength(200);
    expect(account.lists).toHaveLength(2);
    expect(account.syncs).toHaveLength(1);
    expect(account.syncs[0]?.cursors.length).toBeLessThanOrEqual(200);
  });

  it("watches the people of the most recent activity where it cannot watch all", async () => {
    const account = new Account();
    const { messaging, store } = account.messaging();
    await messaging.sync();
    account.change(17, { says: 1 });
    await messaging.sync();
    // What waits in Requests is not watched.
    expect(store.peers()).toHaveLength(101);
    expect(store.peers()[0]).toBe("peer of c17");
  });

  it("is told of what happens in an old conversation that it does not hold", async () => {
    const account = new Account();
    const { messaging, store } = account.messaging();
    await messaging.sync();
    account.change(17, { says: 1 });
    await messaging.sync();
    expect(account.syncs).toHaveLength(2);
    expect(store.get("c17")?.messages.map((each) => each.seq)).toEqual([1, 2]);
    expect(store.list()).toHaveLength(201);
  });

  it("takes more changes than a page holds", async () => {
    const account = new Account();
    const { messaging, store } = account.messaging();
    await messaging.sync();
    for (let n = 0; n < 45; n++) account.change(n, { says: 2 });
    await messaging.sync();
    expect(account.syncs).toHaveLength(1 + 5);
    for (let n = 0; n < 45; n++) expect(store.get(`c${n}`)?.messages.at(-1)?.seq).toBe(3);
  });

  it("ends complete when asked, and stays current with everything in hand", async () => {
    const account = new Account();
    const { messaging, store } = account.messaging();
    await messaging.sync();
    await messaging.loadAll();
    expect(messaging.hasMore).toBe(false);
    expect(store.list()).toHaveLength(CONVERSATIONS + REQUESTS);
    account.change(5, { says: 9, revises: 2 });
    account.change(6, { gone: true });
    await messaging.sync();
    expect(account.syncs.at(-1)?.cursors.length).toBeLessThanOrEqual(200);
    // Not named, so that changes of older messages may be missing: it begins anew with the newest.
    expect(store.get("c5")?.messages.map((each) => each.seq)).toEqual([8, 9, 10]);
    expect(store.get("c5")?.hasOlder).toBe(true);
    expect(store.get("c6")).toBeUndefined();
    // Six seconds of work: on a machine that others use as well it takes several times as long.
  }, 60_000);

  it("begins anew when the service does not know its token", async () => {
    const account = new Account();
    const { messaging, store } = account.messaging();
    await messaging.sync();
    account.refuses = true;
    await expect(messaging.sync()).rejects.toThrow();
    expect(store.list()).toHaveLength(0);
    await messaging.sync();
    expect(store.list()).toHaveLength(200);
  });
});
