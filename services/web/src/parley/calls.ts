import type { Call as WireCall, MediaGrant } from "../gen/parley/calls/v1/messages_pb";
import type { Api } from "./api";
import type { CallEffect, CallInput, CallPhase } from "./core/call-state";
import { readCall as readInput, stepCall } from "./core/call-state";
import { deviceLine } from "./core/lines";
import type { Call } from "./core/model";
import type { CallEncryption } from "./encryption/call-encryption";
import type { Failure } from "./errors";
import { readFailure } from "./errors";
import { LocalSide } from "./local-side";
import type { Admission, CallMedia, Grant, LinkListener, Remote } from "./media-link";
import { readCall } from "./wire";

/** What the interface shows of the call. */
export interface CallView {
  readonly phase: CallPhase;
  readonly conversationId: string;
  readonly call: Call | undefined;
  /** The other side; empty only while idle. */
  readonly peerUserId: string;
  readonly video: boolean;
  /** The other side hears nothing: muted, or without a microphone. */
  readonly muted: boolean;
  readonly camera: MediaStreamTrack | undefined;
  readonly remote: Remote | undefined;
  readonly link: CallMedia["phase"];
  /** A readable line about what went wrong with the call itself. */
  readonly problem: string | undefined;
  /** A readable line about a camera or microphone that is not there. */
  readonly deviceProblem: string | undefined;
}

export interface CallsListener {
  onChange(): void;
  /** A line worth showing although no call window is open. */
  onNotice(line: string): void;
  onRing(ringing: boolean): void;
}

export type MediaFactory = (admission: Admission, listener: LinkListener) => CallMedia;

/** How long the reason of the end stays on the screen. */
const ENDED_SHOWN_MS = 3000;
const LEAVE_ATTEMPTS = 5;

/** The one call of this device: carries out what the state table says. */
export class Calls {
  private phase: CallPhase = "idle";
  private call: Call | undefined;
  private conversationId = "";
  private peerUserId = "";
  private video = false;
  private problem: string | undefined;
  private media: CallMedia | undefined;
  private grant: Grant | undefined;
  private clientCallId = "";
  private dismissal: ReturnType<typeof setTimeout> | undefined;
  /** Copies that came while a request of ours was on its way: they wait, since only its answer brings the grant. */
  private held: Call[] = [];
  /** Calls that the user left: an older copy must not bring them back. */
  private readonly left = new Set<string>();
  private readonly local: LocalSide;

  constructor(
    private readonly api: Api,
    private readonly selfId: string,
    private readonly deviceId: string,
    private readonly createMedia: MediaFactory,
    private readonly encryption: CallEncryption,
    private readonly listener: CallsListener,
  ) {
    this.local = new LocalSide(() => this.feedMedia());
  }

  view(): CallView {
    return {
      phase: this.phase,
      conversationId: this.conversationId,
      call: this.call,
      peerUserId: this.peerUserId,
      video: this.video,
      muted: this.local.muted || !this.local.microphone,
      camera: this.local.camera,
      remote: this.media?.remotes.find((r) => r.userId === this.peerUserId),
      link: this.media?.phase ?? "idle",
      problem: this.problem,
      deviceProblem: deviceLine(this.local.cameraProblem, this.local.microphoneProblem),
    };
  }

  /** Rings the other member of a direct conversation. Nothing happens while another call is on. */
  dial(conversationId: string, peerUserId: string, video: boolean): void {
    if (this.phase !== "idle" && this.phase !== "ended") return;
    this.open(conversationId, peerUserId, video, undefined);
    this.clientCallId = crypto.randomUUID();
    this.handle("dial");
  }

  /** Answers the ringing call, or returns to one that this page was closed in. */
  accept(video: boolean): void {
    this.video = video;
    this.handle("accept");
  }

  decline(): void {
    this.handle("decline");
  }

  hangUp(): void {
    this.handle("hang_up");
  }

  dismiss(): void {
    this.handle("dismiss");
  }

  async setMuted(muted: boolean): Promise<void> {
    await this.local.setMuted(muted);
  }

  async setCamera(on: boolean): Promise<void> {
    await this.local.setCamera(on);
  }

  hurry(): void {
    this.media?.hurry();
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    return this.media?.stats();
  }

  /** The call to hang up when the page closes. */
  openCallId(): string | undefined {
    const open: readonly CallPhase[] = ["calling", "accepting", "active"];
    return open.includes(this.phase) ? this.call?.id : undefined;
  }

  /** A copy of a call from the event stream. */
  receive(wire: WireCall): void {
    this.apply(readCall(wire));
  }

  /** After Ready and Resync: takes the calls that ring or run, and finds out how a vanished one ended. */
  async refresh(): Promise<void> {
    const { calls } = await this.api.calls.listActiveCalls({});
    for (const call of calls) this.receive(call);
    const own = this.call;
    if (!own || own.state === "ended" || calls.some((c) => c.callId === own.id)) return;
    const { call } = await this.api.calls.getCall({ callId: own.id });
    if (call) this.receive(call);
  }

  /** Ends everything on this side, without a word to the server. */
  close(): void {
    this.endMedia();
    this.listener.onRing(false);
    clearTimeout(this.dismissal);
    this.phase = "idle";
  }

