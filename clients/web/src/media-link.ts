import { backoffMs } from "./core/backoff.js";
import type { LinkEffect, LinkInput, LinkPhase } from "./core/link-state.js";
import { CONNECT_TIMEOUT_MS, GRACE_MS, stepLink } from "./core/link-state.js";
import type { RemotePerson, Slot, Unseen } from "./core/slots.js";
import { ALL_SEEN, readSlotMap } from "./core/slots.js";
import type { Failure } from "./errors.js";
import type { FrameGuard } from "./encryption/call-encryption.js";
import { readFailure } from "./errors.js";
import type { Wish } from "./media-channel.js";
import type { PeerListener } from "./peer.js";
import { Peer, type Tracks } from "./peer.js";

export interface Grant {
  readonly joinToken: string;
  readonly audioSlots: number;
  readonly videoSlots: number;
  /** TURN servers. */
  readonly iceServers?: readonly { readonly urls: string[]; readonly username: string; readonly credential: string }[];
}

/** What the link needs of the control plane. */
export interface Admission {
  renew(): Promise<Grant>;
  /** Brings the SFU's SDP answer. */
  join(joinToken: string, sdpOffer: string): Promise<string>;
  /** What encrypts a new connection of this call end to end, if anything does. */
  guard?(): Promise<FrameGuard | undefined>;
}

/** A person in the call with the tracks that carry them now. */
export interface Remote extends RemotePerson {
  readonly audio: MediaStreamTrack | undefined;
  readonly video: MediaStreamTrack | undefined;
  readonly screen: MediaStreamTrack | undefined;
}

export interface Sending extends Tracks {
  readonly muted: boolean;
}

/** End to end: not at all, for all that is understood, or with somebody who has another passphrase, or none. */
export type EncryptionState = "off" | "on" | "unreadable";

/** The media of a call, as the call controller uses it. The mock and the tests bring their own. */
export interface CallMedia {
  readonly phase: LinkPhase;
  readonly remotes: readonly Remote[];
  /** Who speaks now, the loudest first; nobody in calls of two. */
  readonly speakers: readonly string[];
  /** This participant's own network is poor. */
  readonly weak: boolean;
  readonly encryption: EncryptionState;
  /** Pictures that one side sends and the other has no decoder for. */
  readonly unseen: Unseen;
  start(grant: Grant): void;
  /** The device says that it has a new way to the network: try now rather than at the end of the back-off. */
  hurry(): void;
  /** The call has gone over to another worker: follow it, and keep the old connection until the server closes it. */
  move(): void;
  send(sending: Sending): void;
  /** Whom to show, and how large. */
  wish(wishes: readonly Wish[]): void;
  stats(): Promise<RTCStatsReport | undefined>;
  close(): void;
}

export interface LinkListener {
  onChange(): void;
  /** The control plane refused for good: the call has ended, or this device is not in it. */
  onRefused(failure: Failure): void;
}

/** How long a left connection may live if the server never closes it; far above the server's own time. */
const FORMER_MS = 30_000;
const NOTHING: Sending = { microphone: undefined, camera: undefined, screen: undefined, muted: false };

/** Joins the SFU, watches the path, and joins again when it is lost, for as long as the call lasts. */
export class MediaLink implements CallMedia {
  phase: LinkPhase = "idle";
  remotes: readonly Remote[] = [];
  speakers: readonly string[] = [];
  weak = false;
  encryption: EncryptionState = "off";
  unseen = ALL_SEEN;
  private peer: Peer | undefined;
  /** The peer that is to replace `peer`, until the SFU has answered it. */
  private next: Peer | undefined;
  /** Connections to workers that the call has left. They carry it until the new one brings media, and the others' too. */
  private readonly formers = new Map<Peer, ReturnType<typeof setTimeout>>();
  private readonly maps = new Map<Peer, readonly Slot[]>();
  private readonly unseenOn = new Map<Peer, Unseen>();
  /** Whether `next` leads to another worker. */
  private moving = false;
  private grant: Grant | undefined;
  private sending = NOTHING;
  private wishes: readonly Wish[] = [];
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

  move(): void {
    // An attempt that is under way, or timed, asks for a new grant by itself.
    if (this.phase === "connected" || this.phase === "shaky") void this.connect(true);
  }

  send(sending: Sending): void {
    this.sending = sending;
    for (const peer of this.peers()) this.feed(peer);
  }

