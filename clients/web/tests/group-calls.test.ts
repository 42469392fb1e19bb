import { describe, expect, test } from "vitest";
import type { CallPhase, ParleyClient } from "../src/index.js";
import { joined } from "../src/index.js";
import { MemberRole } from "../src/gen/parley/messaging/v1/messages_pb.js";
import { until, useWorld } from "./support.js";

const ROOM = "choir";

describe("a group's call", () => {
  const world = useWorld();

  async function three(): Promise<[ParleyClient, ParleyClient, ParleyClient]> {
    const members = ["alice", "bob", "carol"].map((userId) => ({ userId, role: userId === "alice" ? MemberRole.OWNER : MemberRole.MEMBER }));
    world.backend.createConversation({ conversationId: ROOM, kind: 2, title: "Choir", members });
    const clients = [world.client("alice"), world.client("bob"), world.client("carol")] as const;
    for (const client of clients) await until("ready", () => client.messaging.ready && client.stream.kind === "live");
    return [...clients];
  }

  const reaches = (client: ParleyClient, phase: CallPhase) => until(`${client.deviceId} is ${phase}`, () => client.calls.view().phase === phase);
  const running = (client: ParleyClient) => client.calls.runningIn(ROOM);
  const inCall = (client: ParleyClient) => joined(running(client) ?? failure()).map((p) => p.userId);
  const failure = (): never => {
    throw new Error("no call");
  };

  /** Alice and Bob talk; Carol has declined. */
  async function talking(): Promise<[ParleyClient, ParleyClient, ParleyClient]> {
    const [alice, bob, carol] = await three();
    alice.calls.dial(ROOM, "", false);
    for (const client of [bob, carol]) await reaches(client, "ringing");
    bob.calls.accept(false);
    carol.calls.decline();
    for (const client of [alice, bob]) await reaches(client, "active");
    await until("Carol sees who is in", () => running(carol)?.participants.every((p) => p.state !== "ringing") ?? false);
    return [alice, bob, carol];
  }

  test("rings all members, and goes on for the others when one declines", async () => {
    const [alice, , carol] = await talking();
    expect(alice.calls.view()).toMatchObject({ group: true, peerUserId: "" });
    expect(carol.calls.view().phase).toBe("idle");
    expect(inCall(carol)).toEqual(["alice", "bob"]);
  });

  test("is joined while it runs, left, and joined again", async () => {
    const [alice, , carol] = await talking();
    const call = running(carol) ?? failure();
    carol.calls.join(call, true);
    await reaches(carol, "active");
    await until("Alice sees her", () => inCall(alice).includes("carol"));
    await until("her camera is on", () => carol.calls.view().camera !== undefined);
    carol.calls.hangUp();
    await until("Alice sees her go", () => !inCall(alice).includes("carol"));
    expect(alice.calls.view().phase).toBe("active");
    await until("Carol may come back", () => running(carol)?.participants.some((p) => p.state === "left") ?? false);
    carol.calls.join(running(carol) ?? failure(), false);
    await reaches(carol, "active");
    expect(world.backend.requests["joinCall"]).toBe(2);
  });

  test("late news of having left does not put out who has come back", async () => {
    const [alice, , carol] = await talking();
    carol.calls.join(running(carol) ?? failure(), false);
    await reaches(carol, "active");
    carol.calls.hangUp();
    carol.calls.join(running(carol) ?? failure(), false);
    await reaches(carol, "active");
    await until("all is told", () => inCall(alice).includes("carol"));
    expect(carol.calls.view().phase).toBe("active");
  });

  test("starting one where one runs joins it", async () => {
    const [alice, , carol] = await talking();
    carol.calls.dial(ROOM, "", false);
    await reaches(carol, "active");
    expect(carol.calls.view().call?.id).toBe(alice.calls.view().call?.id);
    await until("Alice sees her", () => inCall(alice).includes("carol"));
  });

  test("moves to another device of the same user, and the first one says where it went", async () => {
    const [alice, bob] = await talking();
    const tablet = world.client("bob", "bobs-tablet");
    await until("it knows of the call", () => running(tablet) !== undefined);
    expect(tablet.calls.view().phase).toBe("idle");
    tablet.calls.join(running(tablet) ?? failure(), false);
    await reaches(tablet, "active");
    await reaches(bob, "idle");
    expect(bob.notice?.line).toBe("The call goes on on your other device");
    expect(world.backend.requests["takeOverCall"]).toBe(1);
    expect(world.media(bob)[0]?.phase).toBe("closed");
    expect(inCall(alice)).toEqual(["alice", "bob"]);
  });

  test("a raised hand is seen by all, and lowered again", async () => {
    const [alice, bob] = await talking();
    await bob.calls.actions.setHand(true);
    const hand = () => running(alice)?.participants.find((p) => p.userId === "bob")?.handRaiseTimeMs;
    await until("it is up", () => hand() !== undefined);
    await bob.calls.actions.setHand(false);
    await until("it is down", () => hand() === undefined);
  });

  test("who is asked for silence is muted and told, once, and unmutes at will", async () => {
    const [alice, bob] = await talking();
    await alice.calls.actions.requestMute("bob");
    await until("he is mute", () => bob.calls.view().mutedByAdmin);
    expect(bob.calls.view().muted).toBe(true);
    await bob.calls.setMuted(false);
    expect(bob.calls.view()).toMatchObject({ mutedByAdmin: false, muted: false });
    await bob.calls.actions.setHand(true);
    await until("a later copy has come", () => (bob.calls.view().call?.participants.find((p) => p.userId === "bob")?.handRaiseTimeMs ?? 0) > 0);
    expect(bob.calls.view()).toMatchObject({ mutedByAdmin: false, muted: false });
    expect(alice.calls.view().muted).toBe(false);
  });

  test("who is mute already is not told to be silent", async () => {
    const [alice, bob] = await talking();
    await bob.calls.setMuted(true);
    await alice.calls.actions.requestMute("bob");
    await until("the request has come", () => (bob.calls.view().call?.participants.find((p) => p.userId === "bob")?.muteRequestTimeMs ?? 0) > 0);
    expect(bob.calls.view().mutedByAdmin).toBe(false);
  });

  test("who is removed reads so, and lets go of camera and microphone", async () => {
    const [alice, bob] = await talking();
    await alice.calls.actions.remove("bob");
    await reaches(bob, "ended");
    expect(bob.calls.view().problem?.line).toBe("You were removed from this call.");
    expect(world.media(bob)[0]?.phase).toBe("closed");
  });

  test("a lock is seen by all, and ending it ends it for all", async () => {
    const [alice, bob, carol] = await talking();
    await alice.calls.actions.setLocked(true);
    await until("Carol sees it", () => running(carol)?.locked ?? false);
    await alice.calls.actions.endForAll();
    for (const client of [alice, bob]) await reaches(client, "ended");
    await until("Carol sees it", () => running(carol) === undefined);
  });

  test("what ended while the stream was down is gone after Ready", async () => {
    const [alice, bob, carol] = await talking();
    world.backend.dropStreams("carol");
    await alice.calls.actions.endForAll();
    for (const client of [alice, bob]) await reaches(client, "ended");
    carol.retryNow();
    await until("Carol knows", () => running(carol) === undefined);
  });

  test("who speaks, and one's own weak network, are what the media says", async () => {
    const [alice] = await talking();
    world.media(alice)[0]?.say({ speakers: ["bob"], weak: true });
    expect(alice.calls.view()).toMatchObject({ speakers: ["bob"], weak: true });
  });

  test("a screen is sent beside the camera until it is stopped", async () => {
    const [alice] = await talking();
    await alice.calls.setScreen(true);
    const sent = () => world.media(alice)[0]?.sent.at(-1);
    expect(sent()?.screen).toBeDefined();
    const tracks = [sent()?.screen, sent()?.screenSound] as unknown as { kind: string; stopped: boolean; contentHint: string }[];
    expect(tracks.map(({ kind, contentHint }) => [kind, contentHint])).toEqual([["video", "detail"], ["audio", "music"]]);
    await alice.calls.setScreen(false);
    expect([sent()?.screen, sent()?.screenSound]).toEqual([undefined, undefined]);
    expect(tracks.map(({ stopped }) => stopped)).toEqual([true, true]);
  });

  test("a page that nobody sees asks for no pictures, in calls to come too, and for the same ones again when it is seen", async () => {
    const [alice] = await talking();
    const requests = [{ userId: "bob", screen: false, maxHeight: 180, pinned: false }];
    alice.calls.requestVideo(requests);
    alice.setHidden(true);
    alice.setHidden(true);
    alice.setHidden(false);
    const media = world.media(alice)[0];
    expect(media?.videoRequests).toEqual([requests, requests, requests]);
    expect(media?.hidden).toEqual([false, true, false]);
    alice.setHidden(true);
    alice.calls.hangUp();
    await until("Alice may come back", () => running(alice)?.participants.some((p) => p.userId === "alice" && p.state === "left") ?? false);
    alice.calls.join(running(alice) ?? failure(), false);
    await reaches(alice, "active");
    expect([world.media(alice)[1]?.videoRequests, world.media(alice)[1]?.hidden]).toEqual([[[]], [true]]);
  });
});
