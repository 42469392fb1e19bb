import { beforeEach, describe, expect, test } from "vitest";
import { ConversationStore } from "../src/core/conversation-store.js";
import type { Message } from "../src/core/model.js";
import { conversation, member, message as sample, outgoing, ROOM } from "../src/testing/samples.js";

const message = (seq: number, senderId = "bob", clientMessageId = `c${seq}`): Message => sample(seq, { senderId, clientMessageId });

/** A delta without changes of what is held. */
const delta = (change: Parameters<typeof conversation>[0], messages: Message[]) => {
  const next = conversation(change);
  return { conversation: next, messages, changed: [], revision: next.revision };
};

const seqs = (store: ConversationStore) => store.get(ROOM)?.messages.map((m) => m.seq);

describe("conversation store", () => {
  let store: ConversationStore;
  beforeEach(() => {
    store = new ConversationStore("alice");
    store.applyConversation(conversation());
  });

  test("messages in order are added", () => {
    expect([1, 2, 3].map((seq) => store.applyMessage(message(seq)))).toEqual(["added", "added", "added"]);
    expect(seqs(store)).toEqual([1, 2, 3]);
    expect(store.get(ROOM)?.conversation.lastSeq).toBe(3);
  });

  test("a message that came twice is held once", () => {
    store.applyMessage(message(1));
    expect(store.applyMessage(message(1))).toBe("known");
    expect(seqs(store)).toEqual([1]);
  });

  test("a gap is reported and not shown", () => {
    store.applyMessage(message(1));
    expect(store.applyMessage(message(3))).toBe("gap");
    expect(seqs(store)).toEqual([1]);
  });

  test("a message of an unknown conversation is reported", () => {
    expect(store.applyMessage({ ...message(1), conversationId: "other" })).toBe("unknown");
  });

  test("a delta fills a gap, and what overlaps is held once", () => {
    store.applyMessage(message(1));
    store.applyMessage(message(2));
    store.applyDelta(delta({ lastSeq: 4 }, [message(2), message(3), message(4)]));
    expect(seqs(store)).toEqual([1, 2, 3, 4]);
  });

  test("a newest page that does not touch what is held takes its place", () => {
    store.applyMessage(message(1));
    store.applyDelta(delta({ lastSeq: 9 }, [message(8), message(9)]));
    expect(seqs(store)).toEqual([8, 9]);
    expect(store.get(ROOM)?.hasOlder).toBe(true);
  });

  test("history is put before what is held, in order, and only where it touches", () => {
    store.applyDelta(delta({ lastSeq: 9 }, [message(8), message(9)]));
    store.applyHistory(ROOM, [message(7), message(6)]);
    store.applyHistory(ROOM, [message(4), message(3)]);
    expect(seqs(store)).toEqual([6, 7, 8, 9]);
    store.applyHistory(ROOM, [message(5), message(4), message(3), message(2), message(1)]);
    expect(store.get(ROOM)?.hasOlder).toBe(false);
  });

  test("a message older than what is held is left to history", () => {
    store.applyDelta(delta({ lastSeq: 9 }, [message(8), message(9)]));
    expect(store.applyMessage(message(3))).toBe("known");
    expect(seqs(store)).toEqual([8, 9]);
  });

  test("one's own message replaces its bubble by client_message_id, whichever way it comes", () => {
    store.addOutgoing(outgoing("c1"));
    store.addOutgoing(outgoing("c2"));
    store.applyMessage(message(1, "alice", "c1"));
    expect(store.get(ROOM)?.outgoing.map((o) => o.clientMessageId)).toEqual(["c2"]);
    store.applyDelta(delta({}, [message(2, "alice", "c2")]));
    expect(store.get(ROOM)?.outgoing).toEqual([]);
  });

  test("someone else's equal client_message_id touches no bubble", () => {
    store.addOutgoing(outgoing("c1"));
    store.applyMessage(message(1, "bob", "c1"));
    expect(store.get(ROOM)?.outgoing).toHaveLength(1);
  });

  test("a failure after the acknowledgement changes nothing", () => {
    store.addOutgoing(outgoing("c1"));
    store.applyMessage(message(1, "alice", "c1"));
    store.updateOutgoing(ROOM, "c1", { state: "failed" });
    expect(store.get(ROOM)?.outgoing).toEqual([]);
  });

  test("read cursors only move forward", () => {
    expect(store.applyCursors(ROOM, "bob", { readSeq: 3, deliveredSeq: 0 })).toBe(true);
    expect(store.applyCursors(ROOM, "bob", { readSeq: 2, deliveredSeq: 3 })).toBe(false);
    store.applyConversation(conversation());
    expect(store.get(ROOM)?.conversation.members.find((m) => m.userId === "bob")?.readSeq).toBe(3);
  });

  test("cursors name what is held, and leave out what is not", () => {
    store.applyConversation(conversation({ id: "empty" }));
    store.applyMessage(message(1));
    expect(store.cursors()).toEqual([{ conversationId: ROOM, seq: 1, revision: 0 }]);
  });

  test("the list has the newest activity first, and peers are everyone else", () => {
    const other = { ...conversation({ id: "other" }), members: [member("alice"), member("dana")] };
    store.applyConversation(other);
    store.applyMessage(message(1));
    expect(store.list().map((view) => view.conversation.id)).toEqual([ROOM, "other"]);
    store.applyMessage({ ...message(1), conversationId: "other", sendTimeMs: 5000 });
    expect(store.list().map((view) => view.conversation.id)).toEqual(["other", ROOM]);
    expect([...store.peers()].sort()).toEqual(["bob", "dana"]);
  });

  test("events in any order, with repeats, end in the state that the server has", () => {
    const all = Array.from({ length: 12 }, (_, i) => message(i + 1, i % 2 ? "alice" : "bob"));
    let state = 7;
    const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
    for (let round = 0; round < 50; round++) {
      const device = new ConversationStore("alice");
      device.applyConversation(conversation());
      for (let i = 0; i < 40; i++) {
        const arrived = device.applyMessage(all[Math.floor(random() * all.length)] as Message);
        if (arrived === "gap" && random() < 0.5) {
          const have = device.cursors()[0]?.seq ?? 0;
          device.applyDelta(delta({ lastSeq: 12 }, all.slice(have, have + 3)));
        }
        const held = device.get(ROOM)?.messages.map((m) => m.seq) ?? [];
        expect(held).toEqual(held.map((_, k) => k + 1));
      }
      device.applyDelta(delta({ lastSeq: 12 }, all.slice(device.cursors()[0]?.seq ?? 0)));
      expect(device.get(ROOM)?.messages).toEqual(all);
    }
  });
});
