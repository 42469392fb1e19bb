import { describe, expect, test } from "vitest";
import type { ParleyClient, ScheduledMessage } from "../src/index.js";
import { until, useWorld } from "./support.js";

const ROOM = "alice+bob";
const HOUR_MS = 3_600_000;

describe("messages that wait for their time", () => {
  const world = useWorld();

  async function ready(userId: string, deviceId?: string): Promise<ParleyClient> {
    const client = world.client(userId, deviceId);
    await until(`${userId} is ready`, () => client.current);
    return client;
  }

  const texts = (client: ParleyClient) => client.scheduled.of(ROOM).map(({ content }) => (content.kind === "text" ? content.text : content.kind));
  const first = (client: ParleyClient): ScheduledMessage => {
    const [found] = client.scheduled.of(ROOM);
    if (!found) throw new Error("nothing is scheduled");
    return found;
  };

  async function devices(): Promise<[ParleyClient, ParleyClient, ParleyClient]> {
    world.backend.openDirect("alice", "bob");
    return Promise.all([ready("alice"), ready("alice", "alices-tablet"), ready("bob")]);
  }

  test("one's own devices have them, in the order of their times, and nobody else", async () => {
    const [alice, tablet, bob] = await devices();
    await alice.scheduled.schedule(ROOM, { text: "second" }, Date.now() + 2 * HOUR_MS);
    await alice.scheduled.schedule(ROOM, { text: "first" }, Date.now() + HOUR_MS);
    await until("the tablet has both", () => texts(tablet).join() === "first,second");
    expect(texts(bob)).toEqual([]);
    await tablet.scheduled.change(first(tablet), { draft: { text: "other" } });
    await tablet.scheduled.change(first(tablet), { sendTimeMs: Date.now() + 3 * HOUR_MS });
    await until("the phone knows", () => texts(alice).join() === "second,other");
    await alice.scheduled.cancel(first(alice));
    expect(texts(alice)).toEqual(["other"]);
    await until("the tablet knows", () => texts(tablet).join() === "other");
    const late = await ready("alice", "alices-laptop");
    expect(texts(late)).toEqual(["other"]);
  });

  test("one that is sent is there no more, and is a message of its conversation", async () => {
    const [alice, tablet, bob] = await devices();
    await alice.scheduled.schedule(ROOM, { text: "now" }, Date.now() + HOUR_MS);
    await alice.scheduled.sendNow(first(alice));
    await until("it is sent", () => bob.messaging.store.get(ROOM)?.messages.length === 1 && texts(alice).length === 0 && texts(tablet).length === 0);
  });

  test("one that is refused stays with the reason", async () => {
    const [alice, , bob] = await devices();
    await alice.scheduled.schedule(ROOM, { text: "later" }, Date.now() + HOUR_MS);
    await bob.relations.block("alice");
    await alice.scheduled.sendNow(first(alice));
    await until("it is refused", () => first(alice).state === "refused");
    expect(first(alice).problem?.line).toBe("You cannot write to this person.");
  });

  test("a second attempt after a lost answer schedules nothing twice", async () => {
    const [alice] = await devices();
    for (let attempt = 0; attempt < 2; attempt++) await alice.scheduled.schedule(ROOM, { text: "once" }, Date.now() + HOUR_MS, "one-id");
    expect(texts(alice)).toEqual(["once"]);
  });

  test("what went away unheard is gone after the next catch-up, and an old copy brings nothing back", async () => {
    const [alice] = await devices();
    await alice.scheduled.schedule(ROOM, { text: "later" }, Date.now() + HOUR_MS);
    const [copy] = world.backend.scheduled.of("alice");
    const known = first(alice);
    await alice.scheduled.cancel(known);
    world.backend.sendEvent(["alice"], { case: "scheduledMessage", value: copy! });
    await alice.scheduled.schedule(ROOM, { text: "next" }, Date.now() + HOUR_MS);
    expect(texts(alice)).toEqual(["next"]);
    world.backend.dropStreams("alice");
    world.backend.scheduled.forget("alice", first(alice));
    alice.retryNow();
    await until("it is current again", () => alice.current && texts(alice).length === 0);
  });
});
