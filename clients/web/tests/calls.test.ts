import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { CallSchema, CallState } from "../src/gen/parley/calls/v1/messages_pb.js";
import type { CallPhase, ParleyClient } from "../src/index.js";
import { fakeDevices, until, useWorld } from "./support.js";

const ROOM = "alice+bob";

describe("calls", () => {
  const world = useWorld();

  async function pair(): Promise<[ParleyClient, ParleyClient]> {
    world.backend.openDirect("alice", "bob");
    const clients = [world.client("alice"), world.client("bob")] as const;
    for (const client of clients) await until("ready", () => client.messaging.ready && client.stream.kind === "live");
    return [...clients];
  }

  const reaches = (client: ParleyClient, phase: CallPhase) => until(`${client.userId} is ${phase}`, () => client.calls.view().phase === phase);

  async function connected(): Promise<[ParleyClient, ParleyClient]> {
    const [alice, bob] = await pair();
    alice.calls.dial(ROOM, "bob", true);
    await reaches(bob, "ringing");
    bob.calls.accept(true);
    for (const client of [alice, bob]) await reaches(client, "active");
    for (const client of [alice, bob]) await until("media", () => client.calls.view().connection === "connected");
    return [alice, bob];
  }

  const record = (client: ParleyClient) => client.messaging.store.get(ROOM)?.messages.at(-1)?.content;

  test("rings, is accepted, carries media, and ends for both with a record", async () => {
    const rings: boolean[] = [];
    const [alice, bob] = await pair();
    bob.onRing = (ringing) => rings.push(ringing);
    alice.calls.dial(ROOM, "bob", true);
    await reaches(bob, "ringing");
    await until("the caller joins while it rings", () => alice.calls.view().connection === "connected");
    bob.calls.accept(true);
    await reaches(alice, "active");
    bob.calls.hangUp();
    for (const client of [alice, bob]) await reaches(client, "ended");
    for (const client of [alice, bob]) await until("record", () => record(client)?.kind === "call");
    expect(rings).toEqual([true, false]);
    expect([alice, bob].map((c) => world.media(c)[0]?.phase)).toEqual(["closed", "closed"]);
    expect(record(alice)).toMatchObject({ outcome: "completed", video: true });
  });

  test("a declined call ends at the caller and says who declined", async () => {
    const [alice, bob] = await pair();
    alice.calls.dial(ROOM, "bob", false);
    await reaches(bob, "ringing");
    bob.calls.decline();
    await reaches(alice, "ended");
    expect(alice.calls.view().call?.endReason).toBe("declined");
    expect(bob.calls.view().phase).toBe("idle");
  });

  test("a caller who gives up stops the ringing", async () => {
    const [alice, bob] = await pair();
    alice.calls.dial(ROOM, "bob", false);
    await reaches(bob, "ringing");
    alice.calls.hangUp();
    await reaches(bob, "idle");
    await until("record", () => record(bob)?.kind === "call");
    expect(record(bob)).toMatchObject({ outcome: "cancelled" });
  });

  test("hanging up before the server has answered still ends the call", async () => {
    const [alice, bob] = await pair();
    alice.calls.dial(ROOM, "bob", false);
    alice.calls.hangUp();
    await until("it was left", () => world.backend.requests["leaveCall"] === 1);
    await reaches(bob, "idle");
    expect(world.media(alice)).toEqual([]);
  });

  test("answering on one device stops the others", async () => {
    const [alice, bob] = await pair();
    const tablet = world.client("bob", "bobs-tablet");
    await until("ready", () => tablet.stream.kind === "live");
    alice.calls.dial(ROOM, "bob", true);
    for (const client of [bob, tablet]) await reaches(client, "ringing");
    tablet.calls.accept(false);
    await reaches(tablet, "active");
    await reaches(bob, "idle");
    expect(bob.notice?.line).toBe("Answered on another device");
    expect(tablet.calls.view().camera).toBeUndefined();
  });

  test("a call that could not be placed ends with a readable line", async () => {
    const [alice] = await pair();
    world.backend.fault = new ConnectError("no", Code.Unavailable);
    alice.calls.dial(ROOM, "bob", true);
    await reaches(alice, "ended");
    expect(alice.calls.view().problem?.line).toBe("Parley cannot be reached right now.");
  });

  test("a lost event does not leave it ringing: the list after Ready tells", async () => {
    const [alice, bob] = await pair();
    alice.calls.dial(ROOM, "bob", true);
    await reaches(bob, "ringing");
    world.backend.dropStreams("bob");
    alice.calls.hangUp();
    await reaches(alice, "ended");
    bob.retryNow();
    await reaches(bob, "idle");
  });

  test("a call that rings before the page is open rings when it opens", async () => {
    world.backend.openDirect("alice", "bob");
    const alice = world.client("alice");
    await until("ready", () => alice.messaging.ready);
    alice.calls.dial(ROOM, "bob", true);
    await reaches(alice, "calling");
    await reaches(world.client("bob"), "ringing");
  });

  test("an older copy of a call changes nothing", async () => {
    const [alice, bob] = await connected();
    const stale = { ...structuredClone(alice.calls.view().call) };
    bob.calls.hangUp();
    await reaches(alice, "ended");
    alice.calls.dismiss();
    const wire = { callId: stale.id ?? "", conversationId: ROOM, callerId: "bob", state: 1, version: 1n, participants: [{ userId: "bob" }, { userId: "alice" }] };
    const { create } = await import("@bufbuild/protobuf");
    const { CallSchema } = await import("../src/gen/parley/calls/v1/messages_pb.js");
    alice.calls.receive(create(CallSchema, wire));
    expect(alice.calls.view().phase).toBe("idle");
  });

  test("a page that was closed in a call is offered to return", async () => {
    const [alice, bob] = await connected();
    const callId = bob.calls.view().call?.id;
    bob.calls.close();
    world.backend.dropStreams("bob");
    const again = world.client("bob");
    await reaches(again, "dropped");
    again.calls.accept(true);
    await until("media is back", () => again.calls.view().connection === "connected");
    expect(again.calls.view().call?.id).toBe(callId);
    expect(world.backend.requests["renewMediaGrant"]).toBe(1);
    alice.calls.hangUp();
    await reaches(again, "ended");
  });

  test("mute silences the track and tells the media; unmute brings it back", async () => {
    const [alice] = await connected();
    await alice.calls.setMuted(true);
    expect(world.media(alice)[0]?.sent.at(-1)).toMatchObject({ muted: true, microphone: { enabled: false } });
    await alice.calls.setMuted(false);
    expect(world.media(alice)[0]?.sent.at(-1)).toMatchObject({ muted: false, microphone: { enabled: true } });
  });

  test("camera off frees the camera, and on opens it again", async () => {
    const [alice] = await connected();
    const before = alice.calls.view().camera as unknown as { stopped: boolean };
    await alice.calls.setCamera(false);
    expect(before.stopped).toBe(true);
    expect(world.media(alice)[0]?.sent.at(-1)?.camera).toBeUndefined();
    await alice.calls.setCamera(true);
    expect(world.media(alice)[0]?.sent.at(-1)?.camera).toBeDefined();
  });

  test("a refused camera leaves a voice call with a line about it", async () => {
    fakeDevices(["video"]);
    const [alice] = await connected();
    expect(alice.calls.view().deviceProblem?.line).toContain("Your camera is blocked");
    expect(world.media(alice)[0]?.sent.at(-1)?.microphone).toBeDefined();
  });

  test("with neither camera nor microphone one still sees and hears the other", async () => {
    fakeDevices(["video", "audio"]);
    const [alice] = await connected();
    expect(alice.calls.view()).toMatchObject({ connection: "connected", deviceProblem: { camera: "refused", microphone: "refused" } });
  });

  test("a microphone that was refused is asked for again on unmute", async () => {
    fakeDevices(["audio"]);
    const [alice] = await connected();
    expect(alice.calls.view()).toMatchObject({ muted: true, deviceProblem: { microphone: "refused" } });
    fakeDevices();
    await alice.calls.setMuted(false);
    expect(alice.calls.view()).toMatchObject({ muted: false, deviceProblem: undefined });
  });

  test("hanging up frees camera and microphone", async () => {
    const [alice] = await connected();
    const tracks = world.media(alice)[0]?.sent.at(-1);
    alice.calls.hangUp();
    for (const track of [tracks?.camera, tracks?.microphone]) expect((track as unknown as { stopped: boolean }).stopped).toBe(true);
  });

  test.each([Code.Unavailable, Code.Canceled])("a hang-up that the server did not hear is repeated (%i)", async (code) => {
    const [alice, bob] = await connected();
    world.backend.fault = new ConnectError("down", code);
    alice.calls.hangUp();
    await until("first try", () => (world.backend.requests["leaveCall"] ?? 0) >= 1);
    world.backend.fault = undefined;
    await reaches(bob, "ended");
  });

  test("media follows a call to another worker, once for each move", async () => {
    const [alice] = await connected();
    const call = alice.calls.view().call;
    const wire = (version: bigint, mediaEpoch: bigint) =>
      create(CallSchema, {
        callId: call?.id ?? "",
        conversationId: ROOM,
        callerId: "alice",
        state: CallState.ACTIVE,
        participants: call?.participants.map(({ userId, deviceId }) => ({ userId, deviceId })) ?? [],
        version,
        mediaMove: { mediaEpoch },
      });
    alice.calls.receive(wire(100n, 1n));
    alice.calls.receive(wire(101n, 1n));
    expect(world.media(alice)[0]?.moves).toBe(1);
    alice.calls.receive(wire(102n, 2n));
    expect(world.media(alice)[0]?.moves).toBe(2);
  });

  /** Carol calls Bob while he talks to Alice. */
  async function whileTalking(): Promise<[ParleyClient, ParleyClient, ParleyClient]> {
    const [alice, bob] = await connected();
    world.backend.openDirect("bob", "carol");
    const carol = world.client("carol");
    await until("ready", () => carol.messaging.ready && carol.stream.kind === "live");
    carol.calls.dial("bob+carol", "bob", false);
    await until("it waits", () => bob.calls.waiting()?.callerId === "carol");
    expect(bob.calls.view()).toMatchObject({ phase: "active", peerUserId: "alice" });
    return [alice, bob, carol];
  }

  test("a call that waits is answered in place of the running one", async () => {
    const [, bob, carol] = await whileTalking();
    bob.calls.answerWaiting(false);
    for (const client of [bob, carol]) await reaches(client, "active");
    expect(bob.calls.view()).toMatchObject({ peerUserId: "carol", conversationId: "bob+carol" });
    expect(world.media(bob).map((media) => media.phase)).toEqual(["closed", "connected"]);
    expect(bob.calls.waiting()).toBeUndefined();
  });

  test("a call that waits is declined, and the running one goes on", async () => {
    const [, bob, carol] = await whileTalking();
    bob.calls.declineWaiting();
    expect(bob.calls.waiting()).toBeUndefined();
    await reaches(carol, "ended");
    expect(bob.calls.view()).toMatchObject({ phase: "active", peerUserId: "alice" });
  });

  test("a call that waited rings when the running one is over", async () => {
    const [alice, bob] = await whileTalking();
    alice.calls.hangUp();
    await until("it rings", () => bob.calls.view().phase === "ringing" && bob.calls.view().peerUserId === "carol");
  });

  test("how to ring is brought and changed, and a change of one part keeps the other", async () => {
    const [alice] = await pair();
    await alice.callSettings.refresh();
    expect(alice.callSettings.current).toEqual({ callWaiting: false, quietHours: undefined });
    await alice.callSettings.update({ quietHours: { startMinute: 1380, endMinute: 420 } });
    await alice.callSettings.update({ callWaiting: true });
    expect(alice.callSettings.current).toEqual({ callWaiting: true, quietHours: { startMinute: 1380, endMinute: 420 } });
    await alice.callSettings.update({ quietHours: undefined });
    expect(alice.callSettings.current).toEqual({ callWaiting: true, quietHours: undefined });
  });

  test("quiet hours of another device keep their days and their clock when something else is changed", async () => {
    const [alice] = await pair();
    const quietHours = { startMinute: 60, endMinute: 120, timeZone: "Asia/Tokyo", weekdays: [5, 6] };
    const service = world.backend.apiFor("alice").calls;
    await service.updateCallSettings({ settings: { quietHours } });
    await alice.callSettings.update({ callWaiting: true });
    expect((await service.getCallSettings({})).settings).toMatchObject({ callWaiting: true, quietHours });
  });
});