  private apply(call: Call): void {
    if (this.phase === "starting" || this.phase === "accepting") {
      this.held.push(call);
      return;
    }
    const own = this.call?.id === call.id;
    if (own && call.version <= (this.call?.version ?? 0)) return;
    if (!own && (this.left.has(call.id) || (this.phase !== "idle" && this.phase !== "ended"))) return;
    const input = readInput(call, this.selfId, this.deviceId);
    if (!input) return;
    if (!own) {
      const startsHere = input === "offered" || input === "answered_here";
      if (!startsHere) return;
      const peer = call.participants.find((p) => p.userId !== this.selfId)?.userId ?? call.callerId;
      this.open(call.conversationId, peer, call.video, call);
    }
    const moved = own && call.mediaEpoch > (this.call?.mediaEpoch ?? 0);
    this.call = call;
    // The user has left already; what still comes only completes the record.
    if (this.left.has(call.id) && input !== "ended") return;
    this.handle(input);
    if (moved && input !== "ended") this.media?.move();
  }

  private open(conversationId: string, peerUserId: string, video: boolean, call: Call | undefined): void {
    clearTimeout(this.dismissal);
    this.call = call;
    this.conversationId = conversationId;
    this.peerUserId = peerUserId;
    this.video = video;
    this.problem = undefined;
    this.grant = undefined;
  }

  private handle(input: CallInput): void {
    const { next, effects } = stepCall(this.phase, input);
    this.phase = next;
    for (const effect of effects) this.carryOut(effect);
    this.listener.onChange();
  }

  private carryOut(effect: CallEffect): void {
    const effects: Record<CallEffect, () => void> = {
      start: () => void this.request(() => this.start()),
      send_accept: () => void this.request(() => this.sendAccept()),
      send_decline: () => this.leave((callId) => this.api.calls.declineCall({ callId })),
      send_leave: () => this.leave((callId) => this.api.calls.leaveCall({ callId, deviceId: this.deviceId })),
      renew_and_join: () => void this.request(() => this.renewAndJoin()),
      open_devices: () => void this.local.open(this.video),
      join_media: () => this.joinMedia(),
      close_media: () => this.endMedia(),
      ring: () => this.listener.onRing(true),
      stop_ring: () => this.listener.onRing(false),
      tell_elsewhere: () => this.tellElsewhere(),
      dismiss_later: () => this.dismissLater(),
    };
    effects[effect]();
  }

  /** Runs a request whose failure ends the call on this side. */
  private async request(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.failWith(readFailure(error));
    }
    const held = this.held;
    this.held = [];
    for (const call of held) this.apply(call);
  }

  private failWith(failure: Failure): void {
    this.problem = failure.line;
    this.handle("failed");
  }

  private async start(): Promise<void> {
    const { conversationId, video, deviceId, clientCallId } = this;
    const { call, grant } = await this.api.calls.startCall({ conversationId, video, deviceId, clientCallId });
    if (!call) throw new Error("no call in the answer");
    if (this.phase !== "starting" || this.clientCallId !== clientCallId) {
      this.leaveById(call.callId, (callId) => this.api.calls.leaveCall({ callId, deviceId }));
      return;
    }
    this.adopt(readCall(call), grant, "placed");
  }

  private async sendAccept(): Promise<void> {
    const callId = this.call?.id ?? "";
    const { call, grant } = await this.api.calls.acceptCall({ callId, deviceId: this.deviceId });
    if (call && this.phase === "accepting" && this.call?.id === callId) this.adopt(readCall(call), grant, "answered_here");
  }

  private async renewAndJoin(): Promise<void> {
    const callId = this.call?.id ?? "";
    const { grant } = await this.api.calls.renewMediaGrant({ callId, deviceId: this.deviceId });
    this.grant = grant;
    if (this.phase === "active" && this.call?.id === callId) this.joinMedia();
  }

  /** The answer to our own request: the only copy of a call that comes with a grant. */
  private adopt(call: Call, grant: MediaGrant | undefined, whenLive: CallInput): void {
    this.call = call;
    this.grant = grant;
    this.handle(call.state === "ended" ? "ended" : whenLive);
  }

  private joinMedia(): void {
    const grant = this.grant;
    const callId = this.call?.id;
    if (!grant || !callId) return;
    const { calls } = this.api;
    const admission: Admission = {
      renew: async () => {
        const renewed = (await calls.renewMediaGrant({ callId, deviceId: this.deviceId })).grant;
        if (!renewed) throw new Error("no grant in the answer");
        return renewed;
      },
      join: async (joinToken, sdpOffer) => (await calls.joinMedia({ joinToken, sdpOffer })).sdpAnswer,
      guard: () => this.encryption.guard(callId),
    };
    const media = this.createMedia(admission, {
      onChange: () => this.listener.onChange(),
      onRefused: (failure) => this.media === media && this.failWith(failure),
    });
    this.media = media;
    this.feedMedia();
    void this.local.opened().then(() => this.media === media && media.start(grant));
  }

  private feedMedia(): void {
    const { microphone, camera, muted } = this.local;
    this.media?.send({ microphone, camera, muted });
    this.listener.onChange();
  }

  private endMedia(): void {
    this.media?.close();
    this.media = undefined;
    this.local.close();
  }

  private leave(send: (callId: string) => Promise<unknown>): void {
    if (this.call) this.leaveById(this.call.id, send);
  }

  /** Tells the server until it knows: otherwise the other side would sit in an empty call. */
  private leaveById(callId: string, send: (callId: string) => Promise<unknown>): void {
    this.left.add(callId);
    const attempt = (count: number): void => {
      send(callId).catch((error: unknown) => {
        if (readFailure(error).transient && count < LEAVE_ATTEMPTS) setTimeout(() => attempt(count + 1), 1000 * 2 ** count);
      });
    };
    attempt(0);
  }

  private tellElsewhere(): void {
    const { call } = this;
    if (call?.state === "active") this.listener.onNotice("Answered on another device");
    if (call?.endReason === "declined") this.listener.onNotice("Declined on another device");
  }

  private dismissLater(): void {
    clearTimeout(this.dismissal);
    this.dismissal = setTimeout(() => this.dismiss(), ENDED_SHOWN_MS);
  }
}
