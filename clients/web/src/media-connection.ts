import { backoffMs } from "./core/backoff.js";
import type { ConnectionEffect, ConnectionInput, ConnectionPhase } from "./core/connection-state.js";
import { CONNECT_TIMEOUT_MS, GRACE_MS, stepConnection } from "./core/connection-state.js";
import type { ParticipantSlots, Slot, Unseen } from "./core/slots.js";
import { ALL_SEEN, readSlotMap } from "./core/slots.js";
import type { Failure } from "./errors.js";
import type { FrameCryptor } from "./encryption/call-encryption.js";
import { readFailure } from "./errors.js";
import type { VideoRequest } from "./media-channel.js";
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
export interface MediaSignaling {
  renew(): Promise<Grant>;
  /** Brings the SFU's SDP answer. */
  join(joinToken: string, sdpOffer: string): Promise<string>;
  /** What encrypts a new connection of this call end to end, if anything does. */
  cryptor?(): Promise<FrameCryptor | undefined>;
}

/** A person in the call with the tracks that carry them now. */
export interface RemoteParticipant extends ParticipantSlots {
  readonly audio: MediaStreamTrack | undefined;
  readonly video: MediaStreamTrack | undefined;
  readonly screen: MediaStreamTrack | undefined;
  readonly screenSound: MediaStreamTrack | undefined;
}

export interface OutgoingMedia extends Tracks {
  readonly muted: boolean;
}

/** Of a connection: without encryption, with it, or with it and something that comes and cannot be opened. */
export type EncryptionState = "off" | "on" | "unreadable";

/** The media of a call, as the call controller uses it. The mock and the tests have their own. */
export interface CallMedia {
  readonly phase: ConnectionPhase;
  readonly remotes: readonly RemoteParticipant[];
  /** Who speaks now, the loudest first; nobody in calls of two. */
  readonly speakers: readonly string[];
  /** This participant's own network is poor. */
  readonly weak: boolean;
  readonly encryption: EncryptionState;
  /** Pictures that one side sends and the other has no decoder for. */
  readonly unseen: Unseen;
  start(grant: Grant): void;
  /** The device says that it has a new way to the network: try now rather than at the end of the back-off. */
  retryNow(): void;
  /** The call has moved to another worker: follow it, and keep the former connection until the server closes it. */
  move(): void;
  send(sending: OutgoingMedia): void;
  /** Requests videos, each with its largest useful height. `hidden`: nothing is to be seen meanwhile; sound goes on. */
  requestVideo(videoRequests: readonly VideoRequest[], hidden: boolean): void;
  stats(): Promise<RTCStatsReport | undefined>;
  close(): void;
}

export interface ConnectionListener {
  onChange(): void;
  /** The control plane refused for good: the call has ended, or this device is not in it. */
  onRefused(failure: Failure): void;
}

/** How long the connection to a former worker may live if the server never closes it; far above the server's own time. */
const FORMER_PEER_MS = 30_000;
const NOTHING: OutgoingMedia = { microphone: undefined, camera: undefined, screen: undefined, screenSound: undefined, muted: false };

