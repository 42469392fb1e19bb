import { beforeEach, describe, expect, test } from "vitest";
import { ConversationStore } from "../src/core/conversation-store.js";
import type { Conversation, Message, OwnState } from "../src/core/model.js";
import { MUTE_FOREVER_MS, folderOf, isMuted } from "../src/core/own-state.js";
import { conversation, member, message, own, ROOM } from "../src/testing/samples.js";

const record: Message["content"] = { kind: "call", callId: "x", video: false, outcome: "missed", lengthS: 0 };

describe("a conversation as one keeps it", () => {
  let store: ConversationStore;
  const view = () => store.get(ROOM);
  const bring = (messages: Message[], state: Partial<OwnState> = {}, change: Partial<Conversation> = {}) => {
    const lastSeq = messages.at(-1)?.seq ?? 0;
    store.applyDelta({ conversation: conversation({ lastSeq, ...change }), messages, changed: [], revision: 0, own: own(state) });
  };
  beforeEach(() => {
    store = new ConversationStore("alice");
    store.applyConversation(conversation());
  });

  test("texts and calls of others above one's own cursor are unread", () => {
    const system = message(4, { content: { kind: "system", event: { kind: "joined" } } });
    bring([message(1), message(2, { senderId: "alice" }), message(3, { content: record }), system, message(5, { content: { kind: "unsent" } })]);
    expect(view()?.unread).toBe(2);
    expect(store.applyOwnRead(ROOM, 1)).toBe(true);
    expect(view()?.unread).toBe(1);
  });

  test("what is not loaded is as the service counted, and what comes is counted on", () => {
    bring([message(9)], { unreadCount: 6, readSeq: 2 });
    expect(view()?.unread).toBe(6);
    store.applyMessage(message(10));
    store.applyMessage(message(11, { senderId: "alice" }));
    expect(view()?.unread).toBe(7);
  });

  test("the cursor of one's own member, which others see, is not one's own", () => {
    bring([message(1), message(2)], { readSeq: 2 }, { members: [member("alice", { readSeq: 0 }), member("bob")] });
    expect(view()?.unread).toBe(0);
    store.applyCursors(ROOM, "alice", { readSeq: 1, deliveredSeq: 1 });
    expect(view()?.own.readSeq).toBe(2);
  });

  test("reading on another device counts here", () => {
    bring([message(1), message(2), message(3)]);
    expect(store.applyOwnState(ROOM, own({ readSeq: 2, unreadCount: 1 }))).toBe("known");
    expect(view()?.unread).toBe(1);
  });

  test("what was told while an answer was on its way is newer than the answer", () => {
    const asked = store.moment;
    store.applyOwnState(ROOM, own({ request: "declined", pinned: true }));
    const late = { conversation: conversation({ lastSeq: 1 }), messages: [message(1)], changed: [], revision: 0, own: own({ request: "pending" }) };
    store.applyDelta({ ...late, asked });
    expect(view()).toMatchObject({ own: { request: "declined", pinned: true }, messages: [{ seq: 1 }] });
    store.applyDelta({ ...late, asked: store.moment });
    expect(view()?.own).toMatchObject({ request: "pending", pinned: false });
  });

  test("older news of one's reading does not make read messages unread", () => {
    bring([message(8), message(9)], { unreadCount: 5, readSeq: 2 });
    store.applyOwnRead(ROOM, 9);
    store.applyOwnState(ROOM, own({ readSeq: 2, unreadCount: 5, pinned: true }));
    expect(view()).toMatchObject({ unread: 0, own: { readSeq: 9, pinned: true } });
  });

  test("reading takes the mark away, even when nothing is new", () => {
    bring([message(1)], { readSeq: 1, markedUnread: true });
    expect(store.applyOwnRead(ROOM, 1)).toBe(true);
    expect(view()?.own.markedUnread).toBe(false);
    expect(store.applyOwnRead(ROOM, 1)).toBe(false);
  });

  test("news of an unknown conversation asks for a sync", () => {
    expect(store.applyOwnState("elsewhere", own())).toBe("unknown");
  });

  test("pinned conversations come first, and a request's people are not watched", () => {
    bring([message(1, { sendTimeMs: 5000 })]);
    const other = conversation({ id: "pinned", members: [member("alice"), member("carol")] });
    store.applyDelta({ conversation: other, messages: [], changed: [], revision: 0, own: own({ pinned: true }) });
    const stranger = conversation({ id: "request", members: [member("alice"), member("mallory")] });
    store.applyDelta({ conversation: stranger, messages: [], changed: [], revision: 0, own: own({ request: "pending" }) });
    expect(store.list().map((v) => v.conversation.id)).toEqual(["pinned", ROOM, "request"]);
    expect([...store.peers()].sort()).toEqual(["bob", "carol"]);
  });

  test("each conversation is in one folder, a declined one in none", () => {
    const folders = [own(), own({ archived: true }), own({ request: "pending", archived: true }), own({ request: "declined" })].map(folderOf);
    expect(folders).toEqual(["inbox", "archived", "requests", undefined]);
  });

  test("muting ends", () => {
    expect([undefined, 1000, MUTE_FOREVER_MS].map((muteEndMs) => isMuted(own({ muteEndMs }), 1000))).toEqual([false, false, true]);
  });
});

describe("messages that go", () => {
  let store: ConversationStore;
  beforeEach(() => {
    store = new ConversationStore("alice");
    store.applyConversation(conversation());
    store.applyMessage(message(1, { expireTimeMs: 5000 }));
    store.applyMessage(message(2, { expireTimeMs: 9000 }));
    store.applyMessage(message(3));
  });
  const kinds = () => store.get(ROOM)?.messages.map((m) => m.content.kind);

  test("a message vanishes at its time, and the next one's time is known", () => {
    expect(store.nextExpiryMs()).toBe(5000);
    expect(store.expire(4999)).toBe(false);
    expect(store.expire(5000)).toBe(true);
    expect(kinds()).toEqual(["expired", "text", "text"]);
    expect(store.nextExpiryMs()).toBe(9000);
    store.expire(9000);
    expect(store.nextExpiryMs()).toBeUndefined();
    expect(store.get(ROOM)?.unread).toBe(1);
  });

  test("the service's word for it changes nothing more", () => {
    store.expire(5000);
    expect(store.applyMessage(message(1, { content: { kind: "expired" }, revision: 1 }))).toBe("known");
    expect(kinds()).toEqual(["expired", "text", "text"]);
  });

  test("history that the retention policy took is forgotten, and not asked for", () => {
    store.applyConversation(conversation({ lastSeq: 3, revision: 1, historyStartSeq: 2 }));
    expect(store.get(ROOM)?.messages.map((m) => m.seq)).toEqual([3]);
    expect(store.get(ROOM)?.hasOlder).toBe(false);
    store.applyConversation(conversation({ lastSeq: 3, revision: 2, historyStartSeq: 3 }));
    expect(store.applyMessage(message(4))).toBe("added");
    expect(store.get(ROOM)?.messages.map((m) => m.seq)).toEqual([4]);
  });
});
