import type { Call, CallParticipant } from "./model.js";

/** The state of this device's one call. */
export type CallPhase =
  | "idle"
  /** StartCall is on its way. */
  | "starting"
  /** It rings at the other side. */
  | "calling"
  /** It rings here. */
  | "ringing"
  /** AcceptCall, JoinCall or TakeOverCall is on its way. */
  | "accepting"
  | "active"
  /** The server has this device in a call that this page knows nothing of: the page was closed or crashed in it. */
  | "dropped"
  /** Over; the reason is shown until dismissed. */
  | "ended";

export type CallInput =
  // by the user
  | "dial"
  | "join"
  | "take_over"
  /** Answers another call than the running one, which the server then leaves. */
  | "switch"
  | "accept"
  | "decline"
  | "hang_up"
  | "dismiss"
  // by the server
  | "offered"
  | "placed"
  | "answered_here"
  | "answered_elsewhere"
  /** Not in it, not rung any more: declined or unanswered, or the media was lost for too long. */
  | "out"
  /** An admin has put this user out. */
  | "removed"
  | "ended"
  | "failed";

export type CallEffect =
  | "start"
  | "send_accept"
  | "send_join"
  | "send_take_over"
  | "send_decline"
  | "send_leave"
  | "renew_and_join"
  | "open_devices"
  | "join_media"
  | "close_media"
  | "ring"
  | "stop_ring"
  | "notify_elsewhere"
  | "notify_taken_over"
  | "dismiss_later";

interface Step {
  readonly next: CallPhase;
  readonly effects: readonly CallEffect[];
}

const to = (next: CallPhase, ...effects: CallEffect[]): Step => ({ next, effects });

const fresh = {
  dial: to("starting", "open_devices", "start"),
  join: to("accepting", "open_devices", "send_join"),
  take_over: to("accepting", "open_devices", "send_take_over"),
  offered: to("ringing", "ring"),
};
const over = to("ended", "close_media", "dismiss_later");
const hangUp = to("ended", "send_leave", "close_media", "dismiss_later");
const change = to("accepting", "close_media", "open_devices", "send_accept");
/** Another device of the same user has taken the call over. */
const takenOver = to("idle", "close_media", "notify_taken_over");

/** (phase, input) → (effects, phase). What is not listed changes nothing. */
const TABLE: Record<CallPhase, Partial<Record<CallInput, Step>>> = {
  idle: { ...fresh, answered_here: to("dropped") },
  // Answered at once: the group's call ran already, or both have called each other at the same moment.
  starting: { placed: to("calling", "join_media"), answered_here: to("active", "join_media"), ended: over, failed: over, hang_up: over },
  calling: { switch: change, answered_here: to("active"), answered_elsewhere: takenOver, out: over, removed: over, ended: over, failed: over, hang_up: hangUp },
  ringing: {
    accept: to("accepting", "stop_ring", "open_devices", "send_accept"),
    decline: to("idle", "stop_ring", "send_decline"),
    answered_elsewhere: to("idle", "stop_ring", "notify_elsewhere"),
    out: to("idle", "stop_ring"),
    removed: to("idle", "stop_ring"),
    ended: to("idle", "stop_ring", "notify_elsewhere"),
  },
  accepting: {
    answered_here: to("active", "join_media"),
    // A group's call that this device joined before anybody else has answered it.
    placed: to("calling", "join_media"),
    answered_elsewhere: to("idle", "close_media", "notify_elsewhere"),
    out: over,
    removed: over,
    ended: over,
    failed: over,
    hang_up: hangUp,
  },
  active: {
    switch: change,
    ended: over,
    failed: over,
    out: over,
    removed: over,
    hang_up: hangUp,
    answered_elsewhere: takenOver,
  },
  dropped: {
    accept: to("active", "open_devices", "renew_and_join"),
    hang_up: to("idle", "send_leave"),
    ended: to("idle"),
    out: to("idle"),
    removed: to("idle"),
    answered_elsewhere: to("idle"),
  },
  ended: { ...fresh, dismiss: to("idle") },
};

/** The next phase and what to do, in order. */
export function stepCall(phase: CallPhase, input: CallInput): Step {
  return TABLE[phase][input] ?? { next: phase, effects: [] };
}

/** What a server's copy of a call means to this device. */
export function readCall(call: Call, selfId: string, deviceId: string): CallInput {
  if (call.state === "ended") return "ended";
  const own = call.participants.find((p) => p.userId === selfId);
  const here = own?.deviceId === deviceId;
  if (here) return call.state === "active" ? "answered_here" : "placed";
  if (own?.state === "ringing") return "offered";
  if (own?.state === "removed") return "removed";
  return own?.deviceId ? "answered_elsewhere" : "out";
}

/** Who is in the call now. */
export function joined(call: Call): CallParticipant[] {
  return call.participants.filter((p) => p.state === "joined");
}
