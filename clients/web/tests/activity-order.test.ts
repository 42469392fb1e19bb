import { describe, expect, test } from "vitest";
import { ActivityOrder } from "../src/core/activity-order.js";
import { ConversationStore } from "../src/core/conversation-store.js";
import { conversation, member, message } from "../src/testing/samples.js";

const MANY = 10_000;
/** Twice the steps of a binary search among so many: out of the old place, and into the new one. */
const STEPS = 2 * Math.ceil(Math.log2(MANY) + 1);

/** Many items, the newest first, and how often two were compared since `reset`. */
function orderOfMany() {
  let compared = 0;
  const order = new ActivityOrder<string>((one, other) => (compared++, one > other));
  for (let n = 0; n < MANY; n++) order.put(`c${n}`, MANY - n);
  order.items();
  compared = 0;
  return { order, compared: () => compared };
}

describe("the order of activity", () => {
  test("one that moves is compared with a few others only, and all stand right", () => {
    const { order, compared } = orderOfMany();
    order.put("c7000", MANY + 1);
    order.put("c1", 500.5);
    expect(order.items().slice(0, 3)).toEqual(["c7000", "c0", "c2"]);
    expect(order.items().indexOf("c1")).toBe(MANY - 501);
    expect(compared()).toBeLessThanOrEqual(2 * STEPS);
  });

  test("reading it again, or saying again what is known, compares nothing", () => {
    const { order, compared } = orderOfMany();
    order.items();
    order.put("c5", MANY - 5);
    order.items();
    expect(compared()).toBe(0);
  });

  test("is that of a sort, whatever comes, moves and goes, one by one and in masses", () => {
    const order = new ActivityOrder<string>();
    const times = new Map<string, number>();
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let round = 0; round < 60; round++) {
      const steps = round % 5 === 4 ? 300 : 1 + random(9);
      for (let step = 0; step < steps; step++) {
        const item = `c${random(200)}`;
        if (random(4) === 0) {
          order.delete(item);
          times.delete(item);
        } else {
          const timeMs = random(50);
          order.put(item, timeMs);
          times.set(item, timeMs);
        }
      }
      const found = order.items();
      expect(new Set(found)).toEqual(new Set(times.keys()));
      expect(found.map((item) => times.get(item))).toEqual([...times.values()].sort((a, b) => b - a));
    }
  });
});

describe("a store of ten thousand conversations", () => {
  function storeOfMany(): ConversationStore {
    const store = new ConversationStore("me");
    for (let n = 0; n < MANY; n++) store.applyConversation(conversation({ id: `c${n}`, members: [member("me"), member(`peer ${n}`)], createTimeMs: MANY - n }));
    return store;
  }

  test("gives the same list until something changes, and then the same views of all others", () => {
    const store = storeOfMany();
    const before = store.list();
    expect([store.list() === before, store.peers() === store.peers(), store.get("c5") === before[5]]).toEqual([true, true, true]);
    store.applyMessage(message(1, { conversationId: "c5000", sendTimeMs: MANY + 1 }));
    const after = store.list();
    expect(after[0]?.conversation.id).toBe("c5000");
    const known = new Set(before);
    expect(after.filter((view) => !known.has(view)).map((view) => view.conversation.id)).toEqual(["c5000"]);
  });

  test("whose messages do not vanish is not searched for those that do", () => {
    const store = storeOfMany();
    store.applyMessage(message(1, { conversationId: "c7", expireTimeMs: 50 }));
    const list = store.list();
    expect([store.nextExpiryMs(), store.expire(49), store.list() === list]).toEqual([50, false, true]);
    expect([store.expire(50), store.nextExpiryMs(), store.get("c7")?.messages[0]?.content.kind]).toEqual([true, undefined, "expired"]);
  });
});
