import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { reason, retryIn } from "../src/testing/details.js";
import { Audience } from "../src/gen/parley/messaging/v1/relations_pb.js";
import type { Failure, ParleyClient } from "../src/index.js";
import { until, useWorld } from "./support.js";

const ROOM = "alice+bob";

describe("who may reach whom", () => {
  const world = useWorld();
  const own = (client: ParleyClient) => client.messaging.store.get(ROOM)?.own;

  async function ready(userId: string, deviceId?: string): Promise<ParleyClient> {
    const client = world.client(userId, deviceId);
    await until(`${userId} is ready`, () => client.messaging.ready && client.stream.kind === "live" && client.relations.settings !== undefined);
    return client;
  }

  /** Bob lets only people he follows write to him; Alice writes. */
  async function request(): Promise<[ParleyClient, ParleyClient]> {
    world.backend.relations.set("bob", { messageAudience: Audience.FOLLOWED });
    const [alice, bob] = await Promise.all([ready("alice"), ready("bob")]);
    await alice.messaging.openDirect("bob");
    alice.messaging.send(ROOM, "may I?");
    await until("it waits in Requests", () => own(bob)?.request === "pending" && bob.messaging.store.get(ROOM)?.messages.length === 1);
    return [alice, bob];
  }

  test("looking at a request tells nobody: no reading, no delivery, no watching of the sender", async () => {
    const [, bob] = await request();
    await bob.messaging.markRead(ROOM);
    expect(world.backend.requests["markRead"]).toBeUndefined();
    expect(bob.messaging.store.get(ROOM)?.unread).toBe(1);
    expect(bob.messaging.store.peers()).toEqual([]);
    await bob.relations.accept(ROOM);
    await until("what had arrived is told then", () => world.backend.requests["markDelivered"] === 1);
  });

  test("an accepted request is an ordinary conversation on all devices", async () => {
    const [, bob] = await request();
    const tablet = await ready("bob", "bobs-tablet");
    expect(own(tablet)?.request).toBe("pending");
    await bob.relations.accept(ROOM);
    expect(own(bob)?.request).toBe("none");
    await until("the tablet knows", () => own(tablet)?.request === "none");
  });

  test("what came without its links is read anew once it is let in, on all devices", async () => {
    const [, bob] = await request();
    const tablet = await ready("bob", "bobs-tablet");
    const held = world.backend.stored(ROOM).messages[0];
    // As the service withholds it: another message under the same number and revision.
    if (held?.content.case === "text") held.content.value.text = "may I? https://x.example/";
    await bob.relations.accept(ROOM);
    for (const device of [bob, tablet])
      await until("the whole text is there", () => {
        const content = device.messaging.store.get(ROOM)?.messages[0]?.content;
        return content?.kind === "text" && content.text.includes("x.example");
      });
  });

  test("what came without its links is read anew by a device that learns from Sync that it was let in", async () => {
    const [, bob] = await request();
    const tablet = await ready("bob", "bobs-tablet");
    const held = world.backend.stored(ROOM).messages[0];
    if (held?.content.case === "text") held.content.value.text = "may I? https://x.example/";
    // It is told nothing while it is away.
    world.backend.dropStreams("bob");
    await bob.relations.accept(ROOM);
    await until("the whole text is there", () => {
      const content = tablet.messaging.store.get(ROOM)?.messages[0]?.content;
      return content?.kind === "text" && content.text.includes("x.example");
    });
  });

  test("a declined request is put away, and with a block its sender can write no more", async () => {
    const [alice, bob] = await request();
    await bob.relations.decline(ROOM, true);
    expect(own(bob)?.request).toBe("declined");
    expect(bob.relations.isBlocked("alice")).toBe(true);
    alice.messaging.send(ROOM, "hello?");
    await until("it is refused", () => alice.messaging.store.get(ROOM)?.outgoing[0]?.state === "failed");
    expect(alice.messaging.store.get(ROOM)?.outgoing[0]).toMatchObject({ problem: { reason: "NOT_ALLOWED", line: "You cannot write to this person." }, retryable: false });
    expect(alice.messaging.isWriteRefused(ROOM)).toBe(true);
  });

  test("writing in a request accepts it", async () => {
    const [, bob] = await request();
    bob.messaging.send(ROOM, "yes");
    await until("it is let in", () => own(bob)?.request === "none");
  });

  test("a block is known on all devices, and can be taken back", async () => {
    world.backend.openDirect("alice", "bob");
    const [alice, tablet] = await Promise.all([ready("alice"), ready("alice", "alices-tablet")]);
    await alice.relations.block("bob");
    await until("the tablet knows", () => tablet.relations.isBlocked("bob"));
    await tablet.relations.unblock("bob");
    await until("the first device knows", () => !alice.relations.isBlocked("bob"));
  });

  test("a bar ends when the other writes", async () => {
    world.backend.openDirect("alice", "bob");
    const [alice, bob] = await Promise.all([ready("alice"), ready("bob")]);
    await bob.relations.block("alice");
    alice.messaging.send(ROOM, "hello?");
    await until("refused", () => alice.messaging.isWriteRefused(ROOM));
    await bob.relations.unblock("alice");
    bob.messaging.send(ROOM, "sorry");
    await until("free again", () => !alice.messaging.isWriteRefused(ROOM));
  });

  test("settings are told to the other devices", async () => {
    const [alice, tablet] = await Promise.all([ready("alice"), ready("alice", "alices-tablet")]);
    await alice.relations.update({ messages: "nobody", calls: "contacted", sendReceipts: false });
    expect(alice.relations.settings).toEqual({ messages: "nobody", presence: "everyone", calls: "contacted", sendReceipts: false });
    await until("the tablet knows", () => tablet.relations.settings?.sendReceipts === false);
  });

  test("a report names the messages and the reason", async () => {
    world.backend.openDirect("alice", "bob");
    const alice = await ready("alice");
    await alice.relations.report({ conversationId: ROOM, seqs: [1, 2], reason: "spam", comment: "again" });
    expect(world.backend.relations.reports[0]).toMatchObject({ conversationId: ROOM, seqs: [1n, 2n], reason: 1, comment: "again" });
    expect(world.backend.relations.reports[0]?.clientReportId).not.toBe("");
  });

  test("a quota says when to try again", async () => {
    const alice = await ready("alice");
    world.backend.faults.set("createDirectConversation", retryIn(reason(new ConnectError("no", Code.ResourceExhausted), "CONVERSATION_QUOTA"), 100));
    const failure = await alice.messaging.openDirect("bob").catch((error: Failure) => error);
    expect(failure).toMatchObject({ line: "You have started many new conversations today. Please try again in 2 minutes." });
  });

  test("an export is asked about until its parts are there, and a deletion names the account", async () => {
    const alice = await ready("alice");
    const job = await alice.account.startExport();
    expect(job.done).toBe(false);
    await alice.account.job(job.id);
    expect(await alice.account.job(job.id)).toMatchObject({ done: true, downloadUrls: [expect.any(String), expect.any(String)] as string[] });
    await alice.account.delete();
    expect(world.backend.requests["deleteAccount alice"]).toBe(1);
  });
});
