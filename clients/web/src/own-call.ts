import type { ActiveCalls } from "./active-calls.js";
import type { Api } from "./api.js";
import type { CallMediaSession } from "./call-media-session.js";
import type { CallAnswer, CallRequests, SeatMethod } from "./call-requests.js";
import type { CallView } from "./call-view.js";
import type { CallEffect, CallInput, CallPhase } from "./core/call-state.js";
import { readCall as readInput, stepCall } from "./core/call-state.js";
import type { Call, CallParticipant } from "./core/model.js";
import { type Told, type UserMessage, userMessage } from "./core/user-messages.js";
import type { CallEncryption } from "./encryption/call-encryption.js";
import type { Failure } from "./errors.js";
import { readFailure } from "./errors.js";
import type { Grant } from "./media-connection.js";
import { mediaSignalingFor } from "./media-signaling.js";

export interface CallsListener {
  onChange(): void;
  /** Worth showing although no call window is open. */
  onNotice(notice: UserMessage): void;
  onRing(ringing: boolean): void;
}

/** How long the reason of the end stays on the screen. */
const ENDED_SHOWN_MS = 3000;
const BUSY: readonly CallPhase[] = ["starting", "calling", "ringing", "accepting", "active", "dropped"];
const OPEN: readonly CallPhase[] = ["calling", "accepting", "active"];

/** The one call of this device: carries out the effects of the state table. */
export class OwnCall {
  /** The newest copy of it; one that has ended until the next begins. */
  call: Call | undefined;
  private phase: CallPhase = "idle";
  private conversationId = "";
  private peerUserId = "";
  private group = false;
  private video = false;
  private problem: Told | undefined;
  private grant: Grant | undefined;
  private clientCallId = "";
  private dismissal: ReturnType<typeof setTimeout> | undefined;
  /** Copies of calls that arrived during a request of ours. They wait for its response, because only that carries the grant. */
  private pendingCopies: Call[] = [];

  constructor(
    private readonly api: Api,
    private readonly selfId: string,
    private readonly deviceId: string,
    private readonly requests: CallRequests,
    private readonly media: CallMediaSession,
    private readonly encryption: CallEncryption,
    private readonly activeCalls: ActiveCalls,
    private readonly listener: CallsListener,
  ) {}

  view(): CallView {
    const { phase, conversationId, call, group, peerUserId, video, problem } = this;
    return { phase, conversationId, call, group, peerUserId, video, ...this.mediaView(), problem };
  }

  private mediaView() {
    const { encryption, ...media } = this.media.view(this.peerUserId, this.phase === "active");
    const { protection, unable } = this.encryption.view;
    return { ...media, encryption: protection === "on" && encryption === "unreadable" ? encryption : protection, unable };
  }

  /** Whether this device is in a call, or rung. */
  get busy(): boolean {
    return BUSY.includes(this.phase);
  }

  /** The call to hang up when the page closes. */
  get openId(): string | undefined {
    return OPEN.includes(this.phase) ? this.call?.id : undefined;
  }

  dial(conversationId: string, peerUserId: string, video: boolean): void {
    this.open(conversationId, peerUserId, video, undefined);
    this.clientCallId = crypto.randomUUID();
    this.handle("dial");
  }

  /** A call that rings or runs becomes this device's. */
  enter(call: Call, video: boolean, input: CallInput): void {
    this.open(call.conversationId, this.peerOf(call), video, call);
    this.handle(input);
  }

  accept(video: boolean): void {
    this.video = video;
    this.handle("accept");
  }

  /** Call waiting: a call that rings during the running one. */
  waiting(): Call | undefined {
    return this.phase === "calling" || this.phase === "active" ? this.otherRinging() : undefined;
  }

  /** Ends everything on this side, without a word to the server. */
  close(): void {
    this.media.close();
    this.encryption.end();
    this.listener.onRing(false);
    clearTimeout(this.dismissal);
    this.phase = "idle";
  }

  /** A copy of a call, whichever it is. */
  apply(call: Call): void {
    if (this.phase === "starting" || this.phase === "accepting") {
      this.pendingCopies.push(call);
      return;
    }
    const own = this.call?.id === call.id;
    if (own && call.version <= (this.call?.version ?? 0)) return;
    if (!own && (this.requests.left.has(call.id) || this.busy)) return;
    const input = readInput(call, this.selfId, this.deviceId);
    if (!own) {
      const startsHere = input === "offered" || input === "answered_here";
      if (!startsHere) return;
      this.open(call.conversationId, this.peerOf(call), call.video, call);
    }
    const before = own ? this.call : undefined;
    this.call = call;
    // The user has left already; later copies only complete the record.
    if (this.requests.left.has(call.id) && input !== "ended") return;
    if (input === "removed") this.problem = userMessage("removed_from_call");
    if (input === "out") this.problem = userMessage("lost_too_long");
    this.handle(input);
    this.followKeys();
    if (before && this.phase === "active") this.follow(before, call);
  }

