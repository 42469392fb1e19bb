import { ActiveCalls } from "./active-calls.js";
import type { Api } from "./api.js";
import { CallActions } from "./call-actions.js";
import type { CallDevices, DeviceChoice, DeviceKind } from "./call-devices.js";
import { CallMediaSession, type MediaFactory } from "./call-media-session.js";
import { CallRequests } from "./call-requests.js";
import type { CallView } from "./call-view.js";
import type { Call } from "./core/model.js";
import type { CallEncryption } from "./encryption/call-encryption.js";
import type { Call as WireCall } from "./gen/parley/calls/v1/messages_pb.js";
import { LocalTracks } from "./local-tracks.js";
import type { VideoRequest } from "./media-channel.js";
import { type CallsListener, OwnCall } from "./own-call.js";
import { readCall } from "./wire.js";

/** What this user does with calls, and what the event stream says of them. This device is in one at most. */
export class Calls {
  private readonly activeCalls = new ActiveCalls();
  private readonly requests: CallRequests;
  private readonly media: CallMediaSession;
  private readonly own: OwnCall;
  /** Actions in the running call. */
  readonly actions: CallActions;

  constructor(
    private readonly api: Api,
    selfId: string,
    deviceId: string,
    createMedia: MediaFactory,
    encryption: CallEncryption,
    private readonly listener: CallsListener,
    private readonly devices: CallDevices,
  ) {
    this.media = new CallMediaSession(createMedia, () => listener.onChange(), (failure) => this.own.failWith(failure), devices);
    this.requests = new CallRequests(api, deviceId);
    this.own = new OwnCall(api, selfId, deviceId, this.requests, this.media, encryption, this.activeCalls, listener);
    this.actions = new CallActions(api, () => this.own.call?.id ?? "", (call) => this.receive(call));
  }

  view(): CallView {
    return this.own.view();
  }

  /** Whether this device is in a call, or rung. */
  get busy(): boolean {
    return this.own.busy;
  }

  /** The call that rings or runs in a conversation, wherever. */
  runningIn(conversationId: string): Call | undefined {
    return this.activeCalls.of(conversationId);
  }

  /** Rings the other member of a direct conversation, or with an empty `peerUserId` a group's members. Nothing happens while another call is on. */
  dial(conversationId: string, peerUserId: string, video: boolean): void {
    if (!this.busy) this.own.dial(conversationId, peerUserId, video);
  }

  /** Joins a group's running call, or takes over one that this user is in with another device. */
  join(call: Call, video: boolean): void {
    if (this.busy) return;
    this.requests.left.forget(call.id);
    this.own.enter(call, video, this.own.self(call)?.deviceId ? "take_over" : "join");
  }

  /** Answers the ringing call, or returns to one that this page was closed in. */
  accept(video: boolean): void {
    this.own.accept(video);
  }

  decline(): void {
    this.own.handle("decline");
  }

  hangUp(): void {
    this.own.handle("hang_up");
  }

  dismiss(): void {
    this.own.handle("dismiss");
  }

  /** Call waiting: a call that rings during the running one, for users who have it switched on. */
  waiting(): Call | undefined {
    return this.own.waiting();
  }

  /** Leaves the running call for the one that waits. */
  answerWaiting(video: boolean): void {
    const call = this.waiting();
    if (call) this.own.enter(call, video, "switch");
  }

  declineWaiting(): void {
    const call = this.waiting();
    if (call) this.requests.decline(call.id);
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
    return this.own.openId;
  }

  /** A copy of a call from the event stream. */
  receive(wire: WireCall): void {
    const call = readCall(wire);
    this.activeCalls.update(call);
    this.own.apply(call);
    this.listener.onChange();
  }

  /** After Ready and Resync: takes the calls that ring or run, and finds out how a vanished one ended. */
  async refresh(): Promise<void> {
    const { calls } = await this.api.calls.listActiveCalls({});
    this.activeCalls.replace(calls.map(readCall));
    for (const call of calls) this.receive(call);
    const own = this.own.call;
    if (!own || own.state === "ended" || calls.some((c) => c.callId === own.id)) return;
    const { call } = await this.api.calls.getCall({ callId: own.id });
    if (call) this.receive(call);
  }

  /** Ends everything on this side, without a word to the server. */
  close(): void {
    this.own.close();
  }
}
