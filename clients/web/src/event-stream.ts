import type { DeviceEvent } from "./gen/parley/gateway/v1/messages_pb.js";
import type { Api } from "./api.js";
import { backoffMs } from "./core/backoff.js";
import type { Failure } from "./errors.js";
import { cancelRequest, readFailure } from "./errors.js";

/** How the device's event stream stands. */
export type StreamState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Lost; a new attempt is timed. */
  | { readonly kind: "waiting"; readonly line: string; readonly failure: Failure }
  /** Ended for good: replaced by another window, or the login is no longer accepted. */
  | { readonly kind: "stopped"; readonly reason: "replaced" | "login"; readonly line: string; readonly failure: Failure }
  | { readonly kind: "stopped"; readonly reason: "closed"; readonly line: string };

/** Before Ready has told the interval of heartbeats. */
const FIRST_EVENT_TIMEOUT_MS = 15_000;
/** So many heartbeats may be missing (the protocol's figure). */
const MISSED_HEARTBEATS = 3;
/** A refused token is renewed once; after so many refusals in a row the login counts as lost. */
const MAX_REFUSALS = 2;

export interface StreamListener {
  onEvent(event: DeviceEvent["event"]): void;
  onState(state: StreamState): void;
  /** Whether all that an earlier stream pointed at has been fetched; if not, a stream must not go on where it broke. */
  isCurrent(): boolean;
}

/** After these the server wants this stream no more, and a new one would push another out. */
const FINAL_REASONS = new Set(["REPLACED", "DEVICE_LIMIT"]);
/** After these somebody has to log in, or nobody can: this device does not try by itself. */
const SIGNED_OUT_REASONS = new Set(["TOKEN_REVOKED", "ACCOUNT_DELETED"]);

/**
 * Keeps one event stream open: reconnects with jittered back-off, goes on where the stream broke when the gateway can,
 * and treats silence as a loss.
 */
export class EventStream {
  private attempt = 0;
  private refusals = 0;
  private stopped = true;
  /** Counts starts: what an earlier one still waits for is none of the present one's. */
  private starts = 0;
  private impatient = false;
  private abort: AbortController | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private wake: (() => void) | undefined;
  private silenceMs = FIRST_EVENT_TIMEOUT_MS;
  private resumeToken = "";
  /** Of the last durable event that the listener took. */
  private position = 0n;

  constructor(
    private readonly api: Api,
    private readonly deviceId: string,
    private readonly listener: StreamListener,
  ) {}

  /** Idempotent. Runs until `stop`, or until the server says that another window took over. */
  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.attempt = 0;
    this.refusals = 0;
    void this.run(++this.starts);
  }

  stop(): void {
    this.finish({ kind: "stopped", reason: "closed", line: "" });
  }

  /** The page is seen again: do not wait for the rest of the back-off. */
  retryNow(): void {
    this.wake?.();
  }

  /** The way to the network changed: what runs over the old one may be dead without a sign, so open a new stream. */
  restart(): void {
    this.impatient = true;
    cancelRequest(this.abort);
    this.wake?.();
  }

  private async run(start: number): Promise<void> {
    const over = (): boolean => this.stopped || start !== this.starts;
    while (!over()) {
      this.listener.onState({ kind: "connecting" });
      const failure = await this.readOnce();
      if (over()) return;
      if (this.isFinal(failure)) return;
      this.listener.onState({ kind: "waiting", line: failure.line, failure });
      if (!this.impatient) await this.pause(backoffMs(this.attempt++, Math.random(), failure.retryDelayMs));
      this.impatient = false;
    }
  }

  /** One stream, until it ends. Returns why. */
  private async readOnce(): Promise<Failure> {
    const abort = new AbortController();
    this.abort = abort;
    this.silenceMs = FIRST_EVENT_TIMEOUT_MS;
    this.feedWatchdog(abort);
    try {
      const options = { signal: abort.signal, timeoutMs: 0 };
      for await (const { event, position } of this.api.gateway.subscribe(this.request(), options)) {
        if (abort.signal.aborted) break;
        if (event) this.handle(event.event);
        if (position) this.position = position;
        this.feedWatchdog(abort);
      }
      return readFailure(undefined);
    } catch (error) {
      return readFailure(error);
    } finally {
      // Else it is the watchdog of the next one already.
      if (this.abort === abort) clearTimeout(this.watchdog);
    }
  }

  private request(): { deviceId: string; resumeToken: string; position: bigint } {
    const resumeToken = this.listener.isCurrent() ? this.resumeToken : "";
    return { deviceId: this.deviceId, resumeToken, position: resumeToken ? this.position : 0n };
  }

  private handle(event: DeviceEvent["event"]): void {
    if (event.case === "ready") {
      this.attempt = 0;
      this.refusals = 0;
      this.resumeToken = event.value.resumeToken;
      if (!event.value.resumed) this.position = 0n;
      this.silenceMs = Math.max(1, event.value.heartbeatS) * MISSED_HEARTBEATS * 1000;
      this.listener.onState({ kind: "live" });
    }
    if (!this.stopped) this.listener.onEvent(event);
  }

  private feedWatchdog(abort: AbortController): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => cancelRequest(abort), this.silenceMs);
  }

  private isFinal(failure: Failure): boolean {
    if (failure.reason && FINAL_REASONS.has(failure.reason)) {
      this.finish({ kind: "stopped", reason: "replaced", line: failure.line, failure });
      return true;
    }
    if (failure.reason && SIGNED_OUT_REASONS.has(failure.reason)) {
      this.finish({ kind: "stopped", reason: "login", line: failure.line, failure });
      return true;
    }
    if (failure.code !== "unauthenticated" || ++this.refusals < MAX_REFUSALS) return false;
    this.finish({ kind: "stopped", reason: "login", line: failure.line, failure });
    return true;
  }

  private finish(state: StreamState): void {
    if (this.stopped) return;
    this.stopped = true;
    cancelRequest(this.abort);
    clearTimeout(this.watchdog);
    this.wake?.();
    this.listener.onState(state);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.wake = done;
    });
  }
}
