import { beforeEach, describe, expect, test } from "vitest";
import { ConversationStore } from "../src/core/conversation-store.js";
import type { Conversation, Message } from "../src/core/model.js";
import { shownPins } from "../src/core/pins.js";
import { conversation, member, message, ROOM } from "../src/testing/samples.js";

const group = (change: Partial<Conversation> = {}): Conversation => conversation({ kind: "group", title: "Hike", ...change });
const edited = (seq: number, revision: number): Message =>
  message(seq, { revision, edited: true, content: { kind: "text", text: `${seq} in revision ${revision}`, entities: [] } });

describe("changes of a conversation", () => {
  let store: ConversationStore;
  const held = (seq: number) => store.get(ROOM)?.messages.find((m) => m.seq === seq);
  const cursor = () => store.cursors()[0];
  beforeEach(() => {
    store = new ConversationStore("alice");
    store.applyConversation(group());
    for (const seq of [1, 2, 3]) store.applyMessage(message(seq));
  });

  test("a changed message takes the place of the one that is held, and the cursor moves", () => {
    expect(store.applyMessage(edited(2, 1))).toBe("known");
    expect(held(2)).toEqual(edited(2, 1));
    expect(cursor()).toEqual({ conversationId: ROOM, seq: 3, revision: 1 });
  });

  test("an older copy changes nothing", () => {
    store.applyMessage(edited(2, 1));
    store.applyMessage(edited(2, 2));
    store.applyMessage(edited(2, 1));
    store.applyMessage(message(2));
    expect(held(2)).toEqual(edited(2, 2));
    expect(cursor()?.revision).toBe(2);
  });

  test("a revision that skips a number is a gap: it is shown, but the cursor waits for Sync", () => {
    expect(store.applyMessage(edited(2, 3))).toBe("gap");
    expect(held(2)).toEqual(edited(2, 3));
    expect(cursor()?.revision).toBe(0);
    store.applyDelta({ conversation: group({ revision: 3 }), messages: [], changed: [edited(1, 1), edited(3, 2), edited(2, 3)], revision: 3 });
    expect([1, 2, 3].map((seq) => held(seq)?.revision)).toEqual([1, 3, 2]);
    expect(cursor()?.revision).toBe(3);
  });

  test("a change of a message that is not loaded is counted, and comes with history", () => {
    store.applyDelta({ conversation: group({ lastSeq: 9 }), messages: [message(8), message(9)], changed: [], revision: 0 });
    expect(store.applyMessage(edited(2, 1))).toBe("known");
    expect(store.get(ROOM)?.messages.map((m) => m.seq)).toEqual([8, 9]);
    expect(cursor()?.revision).toBe(1);
  });

  test("a page of changes moves the cursor only as far as it goes", () => {
    const more = store.applyDelta({ conversation: group({ revision: 9 }), messages: [], changed: [edited(1, 4)], revision: 4 });
    expect(more).toBe(true);
    expect(cursor()?.revision).toBe(4);
  });

  test("the same delta again brings nothing", () => {
    const delta = { conversation: group({ revision: 1, lastSeq: 4 }), messages: [message(4)], changed: [edited(1, 1)], revision: 1 };
    expect([store.applyDelta(delta), store.applyDelta(delta)]).toEqual([true, false]);
  });

  test("of two copies of a conversation the higher revision counts, and read cursors move forward all the same", () => {
    store.applyConversation(group({ revision: 1, title: "New" }));
    store.applyConversation(group({ title: "Old", members: [member("alice"), member("bob", { readSeq: 2 })] }));
    expect(store.get(ROOM)?.conversation).toMatchObject({ title: "New", revision: 1 });
    expect(store.get(ROOM)?.conversation.members.find((m) => m.userId === "bob")?.readSeq).toBe(2);
  });

  test("an answer that is ahead of the events shows at once and asks for what is between", () => {
    expect(store.applyConversation(group({ revision: 2, title: "Two" }))).toBe("gap");
    expect(store.get(ROOM)?.conversation.title).toBe("Two");
    expect(cursor()?.revision).toBe(0);
  });

  test("a pin ends with its message, also where that is not loaded, and an older copy does not bring it back", () => {
    const pins = () => shownPins(store.get(ROOM)!.conversation, store.get(ROOM)!.messages, "alice").map(({ seq }) => seq);
    const pinned = [3, 9, 1].map((seq) => ({ seq, pinTimeMs: 0 }));
    store.applyConversation(group({ revision: 1, pinned }));
    expect(pins()).toEqual([3, 9, 1]);
    store.applyDelta({ conversation: group({ revision: 1, lastSeq: 19, pinned }), messages: [message(19)], changed: [], revision: 1 });
    store.applyMessage(message(9, { revision: 2, content: { kind: "expired" } }));
    store.applyConversation(group({ revision: 1, pinned }));
    expect(pins()).toEqual([3, 1]);
    store.applyConversation(group({ revision: 3, pinned: pinned.slice(0, 1) }));
    expect(pins()).toEqual([3]);
    // Where it is loaded, what is known of it decides.
    store.applyMessage(message(20, { expireTimeMs: 50 }));
    store.applyConversation(group({ revision: 4, pinned: [{ seq: 20, pinTimeMs: 0 }] }));
    store.expire(50);
    expect(pins()).toEqual([]);
  });

  test("pins of what was said before this user came are not shown", () => {
    const members = [member("alice", { visibleAfterSeq: 2 }), member("bob")];
    expect(shownPins(group({ members, pinned: [{ seq: 2, pinTimeMs: 0 }, { seq: 3, pinTimeMs: 0 }] }), [], "alice")).toEqual([{ seq: 3, message: undefined }]);
  });

  test("a removal that is told after a later return changes nothing, and takes nothing away", () => {
    store.applyDelta({ conversation: group({ revision: 6 }), messages: [], changed: [], revision: 6 });
    const before = store.get(ROOM);
    expect(store.applyConversation(group({ revision: 5, members: [member("bob")] }))).toBe("known");
    expect(store.get(ROOM)).toEqual(before);
    expect(store.applyConversation(group({ revision: 6 }))).toBe("known");
  });

  test("a conversation without me is forgotten, and late news of it does not bring it back", () => {
    expect(store.applyConversation(group({ revision: 1, members: [member("bob")] }))).toBe("left");
    expect(store.get(ROOM)).toBeUndefined();
    expect(store.applyConversation(group({ revision: 1 }))).toBe("known");
    expect(store.applyMessage(message(4))).toBe("unknown");
    expect(store.list()).toEqual([]);
    expect(store.applyConversation(group({ revision: 2 }))).toBe("added");
  });

  test("a conversation that Sync says is gone is forgotten", () => {
    expect([store.forget(ROOM), store.forget(ROOM)]).toEqual([true, false]);
    expect(store.cursors()).toEqual([]);
  });

  test("whoever came later sees, counts and asks for nothing from before", () => {
    const members = [member("alice", { visibleAfterSeq: 5, readSeq: 5 }), member("bob")];
    const late = new ConversationStore("alice");
    late.applyConversation(group({ members, lastSeq: 5, revision: 7 }));
    expect(late.get(ROOM)).toMatchObject({ hasOlder: false, unread: 0 });
    expect(late.applyMessage(message(6))).toBe("added");
    expect(late.get(ROOM)).toMatchObject({ hasOlder: false, unread: 1 });
    expect(late.cursors()).toEqual([{ conversationId: ROOM, seq: 6, revision: 7 }]);
  });

  test("whoever was out for a while loses what was before", () => {
    const members = [member("alice", { visibleAfterSeq: 3 }), member("bob")];
    store.applyDelta({ conversation: group({ members, lastSeq: 4, revision: 2 }), messages: [message(4)], changed: [], revision: 2 });
    expect(store.get(ROOM)?.messages.map((m) => m.seq)).toEqual([4]);
  });
});

