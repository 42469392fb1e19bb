import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { ParleyClient } from "../src/index.js";
import { permissionsOf } from "../src/index.js";
import { conversation, member } from "../src/testing/samples.js";
import { until, useWorld } from "./support.js";

describe("groups and changes between clients", () => {
  const world = useWorld();
  const view = (client: ParleyClient, id: string) => client.messaging.store.get(id);
  const last = (client: ParleyClient, id: string) => view(client, id)?.messages.at(-1);

  async function ready(userId: string): Promise<ParleyClient> {
    const client = world.client(userId);
    await until(`${userId} is ready`, () => client.messaging.ready && client.stream.kind === "live");
    return client;
  }

  /** A group of Alice's, with a message of hers that both have. */
  async function group(): Promise<[ParleyClient, ParleyClient, string, number]> {
    const [alice, bob] = await Promise.all([ready("alice"), ready("bob")]);
    const id = await alice.groups.create("Hike", ["bob"]);
    alice.messaging.send(id, "hello");
    await until("both have it", () => [alice, bob].every((client) => last(client, id)?.content.kind === "text"));
    return [alice, bob, id, last(alice, id)?.seq ?? 0];
  }

  test("a new group appears with its members, and so does one that was lost on the way", async () => {
    const [alice, bob, id] = await group();
    expect(view(bob, id)?.conversation).toMatchObject({ kind: "group", title: "Hike" });
    world.backend.change(world.backend.stored(id), { title: "Lost" }, { lost: true });
    await alice.groups.add(id, ["carol"]);
    await until("bob has caught up", () => view(bob, id)?.conversation.members.length === 3 && view(bob, id)?.conversation.title === "Lost");
  });

  test("a reaction, an edit and an unsending are seen by the other", async () => {
    const [alice, bob, id, seq] = await group();
    await bob.messaging.react(id, seq, "👍", true);
    await until("the reaction", () => last(alice, id)?.reactions[0]?.userIds.includes("bob") ?? false);
    await bob.messaging.react(id, seq, "👍", false);
    await until("it is gone", () => last(alice, id)?.reactions.length === 0);
    await alice.messaging.edit(id, seq, "hello all");
    await until("the edit", () => last(bob, id)?.edited === true);
    expect(last(bob, id)?.content).toMatchObject({ text: "hello all" });
    await alice.messaging.unsend(id, seq);
    await until("the unsending", () => last(bob, id)?.content.kind === "unsent");
  });

  test("a poll is sent once, and its votes are seen by the other as they change", async () => {
    const [alice, bob, id] = await group();
    const poll = { question: "Where to?", options: ["The lake", "The hills"], multiple: false };
    await alice.messaging.sendPoll(id, poll, "p");
    await alice.messaging.sendPoll(id, poll, "p");
    await until("bob has it", () => last(bob, id)?.content.kind === "poll");
    const asked = last(bob, id)?.seq ?? 0;
    const votes = (client: ParleyClient) => {
      const content = last(client, id)?.content;
      return content?.kind === "poll" ? content.options.map(({ userIds }) => userIds.join(" ")) : undefined;
    };
    expect(last(alice, id)).toMatchObject({ seq: asked, content: { question: "Where to?", multiple: false } });
    await bob.messaging.vote(id, asked, [1]);
    await alice.messaging.vote(id, asked, [1]);
    await until("both votes", () => [alice, bob].every((client) => votes(client)?.[1] === "bob alice"));
    await bob.messaging.vote(id, asked, [0]);
    await until("the change", () => votes(alice)?.[0] === "bob" && votes(alice)?.[1] === "alice");
    await alice.messaging.vote(id, asked, []);
    await until("it is taken back", () => votes(bob)?.[1] === "");
    await alice.messaging.unsend(id, asked);
    await until("it is gone", () => last(bob, id)?.content.kind === "unsent");
  });

  test("a sticker is sent once, as an answer, and seen by the other", async () => {
    const [alice, bob, id, seq] = await group();
    const sticker = { url: "https://stickers.example/wave.webp", width: 480, height: 270, description: "A cat waves" };
    await alice.messaging.sendSticker(id, { ...sticker, providerRef: "cat-7", replyToSeq: seq }, "s");
    await alice.messaging.sendSticker(id, sticker, "s");
    await until("bob has it", () => last(bob, id)?.content.kind === "sticker");
    expect(last(bob, id)).toMatchObject({ replyToSeq: seq, content: { kind: "sticker", ...sticker } });
    expect(view(bob, id)?.messages.filter(({ content }) => content.kind === "sticker")).toHaveLength(1);
  });

  test("a change that no event told comes with the next one that leaves a gap", async () => {
    const [alice, bob, id, seq] = await group();
    world.backend.changeMessage(id, seq, { editCount: 1 }, { lost: true });
    await bob.messaging.react(id, 1, "👍", true);
    await until("alice has both", () => last(alice, id)?.edited === true && view(alice, id)?.messages[0]?.reactions.length === 1);
  });

  test("an answer keeps the number of what it answers, and mentions travel with the text", async () => {
    const [alice, bob, id, seq] = await group();
    const entities = [{ offset: 0, length: 6, kind: "mention", userId: "alice" } as const];
    bob.messaging.send(id, { text: "@alice yes", entities, replyToSeq: seq });
    await until("it is there", () => last(alice, id)?.senderId === "bob");
    expect(last(alice, id)).toMatchObject({ replyToSeq: seq, content: { entities } });
  });

  test("whoever is removed forgets the group and is told so, and whoever leaves is not", async () => {
    const [alice, bob, id] = await group();
    await alice.groups.remove(id, "bob");
    await until("bob forgets it", () => view(bob, id) === undefined);
    expect(bob.notice?.line).toBe("You are no longer in “Hike”.");
    await alice.groups.leave(id);
    expect(view(alice, id)).toBeUndefined();
    expect(alice.notice).toBeUndefined();
  });

  test("a group that one was removed from while away is forgotten after the return", async () => {
    const [, bob, id] = await group();
    world.backend.fault = new ConnectError("down", Code.Unavailable);
    world.backend.dropStreams("bob");
    await until("bob is away", () => bob.stream.kind === "waiting");
    world.backend.change(world.backend.stored(id), { members: world.backend.stored(id).conversation.members.filter((m) => m.userId !== "bob") });
    world.backend.fault = undefined;
    bob.retryNow();
    await until("bob forgets it", () => view(bob, id) === undefined);
  });

  test("an invite lets a stranger in, who sees what is said from then on", async () => {
    const [alice, , id] = await group();
    const { token } = await alice.groups.createInvite(id);
    const carol = await ready("carol");
    expect(await carol.groups.join(token)).toBe(id);
    await until("carol sees that she joined", () => last(carol, id)?.content.kind === "system");
    expect(view(carol, id)).toMatchObject({ hasOlder: false });
    expect(view(carol, id)?.messages).toHaveLength(1);
    await alice.groups.revokeInvites(id);
    await expect((await ready("dave")).groups.join(token)).rejects.toMatchObject({ code: "not_found" });
  });

  test("roles give rights", async () => {
    const members = [member("owner", { role: "owner" }), member("admin", { role: "admin" }), member("alice"), member("bob")];
    const rights = (userId: string) => permissionsOf(conversation({ kind: "group", members }), userId);
    expect([rights("owner").giveRoles, rights("admin").giveRoles]).toEqual([true, false]);
    expect([rights("admin").rename, rights("alice").rename, rights("alice").invite]).toEqual([true, false, false]);
    const closed = (userId: string) => permissionsOf(conversation({ kind: "group", members, adminsAdd: true }), userId);
    expect(["owner", "admin", "alice", "unknown"].map((id) => rights(id).add)).toEqual([true, true, true, false]);
    expect(["owner", "admin", "alice", "unknown"].map((id) => closed(id).add)).toEqual([true, true, false, false]);
    expect(["bob", "owner", "admin"].map((id) => rights("admin").canRemove(id))).toEqual([true, false, false]);
    expect(["admin", "owner"].map((id) => rights("owner").canRemove(id))).toEqual([true, false]);
    expect(["owner", "admin", "alice", "unknown"].map((id) => rights(id).pin)).toEqual([true, true, false, false]);
    expect(["alice", "unknown"].map((id) => permissionsOf(conversation(), id).pin)).toEqual([true, false]);
  });
});
