import { describe, expect, test } from "vitest";
import type { CallInput, CallPhase } from "../src/core/call-state.js";
import { readCall, stepCall } from "../src/core/call-state.js";
import type { Call, CallParticipant, ParticipantState } from "../src/core/model.js";

function run(inputs: CallInput[], from: CallPhase = "idle"): { phase: CallPhase; effects: string[] } {
  const effects: string[] = [];
  let phase = from;
  for (const input of inputs) {
    const step = stepCall(phase, input);
    phase = step.next;
    effects.push(...step.effects);
  }
  return { phase, effects };
}

function seat(userId: string, deviceId: string, standing: ParticipantState = "joined"): CallParticipant {
  return { userId, deviceId, state: standing, handRaiseTimeMs: undefined, muteRequestTimeMs: undefined, guest: false };
}

function call(change: Partial<Call> = {}): Call {
  const participants = [
    seat("alice", "phone"),
    seat("bob", "", "ringing"),
  ];
  const times = { answerTimeMs: undefined, endTimeMs: undefined, endReason: undefined };
  return { id: "call", conversationId: "room", callerId: "alice", video: true, state: "ringing", participants, version: 1, group: false, locked: false, mediaEpoch: 0, lobby: [], ...times, ...change };
}

describe("call state", () => {
  test("a caller rings, is answered, and hangs up", () => {
    const { phase, effects } = run(["dial", "placed", "answered_here", "hang_up", "dismiss"]);
    expect(phase).toBe("idle");
    expect(effects).toEqual(["open_devices", "start", "join_media", "send_leave", "close_media", "dismiss_later"]);
  });

  test("a caller joins the media while it rings, and not again when answered", () => {
    expect(run(["dial", "placed", "answered_here"]).effects.filter((e) => e === "join_media")).toHaveLength(1);
  });

  test("a callee accepts and joins with the grant of the answer", () => {
    const { phase, effects } = run(["offered", "accept", "answered_here"]);
    expect(phase).toBe("active");
    expect(effects).toEqual(["ring", "stop_ring", "open_devices", "send_accept", "join_media"]);
  });

  test.each<[string, CallInput, string]>([
    ["answered on another device", "answered_elsewhere", "notify_elsewhere"],
    ["cancelled, missed or declined on another device", "ended", "notify_elsewhere"],
    ["declined here", "decline", "send_decline"],
  ])("ringing stops when it is %s", (_name, input, effect) => {
    const { phase, effects } = run(["offered", input]);
    expect(phase).toBe("idle");
    expect(effects).toEqual(["ring", "stop_ring", effect]);
  });

  test("losing the race to another device ends quietly", () => {
    expect(run(["offered", "accept", "answered_elsewhere"]).phase).toBe("idle");
  });

  test.each<CallInput>(["ended", "failed", "hang_up"])("from active, %s frees the devices", (input) => {
    const { phase, effects } = run([input], "active");
    expect(phase).toBe("ended");
    expect(effects).toContain("close_media");
  });

  test("every phase that can hold media or a ringing sound lets go of it when the call ends", () => {
    for (const phase of ["starting", "calling", "ringing", "accepting", "active"] as const) {
      const { next, effects } = stepCall(phase, "ended");
      expect(["ended", "idle"]).toContain(next);
      expect(effects.some((e) => e === "close_media" || e === "stop_ring")).toBe(true);
    }
  });

  test("what does not fit changes nothing", () => {
    expect(stepCall("idle", "accept")).toEqual({ next: "idle", effects: [] });
    expect(stepCall("active", "offered")).toEqual({ next: "active", effects: [] });
    expect(stepCall("ended", "ended")).toEqual({ next: "ended", effects: [] });
  });

  test("a call that another device took over is over here", () => {
    expect(stepCall("active", "answered_elsewhere")).toEqual({ next: "idle", effects: ["close_media", "notify_taken_over"] });
  });

  test("joining a group's call and taking a call over ask for devices and a seat, and then for media", () => {
    expect(run(["join", "answered_here"])).toEqual({ phase: "active", effects: ["open_devices", "send_join", "join_media"] });
    expect(run(["take_over", "answered_here"])).toEqual({ phase: "active", effects: ["open_devices", "send_take_over", "join_media"] });
  });

  test("a call that is answered at once, since both have called, is active", () => {
    expect(run(["dial", "answered_here"])).toEqual({ phase: "active", effects: ["open_devices", "start", "join_media"] });
  });

  test("whoever is put out of a call, or was missing for too long, lets go of the media and reads why", () => {
    for (const input of ["removed", "out"] as const) {
      expect(stepCall("active", input)).toEqual({ next: "ended", effects: ["close_media", "dismiss_later"] });
    }
  });

  test("a call that this page knows nothing of is offered for return, and left when refused", () => {
    expect(run(["answered_here", "accept"]).effects).toEqual(["open_devices", "renew_and_join"]);
    expect(run(["answered_here", "hang_up"])).toEqual({ phase: "idle", effects: ["send_leave"] });
  });
});

describe("a server's copy of a call", () => {
  const active = call({ state: "active", participants: [seat("alice", "phone"), seat("bob", "tablet")] });
  const group = call({ state: "active", group: true, participants: [seat("alice", "phone"), seat("bob", "", "ringing"), seat("carol", "", "out"), seat("dave", "", "removed")] });

  test.each<[string, Call, string, string, CallInput]>([
    ["rings at the callee", call(), "bob", "tablet", "offered"],
    ["is placed on the caller's device", call(), "alice", "phone", "placed"],
    ["was placed on another device of the caller", call(), "alice", "laptop", "answered_elsewhere"],
    ["was answered on this device", active, "bob", "tablet", "answered_here"],
    ["was answered elsewhere", active, "bob", "laptop", "answered_elsewhere"],
    ["was answered, for the caller's device", active, "alice", "phone", "answered_here"],
    ["of a group rings while others talk", group, "bob", "tablet", "offered"],
    ["of a group that does not ring here may be joined", group, "carol", "tablet", "out"],
    ["of a group that an admin put one out of", group, "dave", "tablet", "removed"],
    ["of a group that one is not in any more", group, "erin", "tablet", "out"],
    ["has ended", call({ state: "ended" }), "bob", "tablet", "ended"],
  ])("%s", (_name, copy, user, device, expected) => {
    expect(readCall(copy, user, device)).toBe(expected);
  });
});