  wish(wishes: readonly Wish[]): void {
    this.wishes = wishes;
    for (const peer of this.peers()) peer.channel.wish(wishes);
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

  /** One attempt: grant, offer, answer. The old peer serves until the answer is there, and in a move until media is. */
  private async connect(moving = false): Promise<void> {
    this.abandon();
    this.moving = moving;
    let peer: Peer | undefined;
    try {
      const grant = (moving ? undefined : this.grant) ?? (await this.admission.renew());
      const guard = await this.admission.guard?.();
      if (this.moving !== moving || (!moving && this.phase !== "joining" && this.phase !== "rejoining")) return guard?.release();
      peer = this.createPeer(grant, guard);
      this.next = peer;
      const answer = await this.admission.join(grant.joinToken, await peer.offer());
      if (this.next !== peer) return;
      if (!moving) this.adopt(peer);
      this.after(CONNECT_TIMEOUT_MS, "failed");
      await peer.answer(answer);
    } catch (error) {
      this.fail(peer, readFailure(error));
    }
  }

  private createPeer(grant: Grant, guard: FrameGuard | undefined): Peer {
    const slots = { audio: grant.audioSlots, video: grant.videoSlots };
    const listener: PeerListener = {
      onConnection: (state) => this.observe(peer, state),
      onSlots: (map, unseen) => {
        this.maps.set(peer, map);
        this.unseenOn.set(peer, unseen);
        this.showRemotes();
      },
      onMedia: () => this.showRemotes(),
      onSpeakers: (userIds) => peer === this.peer && this.observeCall({ speakers: userIds }),
      onQuality: (weak) => peer === this.peer && this.observeCall({ weak }),
      onReadable: (readable) => peer === this.peer && this.observeCall({ encryption: readable ? "on" : "unreadable" }),
    };
    const peer = new Peer(slots, grant.iceServers ?? [], listener, guard);
    this.feed(peer);
    if (this.wishes.length > 0) peer.channel.wish(this.wishes);
    return peer;
  }

  private adopt(peer: Peer): void {
    if (this.peer) this.drop(this.peer);
    this.prefer(peer);
  }

  /** The new worker is reached: from now on it is the connection that counts, and the old one only goes on. */
  private follow(peer: Peer): void {
    const former = this.peer;
    if (former) this.formers.set(former, setTimeout(() => this.drop(former), FORMER_MS));
    clearTimeout(this.timer);
    this.moving = false;
    this.prefer(peer);
    this.handle("connected");
    this.showRemotes();
  }

  private prefer(peer: Peer): void {
    this.peer = peer;
    this.next = undefined;
    this.encryption = peer.isEncrypted ? "on" : "off";
  }

  private drop(peer: Peer): void {
    clearTimeout(this.formers.get(peer));
    this.formers.delete(peer);
    this.maps.delete(peer);
    this.unseenOn.delete(peer);
    peer.close();
    this.showRemotes();
  }

  private fail(peer: Peer | undefined, failure: Failure): void {
    // An attempt that was abandoned meanwhile has nothing to say.
    if (peer && peer !== this.next && peer !== this.peer) return;
    const moved = this.moving;
    this.abandon();
    this.retryDelayMs = failure.retryDelayMs;
    if (isFinal(failure)) this.listener.onRefused(failure);
    // A move that failed: the old connection will not last, so that this is a lost one.
    this.handle(moved ? "failed" : "join_failed");
  }

  private observe(peer: Peer, state: RTCPeerConnectionState): void {
    if (peer === this.next && this.moving && state === "connected") this.follow(peer);
    else if (this.formers.has(peer) && (state === "closed" || state === "failed")) this.drop(peer);
    else if (peer === this.peer && (state === "connected" || state === "disconnected" || state === "failed")) this.handle(state);
  }

  private observeCall(change: Partial<Pick<CallMedia, "speakers" | "weak" | "encryption">>): void {
    Object.assign(this, change);
    this.listener.onChange();
  }

  /** Each person by the newest connection that brings media of them, else by the newest that knows of them. */
  private showRemotes(): void {
    const peers = [this.peer, ...[...this.formers.keys()].reverse()].filter((peer) => peer !== undefined);
    const people = new Map<string, Remote>();
    for (const peer of peers) {
      for (const person of readSlotMap(this.maps.get(peer) ?? [], peer.kinds())) {
        const known = people.get(person.userId);
        const audio = live(known?.audio) ?? live(peer.track(person.audioMid)) ?? known?.audio ?? peer.track(person.audioMid);
        const video = live(known?.video) ?? live(peer.track(person.videoMid)) ?? known?.video ?? peer.track(person.videoMid);
        const screen = live(known?.screen) ?? peer.track(person.screenMid) ?? known?.screen;
        people.set(person.userId, { ...(known ?? person), audio, video, screen });
      }
    }
    this.remotes = [...people.values()];
    this.unseen = (this.peer && this.unseenOn.get(this.peer)) ?? ALL_SEEN;
    this.listener.onChange();
  }

  private feed(peer: Peer): void {
    const { microphone, camera, screen, muted } = this.sending;
    void peer.setTracks(this.sending).catch(() => undefined);
    peer.channel.tell({ audioMuted: muted || !microphone, videoMuted: !camera, sharing: screen !== undefined });
  }

  private peers(): Peer[] {
    return [this.peer, this.next, ...this.formers.keys()].filter((peer) => peer !== undefined);
  }

  private abandon(): void {
    if (this.next) this.drop(this.next);
    this.next = undefined;
    this.moving = false;
  }

  private closePeers(): void {
    for (const peer of [this.peer, ...this.formers.keys()]) if (peer) this.drop(peer);
    this.peer = undefined;
    this.remotes = [];
    this.speakers = [];
  }
}

/** The track, if packets come on it. */
function live(track: MediaStreamTrack | undefined): MediaStreamTrack | undefined {
  return track && !track.muted && track.readyState === "live" ? track : undefined;
}

function isFinal(failure: Failure): boolean {
  return ["CALL_ENDED", "NOT_IN_CALL", "CALL_NOT_FOUND"].includes(failure.reason ?? "");
}
