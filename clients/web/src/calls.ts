import type { Call as WireCall, MediaGrant } from "./gen/parley/calls/v1/messages_pb.js";
import { mediaSignalingFor } from "./media-signaling.js";
import type { Api } from "./api.js";
import { CallActions } from "./call-actions.js";
import { ActiveCalls } from "./active-calls.js";
import type { CallDevices, DeviceChoice, DeviceKind } from "./call-devices.js";
import { CallMediaSession, type MediaFactory } from "./call-media-session.js";
import type { CallView } from "./call-view.js";
import type { CallEffect, CallInput, CallPhase } from "./core/call-state.js";
import { readCall as readInput, stepCall } from "./core/call-state.js";
import type { Call, CallParticipant } from "./core/model.js";
import { type Told, type UserMessage, userMessage } from "./core/user-messages.js";
import { LeftCalls } from "./left-calls.js";
import { LocalTracks } from "./local-tracks.js";
import type { CallEncryption } from "./encryption/call-encryption.js";
import type { Failure } from "./errors.js";
import { readFailure } from "./errors.js";
import type { VideoRequest } from "./media-channel.js";
import type { Grant } from "./media-connection.js";
import { readCall } from "./wire.js";

export interface CallsListener {
  onChange(): void;
  /** Worth showing although no call window is open. */
  onNotice(notice: UserMessage): void;
  onRing(ringing: boolean): void;
}

/** How long the reason of the end stays on the screen. */
const ENDED_SHOWN_MS = 3000;
const BUSY: readonly CallPhase[] = ["starting", "calling", "ringing", "accepting", "active", "dropped"];

/** The one call of this device: carries out the effects of the state table. */
export class Calls {
  private phase: CallPhase = "idle";
  private call: Call | undefined;
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
  private readonly leftCalls = new LeftCalls();
  private readonly activeCalls = new ActiveCalls();
  private readonly media: CallMediaSession;
  /** Actions in the running call. */
  readonly actions: CallActions;

  constructor(
    private readonly api: Api,
    private readonly selfId: string,
    private readonly deviceId: string,
    createMedia: MediaFactory,
    private readonly encryption: CallEncryption,
    private readonly listener: CallsListener,
    private readonly devices: CallDevices,
  ) {
    this.media = new CallMediaSession(createMedia, () => listener.onChange(), (failure) => this.failWith(failure), devices);
    this.actions = new CallActions(api, () => this.call?.id ?? "", (call) => this.receive(call));
  }

