import { backoffMs } from "./core/backoff";
import type { LinkEffect, LinkInput, LinkPhase } from "./core/link-state";
import { CONNECT_TIMEOUT_MS, GRACE_MS, stepLink } from "./core/link-state";
import type { RemotePerson, Slot } from "./core/slots";
import { readSlotMap } from "./core/slots";
import type { Failure } from "./errors";
import { readFailure } from "./errors";
import { Peer } from "./peer";

export interface Grant {
  readonly joinToken: string;
  readonly audioSlots: number;
  readonly videoSlots: number;
}

/** What the link needs of the control plane. */
export interface Admission {
  renew(): Promise<Grant>;
  /** Brings the SFU's SDP answer. */
  join(joinToken: string, sdpOffer: string): Promise<string>;
}

/** A person in the call with the tracks that carry them now. */
export interface Remote extends RemotePerson {
  readonly audio: MediaStreamTrack | undefined;
  readonly video: MediaStreamTrack | undefined;
}

export interface Sending {
  readonly microphone: MediaStreamTrack | undefined;
  readonly camera: MediaStreamTrack | undefined;
  readonly muted: boolean;
}

/** The media of a call, as the call controller uses it. The mock and the tests bring their own. */
export interface CallMedia {
  readonly phase: LinkPhase;
  readonly remotes: readonly Remote[];
  start(grant: Grant): void;
  /** The device says that it has a new way to the network: try now rather than at the end of the back-off. */
  hurry(): void;
  send(sending: Sending): void;
  stats(): Promise<RTCStatsReport | undefined>;
  close(): void;
}

export interface LinkListener {
  onChange(): void;
  /** The control plane refused for good: the call has ended, or this device is not in it. */
  onRefused(failure: Failure): void;
}

const NOTHING: Sending = { microphone: undefined, camera: undefined, muted: false };

/** Joins the SFU, watches the path, and joins again when it is lost, for as long as the call lasts. */
export class MediaLink implements CallMedia {
  phase: LinkPhase = "idle";
  remotes: readonly Remote[] = [];
  private peer: Peer | undefined;
  /** The peer that is to replace `peer`, until the SFU has answered it. */
  private next: Peer | undefined;
  private grant: Grant | undefined;
  private sending = NOTHING;
  private attempt = 0;
  private retryDelayMs = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly admission: Admission,
    private readonly listener: LinkListener,
  ) {}

  start(grant: Grant): void {
    this.grant = grant;
    this.handle("join");
  }

  hurry(): void {
    if (this.phase === "waiting") this.attempt = 0;
    this.handle("retry_due");
  }

  send(sending: Sending): void {
    this.sending = sending;
    for (const peer of [this.peer, this.next]) if (peer) this.feed(peer);
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    return this.peer?.connection.getStats();
  }

  close(): void {
    this.handle("close");
  }

  private handle(input: LinkInput): void {
    const { next, effects } = stepLink(this.phase, input);
    if (next === this.phase && effects.length === 0) return;
    this.phase = next;
    if (next === "connected") this.attempt = 0;
    for (const effect of effects) this.carryOut(effect);
    this.listener.onChange();
  }

  private carryOut(effect: LinkEffect): void {
    const effects: Record<LinkEffect, () => void> = {
      join: () => void this.connect(),
      rejoin: () => {
        this.grant = undefined;
        void this.connect();
      },
      start_grace: () => this.after(GRACE_MS, "grace_over"),
      schedule_retry: () => this.after(backoffMs(this.attempt++, Math.random(), this.retryDelayMs), "retry_due"),
      stop_timers: () => clearTimeout(this.timer),
      abandon_attempt: () => this.abandon(),
      close_peers: () => this.closePeers(),
    };
    effects[effect]();
  }

  private after(ms: number, input: LinkInput): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.handle(input), ms);
  }

  /** One attempt: grant, offer, answer. The old peer serves until the answer is there. */
  private async connect(): Promise<void> {
    this.abandon();
    let peer: Peer | undefined;
    try {
      const grant = this.grant ?? (await this.admission.renew());
      if (this.phase !== "joining" && this.phase !== "rejoining") return;
      peer = this.createPeer(grant);
      this.next = peer;
      const answer = await this.admission.join(grant.joinToken, await peer.offer());
      if (this.next !== peer) return;
      this.adopt(peer);
      this.after(CONNECT_TIMEOUT_MS, "failed");
      await peer.answer(answer);
    } catch (error) {
      this.fail(peer, readFailure(error));
    }
  }

  private createPeer(grant: Grant): Peer {
    const slots = { audio: grant.audioSlots, video: grant.videoSlots };
    const peer: Peer = new Peer(slots, {
      onConnection: (state) => this.observe(peer, state),
      onSlots: (map) => this.readSlots(peer, map),
    });
    this.feed(peer);
    return peer;
  }

  private adopt(peer: Peer): void {
    this.peer?.close();
    this.peer = peer;
    this.next = undefined;
  }

  private fail(peer: Peer | undefined, failure: Failure): void {
    // An attempt that was abandoned meanwhile has nothing to say.
    if (peer && peer !== this.next && peer !== this.peer) return;
    this.abandon();
    this.retryDelayMs = failure.retryDelayMs;
    if (isFinal(failure)) this.listener.onRefused(failure);
    this.handle("join_failed");
  }

  private observe(peer: Peer, state: RTCPeerConnectionState): void {
    if (peer !== this.peer) return;
    if (state === "connected" || state === "disconnected" || state === "failed") this.handle(state);
  }

  private readSlots(peer: Peer, map: readonly Slot[]): void {
    if (peer !== this.peer) return;
    this.remotes = readSlotMap(map, peer.kinds()).map((person) => ({
      ...person,
      audio: person.audioMid === undefined ? undefined : peer.track(person.audioMid),
      video: person.videoMid === undefined ? undefined : peer.track(person.videoMid),
    }));
    this.listener.onChange();
  }

  private feed(peer: Peer): void {
    const { microphone, camera, muted } = this.sending;
    void peer.setTracks(microphone ?? null, camera ?? null).catch(() => undefined);
    peer.setMediaState(muted || !microphone, !camera);
  }

  private abandon(): void {
    this.next?.close();
    this.next = undefined;
  }

  private closePeers(): void {
    this.peer?.close();
    this.peer = undefined;
    this.remotes = [];
  }
}

function isFinal(failure: Failure): boolean {
  return ["CALL_ENDED", "NOT_IN_CALL", "CALL_NOT_FOUND"].includes(failure.reason ?? "");
}
