import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { ParleyClient } from "../src/index.js";
import { until, useWorld } from "./support.js";

const ROOM = "alice+bob";

describe("drafts on all of one's devices", () => {
  const world = useWorld();

  async function ready(userId: string, deviceId?: string): Promise<ParleyClient> {
    const client = world.client(userId, deviceId);
    await until(`${userId} is ready`, () => client.current);
    return client;
  }

  async function devices(): Promise<[ParleyClient, ParleyClient]> {
    world.backend.openDirect("alice", "bob");
    return Promise.all([ready("alice"), ready("alice", "alices-tablet")]);
  }

  test("what is written on one is on the other after a pause, by one request, and nobody else has it", async () => {
    const [phone, tablet] = await devices();
    const bob = await ready("bob");
    for (const text of ["h", "ha", "half a thought"]) phone.drafts.set(ROOM, text);
    await until("the tablet has it", () => tablet.drafts.get(ROOM) === "half a thought");
    expect(world.backend.requests["setDraft"]).toBe(1);
    expect(bob.drafts.get(ROOM)).toBe("");
    const laptop = await ready("alice", "alices-laptop");
    expect(laptop.drafts.get(ROOM)).toBe("half a thought");
  });

  test("what was sent is taken away on the other, also when it was still on its way", async () => {
    const [phone, tablet] = await devices();
    phone.drafts.set(ROOM, "to be sent");
    await until("it is on its way", () => world.backend.requests["setDraft"] === 1);
    phone.drafts.set(ROOM, "");
    await until("it is taken away", () => world.backend.requests["setDraft"] === 2 && tablet.drafts.get(ROOM) === "");
    expect(phone.drafts.get(ROOM)).toBe("");
    expect(world.backend.drafts.of("alice")).toEqual([]);
  });

  test("what is being written here is not overwritten, and wins when it is written last", async () => {
    const [phone, tablet] = await devices();
    phone.drafts.set(ROOM, "mine");
    world.backend.drafts.set("alice", { conversationId: ROOM, text: "theirs", replyToSeq: 0n });
    await until("the tablet has theirs", () => tablet.drafts.get(ROOM) === "theirs");
    expect(phone.drafts.get(ROOM)).toBe("mine");
    await until("the tablet has mine", () => tablet.drafts.get(ROOM) === "mine");
  });

  test("an older copy changes nothing", async () => {
    const [phone] = await devices();
    const old = world.backend.drafts.set("alice", { conversationId: ROOM, text: "old", replyToSeq: 0n });
    world.backend.drafts.set("alice", { conversationId: ROOM, text: "new", replyToSeq: 0n });
    world.backend.sendEvent(["alice"], { case: "draft", value: old });
    await until("the phone has the new one", () => phone.drafts.get(ROOM) === "new");
    await phone.drafts.refresh();
    expect(phone.drafts.get(ROOM)).toBe("new");
  });

  test("what the service could not take is sent with the next catch-up, and what was taken away unheard is gone", async () => {
    const [phone, tablet] = await devices();
    world.backend.faults.set("setDraft", new ConnectError("away", Code.Unavailable));
    phone.drafts.set(ROOM, "kept here");
    await until("it was tried", () => (world.backend.requests["setDraft"] ?? 0) > 0);
    world.backend.faults.clear();
    await phone.drafts.refresh();
    await until("the tablet has it", () => tablet.drafts.get(ROOM) === "kept here");
    world.backend.drafts.set("alice", { conversationId: ROOM, text: "", replyToSeq: 0n }, true);
    await tablet.drafts.refresh();
    expect(tablet.drafts.get(ROOM)).toBe("");
  });
});