/** Joins the SFU, watches the path, and joins again when it is lost, for as long as the call lasts. */
export class MediaConnection implements CallMedia {
  phase: ConnectionPhase = "idle";
  remotes: readonly RemoteParticipant[] = [];
  speakers: readonly string[] = [];
  weak = false;
  encryption: EncryptionState = "off";
  unseen = ALL_SEEN;
  private peer: Peer | undefined;
  /** The peer that is to replace `peer`, until the SFU has answered it. */
  private next: Peer | undefined;
  /** Connections to workers that the call has moved away from. They carry it until media arrives on the new one. */
  private readonly formerPeers = new Map<Peer, ReturnType<typeof setTimeout>>();
  private readonly maps = new Map<Peer, readonly Slot[]>();
  private readonly unseenOn = new Map<Peer, Unseen>();
  /** Whether `next` leads to another worker. */
  private moving = false;
  private grant: Grant | undefined;
  private sending = NOTHING;
  private videoRequests: readonly VideoRequest[] = [];
  private hidden = false;
  private attempt = 0;
  private retryDelayMs = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly signaling: MediaSignaling,
    private readonly listener: ConnectionListener,
  ) {}

  start(grant: Grant): void {
    this.grant = grant;
    this.handle("join");
  }

  retryNow(): void {
    if (this.phase === "waiting") this.attempt = 0;
    this.handle("retry_due");
  }

  move(): void {
    // An attempt that is under way, or timed, asks for a new grant by itself.
    if (this.phase === "connected" || this.phase === "interrupted") void this.connect(true);
  }

  send(sending: OutgoingMedia): void {
    this.sending = sending;
    for (const peer of this.peers()) this.sendTracks(peer);
  }

  requestVideo(videoRequests: readonly VideoRequest[], hidden: boolean): void {
    this.videoRequests = videoRequests;
    this.hidden = hidden;
    for (const peer of this.peers()) peer.channel.requestVideo(videoRequests, hidden);
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    return this.peer?.connection.getStats();
  }

  close(): void {
    this.handle("close");
  }

  private handle(input: ConnectionInput): void {
    const { next, effects } = stepConnection(this.phase, input);
    if (next === this.phase && effects.length === 0) return;
    this.phase = next;
    if (next === "connected") this.attempt = 0;
    for (const effect of effects) this.carryOut(effect);
    this.listener.onChange();
  }

  private carryOut(effect: ConnectionEffect): void {
    const effects: Record<ConnectionEffect, () => void> = {
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

  private after(ms: number, input: ConnectionInput): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.handle(input), ms);
  }

  /** One attempt: grant, offer, answer. The old peer serves until the answer is there, and in a move until media is. */
  private async connect(moving = false): Promise<void> {
    this.abandon();
    this.moving = moving;
    let peer: Peer | undefined;
    try {
      const grant = (moving ? undefined : this.grant) ?? (await this.signaling.renew());
      const cryptor = await this.signaling.cryptor?.();
      if (this.moving !== moving || (!moving && this.phase !== "joining" && this.phase !== "rejoining")) return cryptor?.release();
      peer = this.createPeer(grant, cryptor);
      this.next = peer;
      const answer = await this.signaling.join(grant.joinToken, await peer.offer());
      if (this.next !== peer) return;
      if (!moving) this.adopt(peer);
      this.after(CONNECT_TIMEOUT_MS, "failed");
      await peer.answer(answer);
    } catch (error) {
      this.fail(peer, readFailure(error));
    }
  }

  private createPeer(grant: Grant, cryptor: FrameCryptor | undefined): Peer {
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
    const peer = new Peer(slots, grant.iceServers ?? [], listener, cryptor);
    this.sendTracks(peer);
    if (this.videoRequests.length > 0 || this.hidden) peer.channel.requestVideo(this.videoRequests, this.hidden);
    return peer;
  }

  private adopt(peer: Peer): void {
    if (this.peer) this.drop(this.peer);
    this.setCurrent(peer);
  }

  /** The new worker is connected: its connection becomes the current one, and the former one stays open for a while. */
  private switchTo(peer: Peer): void {
    const former = this.peer;
    if (former) this.formerPeers.set(former, setTimeout(() => this.drop(former), FORMER_PEER_MS));
    clearTimeout(this.timer);
    this.moving = false;
    this.setCurrent(peer);
    this.handle("connected");
    this.showRemotes();
  }

  private setCurrent(peer: Peer): void {
    this.peer = peer;
    this.next = undefined;
    this.encryption = peer.isEncrypted ? "on" : "off";
  }

  private drop(peer: Peer): void {
    clearTimeout(this.formerPeers.get(peer));
    this.formerPeers.delete(peer);
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
    // A move that failed: the former connection will not last, so that this is a lost one.
    this.handle(moved ? "failed" : "join_failed");
  }

  private observe(peer: Peer, state: RTCPeerConnectionState): void {
    if (peer === this.next && this.moving && state === "connected") this.switchTo(peer);
    else if (this.formerPeers.has(peer) && (state === "closed" || state === "failed")) this.drop(peer);
    else if (peer === this.peer && (state === "connected" || state === "disconnected" || state === "failed")) this.handle(state);
  }

  private observeCall(change: Partial<Pick<CallMedia, "speakers" | "weak" | "encryption">>): void {
    Object.assign(this, change);
    this.listener.onChange();
  }

  /** Takes each participant from the newest connection that receives their media, or else from the newest that lists them. */
  private showRemotes(): void {
    const peers = [this.peer, ...[...this.formerPeers.keys()].reverse()].filter((peer) => peer !== undefined);
    const people = new Map<string, RemoteParticipant>();
    for (const peer of peers) {
      for (const person of readSlotMap(this.maps.get(peer) ?? [], peer.kinds())) {
        const known = people.get(person.userId);
        const audio = live(known?.audio) ?? live(peer.track(person.audioMid)) ?? known?.audio ?? peer.track(person.audioMid);
        const video = live(known?.video) ?? live(peer.track(person.videoMid)) ?? known?.video ?? peer.track(person.videoMid);
        const screen = live(known?.screen) ?? peer.track(person.screenMid) ?? known?.screen;
        const screenSound = live(known?.screenSound) ?? peer.track(person.screenAudioMid) ?? known?.screenSound;
        people.set(person.userId, { ...(known ?? person), audio, video, screen, screenSound });
      }
    }
    this.remotes = [...people.values()];
    this.unseen = (this.peer && this.unseenOn.get(this.peer)) ?? ALL_SEEN;
    this.listener.onChange();
  }

  private sendTracks(peer: Peer): void {
    const { microphone, camera, screen, muted } = this.sending;
    void peer.setTracks(this.sending).catch(() => undefined);
    peer.channel.sendState({ audioMuted: muted || !microphone, videoMuted: !camera, sharing: screen !== undefined });
  }

  private peers(): Peer[] {
    return [this.peer, this.next, ...this.formerPeers.keys()].filter((peer) => peer !== undefined);
  }

  private abandon(): void {
    if (this.next) this.drop(this.next);
    this.next = undefined;
    this.moving = false;
  }

  private closePeers(): void {
    for (const peer of [this.peer, ...this.formerPeers.keys()]) if (peer) this.drop(peer);
    this.peer = undefined;
    this.remotes = [];
    this.speakers = [];
  }
}

/** The track, if it receives packets. */
function live(track: MediaStreamTrack | undefined): MediaStreamTrack | undefined {
  return track && !track.muted && track.readyState === "live" ? track : undefined;
}

function isFinal(failure: Failure): boolean {
  return ["CALL_ENDED", "NOT_IN_CALL", "CALL_NOT_FOUND"].includes(failure.reason ?? "");
}
