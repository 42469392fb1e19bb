import type { Call } from "./model";

/** Where this device stands in its one call. */
export type CallPhase =
  | "idle"
  /** StartCall is on its way. */
  | "starting"
  /** It rings at the other side. */
  | "calling"
  /** It rings here. */
  | "ringing"
  /** AcceptCall is on its way. */
  | "accepting"
  | "active"
  /** The server has this device in a call that this page knows nothing of: the page was closed or crashed in it. */
  | "dropped"
  /** Over; the reason is shown until dismissed. */
  | "ended";

export type CallInput =
  // by the user
  | "dial"
  | "accept"
  | "decline"
  | "hang_up"
  | "dismiss"
  // by the server
  | "offered"
  | "placed"
  | "answered_here"
  | "answered_elsewhere"
  | "ended"
  | "failed";

export type CallEffect =
  | "start"
  | "send_accept"
  | "send_decline"
  | "send_leave"
  | "renew_and_join"
  | "open_devices"
  | "join_media"
  | "close_media"
  | "ring"
  | "stop_ring"
  | "tell_elsewhere"
  | "dismiss_later";

interface Step {
  readonly next: CallPhase;
  readonly effects: readonly CallEffect[];
}

const to = (next: CallPhase, ...effects: CallEffect[]): Step => ({ next, effects });

const fresh = { dial: to("starting", "open_devices", "start"), offered: to("ringing", "ring") };
const over = to("ended", "close_media", "dismiss_later");
const hangUp = to("ended", "send_leave", "close_media", "dismiss_later");

/** (phase, input) → (effects, phase). What is not listed changes nothing. */
const TABLE: Record<CallPhase, Partial<Record<CallInput, Step>>> = {
  idle: { ...fresh, answered_here: to("dropped") },
  starting: { placed: to("calling", "join_media"), ended: over, failed: over, hang_up: over },
  calling: { answered_here: to("active"), ended: over, hang_up: hangUp },
  ringing: {
    accept: to("accepting", "stop_ring", "open_devices", "send_accept"),
    decline: to("idle", "stop_ring", "send_decline"),
    answered_elsewhere: to("idle", "stop_ring", "tell_elsewhere"),
    ended: to("idle", "stop_ring", "tell_elsewhere"),
  },
  accepting: {
    answered_here: to("active", "join_media"),
    answered_elsewhere: to("idle", "close_media", "tell_elsewhere"),
    ended: over,
    failed: over,
    hang_up: hangUp,
  },
  active: {
    ended: over,
    failed: over,
    hang_up: hangUp,
    answered_elsewhere: to("idle", "close_media", "tell_elsewhere"),
  },
  dropped: {
    accept: to("active", "open_devices", "renew_and_join"),
    hang_up: to("idle", "send_leave"),
    ended: to("idle"),
    answered_elsewhere: to("idle"),
  },
  ended: { ...fresh, dismiss: to("idle") },
};

/** The next phase and what to do, in order. */
export function stepCall(phase: CallPhase, input: CallInput): Step {
  return TABLE[phase][input] ?? { next: phase, effects: [] };
}

/**
 * What a server's copy of a call means to this device; undefined when it concerns another device of the same user
 * (a call placed there), or none of them (a group's call that others have).
 */
export function readCall(call: Call, selfId: string, deviceId: string): CallInput | undefined {
  if (call.state === "ended") return "ended";
  const own = call.participants.find((p) => p.userId === selfId);
  const here = own?.deviceId === deviceId;
  if (here) return call.state === "active" ? "answered_here" : "placed";
  if (own?.ringing) return "offered";
  // Out of a group's call, or in it with another device: not with this one any more.
  if (call.state === "active" || call.group) return "answered_elsewhere";
  return call.callerId === selfId ? undefined : "offered";
}