  view(): CallView {
    return {
      phase: this.phase,
      conversationId: this.conversationId,
      call: this.call,
      group: this.group,
      peerUserId: this.peerUserId,
      video: this.video,
      ...this.mediaView(),
      problem: this.problem,
    };
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

  /** The call that rings or runs in a conversation, wherever. */
  runningIn(conversationId: string): Call | undefined {
    return this.activeCalls.of(conversationId);
  }

  /** Rings the other member of a direct conversation, or with an empty `peerUserId` a group's members. Nothing happens while another call is on. */
  dial(conversationId: string, peerUserId: string, video: boolean): void {
    if (this.busy) return;
    this.open(conversationId, peerUserId, video, undefined);
    this.clientCallId = crypto.randomUUID();
    this.handle("dial");
  }

  /** Joins a group's running call, or moves a call that this user is in with another device to this one. */
  join(call: Call, video: boolean): void {
    if (this.busy) return;
    this.leftCalls.forget(call.id);
    this.open(call.conversationId, this.peerOf(call), video, call);
    this.handle(this.self(call)?.deviceId ? "take_over" : "join");
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

  /** Call waiting: a call that rings during the running one, for users who have it switched on. */
  waiting(): Call | undefined {
    if (this.phase !== "calling" && this.phase !== "active") return undefined;
    return this.otherRinging();
  }

  /** Leaves the running call for the one that waits. */
  answerWaiting(video: boolean): void {
    const call = this.waiting();
    if (!call) return;
    this.open(call.conversationId, this.peerOf(call), video, call);
    this.handle("switch");
  }

  declineWaiting(): void {
    const callId = this.waiting()?.id;
    if (callId) this.leftCalls.leave(callId, () => this.api.calls.declineCall({ callId }));
    this.listener.onChange();
  }

  setMuted(muted: boolean): Promise<void> {
    return this.media.setMuted(muted);
  }

  setCamera(on: boolean): Promise<void> {
    return this.media.setCamera(on);
  }

  /** What calls use in this browser. */
  get deviceChoice(): DeviceChoice {
    return this.devices.choice;
  }

  /** Uses another device from now on, also in the call that runs; an empty id leaves it to the browser. The page has to play sound on the speaker itself. */
  async chooseDevice(kind: DeviceKind, deviceId: string): Promise<void> {
    this.devices.choose(kind, deviceId);
    this.listener.onChange();
    if (kind !== "speaker") await this.media.reopen(kind);
  }

  /** Opens the chosen microphone and camera to look at before a call. Whoever asked closes it again. */
  preview(changed: () => void): LocalTracks {
    const tracks = new LocalTracks(this.devices, changed);
    void tracks.open(true);
    return tracks;
  }

  setScreen(on: boolean): Promise<void> {
    return this.media.setScreen(on);
  }

  /** Requests videos, each with its largest useful height. */
  requestVideo(videoRequests: readonly VideoRequest[]): void {
    this.media.requestVideo(videoRequests);
  }

  /** Nobody sees the page. */
  setHidden(hidden: boolean): void {
    this.media.setHidden(hidden);
  }

  /** The user has seen that an admin muted this device. */
  dismissAdminMute(): void {
    this.media.forgetAdminMute();
    this.listener.onChange();
  }

  /** Whatever waits for its next attempt makes it now. */
  retryNow(): void {
    this.media.retryNow();
  }

  stats(): Promise<RTCStatsReport | undefined> {
    return this.media.stats();
  }

  /** The call to hang up when the page closes. */
  openCallId(): string | undefined {
    const open: readonly CallPhase[] = ["calling", "accepting", "active"];
    return open.includes(this.phase) ? this.call?.id : undefined;
  }

  /** A copy of a call from the event stream. */
  receive(wire: WireCall): void {
    const call = readCall(wire);
    this.activeCalls.update(call);
    this.apply(call);
    this.listener.onChange();
  }

  /** After Ready and Resync: takes the calls that ring or run, and finds out how a vanished one ended. */
  async refresh(): Promise<void> {
    const { calls } = await this.api.calls.listActiveCalls({});
    this.activeCalls.replace(calls.map(readCall));
    for (const call of calls) this.receive(call);
    const own = this.call;
    if (!own || own.state === "ended" || calls.some((c) => c.callId === own.id)) return;
    const { call } = await this.api.calls.getCall({ callId: own.id });
    if (call) this.receive(call);
  }

  /** Ends everything on this side, without a word to the server. */
  close(): void {
    this.media.close();
    this.encryption.end();
    this.listener.onRing(false);
    clearTimeout(this.dismissal);
    this.phase = "idle";
  }

  private apply(call: Call): void {
    if (this.phase === "starting" || this.phase === "accepting") {
      this.pendingCopies.push(call);
      return;
    }
    const own = this.call?.id === call.id;
    if (own && call.version <= (this.call?.version ?? 0)) return;
    if (!own && (this.leftCalls.has(call.id) || this.busy)) return;
    const input = readInput(call, this.selfId, this.deviceId);
    if (!own) {
      const startsHere = input === "offered" || input === "answered_here";
      if (!startsHere) return;
      this.open(call.conversationId, this.peerOf(call), call.video, call);
    }
    const before = own ? this.call : undefined;
    this.call = call;
    // The user has left already; later copies only complete the record.
    if (this.leftCalls.has(call.id) && input !== "ended") return;
    if (input === "removed") this.problem = userMessage("removed_from_call");
    if (input === "out") this.problem = userMessage("lost_too_long");
    this.handle(input);
    this.followKeys();
    if (before && this.phase === "active") this.follow(before, call);
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

  private self(call: Call): CallParticipant | undefined {
    return call.participants.find((p) => p.userId === this.selfId);
  }

  private peerOf(call: Call): string {
    return call.group ? "" : (call.participants.find((p) => p.userId !== this.selfId)?.userId ?? call.callerId);
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

  private handle(input: CallInput): void {
    const { next, effects } = stepCall(this.phase, input);
    this.phase = next;
    for (const effect of effects) this.carryOut(effect);
    // One that waited during the call that is over now rings like any other.
    const waited = this.busy ? undefined : this.otherRinging();
    if (waited) this.apply(waited);
    this.listener.onChange();
  }

  private otherRinging(): Call | undefined {
    const call = this.activeCalls.ringing(this.selfId, this.call?.id ?? "");
    return call && !this.leftCalls.has(call.id) ? call : undefined;
  }

  private carryOut(effect: CallEffect): void {
    const effects: Record<CallEffect, () => void> = {
      start: () => void this.request(() => this.start()),
      send_accept: () => void this.request(() => this.requestGrant((key) => this.api.calls.acceptCall(key))),
      send_join: () => void this.request(() => this.requestGrant((key) => this.api.calls.joinCall(key))),
      send_take_over: () => void this.request(() => this.requestGrant((key) => this.api.calls.takeOverCall(key))),
      send_decline: () => this.leave((callId) => this.api.calls.declineCall({ callId })),
      send_leave: () => this.leave((callId, clientRequestId) => this.api.calls.leaveCall({ callId, deviceId: this.deviceId, clientRequestId })),
      renew_and_join: () => void this.request(() => this.renewAndJoin()),
      open_devices: () => this.media.openDevices(this.video),
      join_media: () => this.joinMedia(),
      close_media: () => {
        this.media.close();
        this.encryption.end();
      },
      ring: () => this.listener.onRing(true),
      stop_ring: () => this.listener.onRing(false),
      notify_elsewhere: () => this.notifyElsewhere(),
      notify_moved: () => this.listener.onNotice(userMessage("call_moved")),
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
    const pending = this.pendingCopies;
    this.pendingCopies = [];
    for (const call of pending) this.apply(call);
  }

  private failWith(failure: Failure): void {
    this.problem = failure;
    this.handle("failed");
  }

  private async start(): Promise<void> {
    const { conversationId, video, deviceId, clientCallId } = this;
    const { call, grant } = await this.api.calls.startCall({ conversationId, video, deviceId, clientCallId });
    if (!call) throw new Error("no call in the answer");
    if (this.phase !== "starting" || this.clientCallId !== clientCallId) {
      const { callId } = call;
      const clientRequestId = crypto.randomUUID();
      this.leftCalls.leave(callId, () => this.api.calls.leaveCall({ callId, deviceId, clientRequestId }));
      return;
    }
    this.takeAnswer(readCall(call), grant);
  }

  /** Takes a seat in the call for this device: by answering, joining or taking over. */
  private async requestGrant(send: (key: { callId: string; deviceId: string; clientRequestId: string }) => Promise<{ call?: WireCall | undefined; grant?: MediaGrant | undefined }>): Promise<void> {
    const callId = this.call?.id ?? "";
    const { call, grant } = await send({ callId, deviceId: this.deviceId, clientRequestId: crypto.randomUUID() });
    if (call && this.phase === "accepting" && this.call?.id === callId) this.takeAnswer(readCall(call), grant);
  }

  private async renewAndJoin(): Promise<void> {
    const callId = this.call?.id ?? "";
    const { grant } = await this.api.calls.renewMediaGrant({ callId, deviceId: this.deviceId });
    this.grant = grant;
    if (this.phase === "active" && this.call?.id === callId) this.joinMedia();
  }

  /** The response to our own request: the only copy of a call that carries a grant. */
  private takeAnswer(call: Call, grant: MediaGrant | undefined): void {
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

  /** Told again until it is heard, and known again by the server: a late one must not hang up a call that was joined anew. */
  private leave(send: (callId: string, clientRequestId: string) => Promise<unknown>): void {
    const callId = this.call?.id;
    const clientRequestId = crypto.randomUUID();
    if (callId) this.leftCalls.leave(callId, () => send(callId, clientRequestId));
  }

  private notifyElsewhere(): void {
    const { call } = this;
    if (call?.state === "active") this.listener.onNotice(userMessage("answered_elsewhere"));
    if (call?.endReason === "declined") this.listener.onNotice(userMessage("declined_elsewhere"));
  }

  private dismissLater(): void {
    clearTimeout(this.dismissal);
    this.dismissal = setTimeout(() => this.dismiss(), ENDED_SHOWN_MS);
  }
}
