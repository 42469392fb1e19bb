/** The state of a call's media path, from joining to reconnecting. */
export type ConnectionPhase =
  | "idle"
  /** First join: offer, answer, ICE, DTLS. */
  | "joining"
  | "connected"
  /** Packets stopped; ICE may recover by itself. */
  | "interrupted"
  /** A new peer connection is on its way, the old one kept until its answer is there. */
  | "rejoining"
  /** An attempt failed; the next one is timed. */
  | "waiting"
  | "closed";

export type ConnectionInput =
  | "join"
  | "connected"
  | "disconnected"
  | "failed"
  | "grace_over"
  | "join_failed"
  | "retry_due"
  | "close";

export type ConnectionEffect = "join" | "rejoin" | "start_grace" | "stop_timers" | "schedule_retry" | "abandon_attempt" | "close_peers";

/** How long a disconnected path may recover by itself. Raising it delays the rescue; lowering it rejoins on a hiccup. */
export const GRACE_MS = 4000;

/** From the answer to the first packets. Raising it sits longer on a dead path; lowering it fails slow networks. */
export const CONNECT_TIMEOUT_MS = 12_000;

interface Step {
  readonly next: ConnectionPhase;
  readonly effects: readonly ConnectionEffect[];
}

const to = (next: ConnectionPhase, ...effects: ConnectionEffect[]): Step => ({ next, effects });
const close = to("closed", "stop_timers", "abandon_attempt", "close_peers");
const retry = to("waiting", "schedule_retry");
const back = to("connected", "stop_timers", "abandon_attempt");

/** (phase, input) → (effects, phase). What is not listed changes nothing. */
const TABLE: Record<ConnectionPhase, Partial<Record<ConnectionInput, Step>>> = {
  idle: { join: to("joining", "join"), close },
  joining: { connected: to("connected", "stop_timers"), failed: retry, join_failed: retry, close },
  connected: { disconnected: to("interrupted", "start_grace"), failed: to("rejoining", "rejoin"), close },
  interrupted: {
    connected: to("connected", "stop_timers"),
    grace_over: to("rejoining", "rejoin"),
    failed: to("rejoining", "stop_timers", "rejoin"),
    close,
  },
  rejoining: { connected: back, failed: retry, join_failed: retry, close },
  waiting: { connected: back, retry_due: to("rejoining", "rejoin"), close },
  closed: {},
};

export function stepConnection(phase: ConnectionPhase, input: ConnectionInput): Step {
  return TABLE[phase][input] ?? { next: phase, effects: [] };
}