  handle(input: CallInput): void {
    const { next, effects } = stepCall(this.phase, input);
    this.phase = next;
    for (const effect of effects) this.carryOut(effect);
    // One that waited during the call that is over now rings like any other.
    const waited = this.busy ? undefined : this.otherRinging();
    if (waited) this.apply(waited);
    this.listener.onChange();
  }

  failWith(failure: Failure): void {
    this.problem = failure;
    this.handle("failed");
  }

  /** This user in a call. */
  self(call: Call): CallParticipant | undefined {
    return call.participants.find((p) => p.userId === this.selfId);
  }

  private peerOf(call: Call): string {
    return call.group ? "" : (call.participants.find((p) => p.userId !== this.selfId)?.userId ?? call.callerId);
  }

  /** Whoever is in the call now shares its keys. */
  private followKeys(): void {
    const { call } = this;
    const self = call && this.self(call);
    if (call && this.busy && self?.state === "joined" && self.deviceId === this.deviceId) this.encryption.follow(call);
  }

  /** What a newer copy of the running call asks of this device. */
  private follow(before: Call, call: Call): void {
    if (call.mediaEpoch > before.mediaEpoch) this.media.move();
    const asked = this.self(call)?.muteRequestTimeMs ?? 0;
    if (asked > (this.self(before)?.muteRequestTimeMs ?? 0)) this.media.muteByAdmin();
  }

  private open(conversationId: string, peerUserId: string, video: boolean, call: Call | undefined): void {
    clearTimeout(this.dismissal);
    this.call = call;
    this.conversationId = conversationId;
    this.peerUserId = peerUserId;
    this.group = peerUserId === "";
    this.video = video;
    this.media.forgetAdminMute();
    this.problem = undefined;
    this.grant = undefined;
  }

  private otherRinging(): Call | undefined {
    const call = this.activeCalls.ringing(this.selfId, this.call?.id ?? "");
    return call && !this.requests.left.has(call.id) ? call : undefined;
  }

  private carryOut(effect: CallEffect): void {
    const effects: Record<CallEffect, () => void> = {
      start: () => void this.request(this.start()),
      send_accept: () => void this.request(this.takeSeat("acceptCall")),
      send_join: () => void this.request(this.takeSeat("joinCall")),
      send_take_over: () => void this.request(this.takeSeat("takeOverCall")),
      send_decline: () => this.call && this.requests.decline(this.call.id),
      send_leave: () => this.call && this.requests.leave(this.call.id),
      renew_and_join: () => void this.request(this.renewAndJoin()),
      open_devices: () => this.media.openDevices(this.video),
      join_media: () => this.joinMedia(),
      close_media: () => {
        this.media.close();
        this.encryption.end();
      },
      ring: () => this.listener.onRing(true),
      stop_ring: () => this.listener.onRing(false),
      notify_elsewhere: () => this.notifyElsewhere(),
      notify_taken_over: () => this.listener.onNotice(userMessage("call_moved")),
      dismiss_later: () => this.dismissLater(),
    };
    effects[effect]();
  }

  /** A request whose failure ends the call on this side. */
  private async request(sent: Promise<void>): Promise<void> {
    try {
      await sent;
    } catch (error) {
      this.failWith(readFailure(error));
    }
    const pending = this.pendingCopies;
    this.pendingCopies = [];
    for (const call of pending) this.apply(call);
  }

  private async start(): Promise<void> {
    const { conversationId, video, clientCallId } = this;
    const answer = await this.requests.start(conversationId, video, clientCallId);
    if (this.phase === "starting" && this.clientCallId === clientCallId) this.takeAnswer(answer);
    else this.requests.leave(answer.call.id);
  }

  /** Takes a seat in the call for this device: by answering, joining or taking over. */
  private async takeSeat(method: SeatMethod): Promise<void> {
    const callId = this.call?.id ?? "";
    const answer = await this.requests.takeSeat(method, callId);
    if (answer && this.phase === "accepting" && this.call?.id === callId) this.takeAnswer(answer);
  }

  private async renewAndJoin(): Promise<void> {
    const callId = this.call?.id ?? "";
    this.grant = await this.requests.renewGrant(callId);
    if (this.phase === "active" && this.call?.id === callId) this.joinMedia();
  }

  private takeAnswer({ call, grant }: CallAnswer): void {
    this.activeCalls.update(call);
    this.call = call;
    this.grant = grant;
    this.handle(readInput(call, this.selfId, this.deviceId));
  }

  private joinMedia(): void {
    const grant = this.grant;
    const callId = this.call?.id;
    if (!grant || !callId) return;
    this.followKeys();
    this.media.join(grant, mediaSignalingFor(this.api, this.deviceId, callId, this.encryption));
  }

  private notifyElsewhere(): void {
    const { call } = this;
    if (call?.state === "active") this.listener.onNotice(userMessage("answered_elsewhere"));
    if (call?.endReason === "declined") this.listener.onNotice(userMessage("declined_elsewhere"));
  }

  private dismissLater(): void {
    clearTimeout(this.dismissal);
    this.dismissal = setTimeout(() => this.handle("dismiss"), ENDED_SHOWN_MS);
  }
}