/** A conversation at the server, which changes at random and tells each change as one event. */
class Origin {
  readonly messages: Message[] = [];
  readonly events: (Message | Conversation)[] = [];
  conversation = group();

  constructor(private readonly random: () => number) {}

  step(): void {
    const dice = this.random();
    const { lastSeq, revision } = this.conversation;
    if (dice < 0.4 || lastSeq === 0) return this.tell(this.put(message(lastSeq + 1)), { lastSeq: lastSeq + 1 });
    if (dice < 0.8) return this.tell(this.put(edited(1 + Math.floor(this.random() * lastSeq), revision + 1)), { revision: revision + 1 });
    this.conversation = { ...this.conversation, title: `Title ${revision + 1}`, revision: revision + 1 };
    this.events.push(this.conversation);
  }

  /** As the service answers, in pages of two. */
  sync(store: ConversationStore): void {
    for (let more = true; more; ) {
      const cursor = store.cursors()[0] ?? { seq: 0, revision: 0 };
      const messages = this.messages.filter((m) => m.seq > cursor.seq).slice(0, 2);
      const changed = this.messages.filter((m) => m.seq <= cursor.seq && m.revision > cursor.revision).sort((a, b) => a.revision - b.revision);
      const revision = changed.length > 2 ? (changed[1]?.revision ?? 0) : this.conversation.revision;
      more = store.applyDelta({ conversation: this.conversation, messages, changed: changed.slice(0, 2), revision });
    }
  }

  private put(next: Message): Message {
    this.messages[next.seq - 1] = next;
    return next;
  }

  private tell(event: Message, change: Partial<Conversation>): void {
    this.conversation = { ...this.conversation, ...change };
    this.events.push(event);
  }
}

test("events lost, doubled and late, then Sync: the device has what the server has", () => {
  let state = 11;
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
  for (let round = 0; round < 200; round++) {
    const origin = new Origin(random);
    const store = new ConversationStore("alice");
    store.applyConversation(group());
    for (let i = 0; i < 40; i++) {
      origin.step();
      for (const event of origin.events.slice(-3)) {
        if (random() < 0.4) continue;
        const arrival = "seq" in event ? store.applyMessage(event) : store.applyConversation(event);
        if (arrival === "gap" && random() < 0.3) origin.sync(store);
      }
    }
    origin.sync(store);
    expect(store.get(ROOM)?.messages).toEqual(origin.messages);
    expect(store.get(ROOM)?.conversation).toEqual(origin.conversation);
    expect(store.cursors()).toEqual([{ conversationId: ROOM, seq: origin.conversation.lastSeq, revision: origin.conversation.revision }]);
  }
});
