import type { CallDevices } from "./call-devices.js";
import type { CallView } from "./call-view.js";
import { ALL_SEEN } from "./core/slots.js";
import { deviceProblems } from "./core/user-messages.js";
import type { Failure } from "./errors.js";
import { LocalTracks } from "./local-tracks.js";
import type { VideoRequest } from "./media-channel.js";
import type { CallMedia, ConnectionListener, Grant, MediaSignaling } from "./media-connection.js";

export type MediaFactory = (signaling: MediaSignaling, listener: ConnectionListener) => CallMedia;

/** The part of the view that is about media. */
type MediaView = Omit<CallView, "phase" | "conversationId" | "call" | "group" | "peerUserId" | "video" | "problem" | "encryption" | "unable"> & Pick<CallMedia, "encryption">;

/** The media of this device's call: its microphone, camera and screen, and the connection that carries them. */
export class CallMediaSession {
  private connection: CallMedia | undefined;
  private mutedByAdmin = false;
  private videoRequests: readonly VideoRequest[] = [];
  /** The page is: also between calls. */
  private hidden = false;
  private readonly local: LocalTracks;

  constructor(
    private readonly createMedia: MediaFactory,
    private readonly changed: () => void,
    /** The control plane lets this device into the media no more. */
    private readonly onRefused: (failure: Failure) => void,
    devices: CallDevices,
  ) {
    this.local = new LocalTracks(devices, () => this.sendTracks());
  }

  /** `active`: the call runs, so that a poor network is worth a line. */
  view(peerUserId: string, active: boolean): MediaView {
    const { connection, local } = this;
    return {
      muted: local.muted || !local.microphone,
      mutedByAdmin: this.mutedByAdmin,
      microphone: local.microphone,
      camera: local.camera,
      screen: local.screen,
      remotes: connection?.remotes ?? [],
      remote: connection?.remotes.find((remote) => remote.userId === peerUserId),
      speakers: connection?.speakers ?? [],
      weak: active && (connection?.weak ?? false),
      encryption: connection?.encryption ?? "off",
      unseen: connection?.unseen ?? ALL_SEEN,
      connection: connection?.phase ?? "idle",
      deviceProblem: deviceProblems(local.cameraProblem, local.microphoneProblem),
    };
  }

  openDevices(video: boolean): void {
    void this.local.open(video);
  }

  /** Connects as soon as the devices are there, or known to be missing. */
  join(grant: Grant, signaling: MediaSignaling): void {
    const connection = this.createMedia(signaling, {
      onChange: () => this.changed(),
      onRefused: (failure) => this.connection === connection && this.onRefused(failure),
    });
    this.connection = connection;
    this.sendTracks();
    if (this.hidden) this.sendRequests();
    void this.local.opened().then(() => this.connection === connection && connection.start(grant));
  }

  /** The call has moved to another worker. */
  move(): void {
    this.connection?.move();
  }

  /** Ends the connection and frees the devices. */
  close(): void {
    this.connection?.close();
    this.connection = undefined;
    this.videoRequests = [];
    this.local.close();
  }

  async setMuted(muted: boolean): Promise<void> {
    this.mutedByAdmin = false;
    await this.local.setMuted(muted);
  }

  /** An admin asked for silence; unmuting is the user's own choice. */
  muteByAdmin(): void {
    if (this.local.muted) return;
    void this.local.setMuted(true);
    this.mutedByAdmin = true;
    this.changed();
  }

  forgetAdminMute(): void {
    this.mutedByAdmin = false;
  }

  setCamera(on: boolean): Promise<void> {
    return this.local.setCamera(on);
  }

  /** Another device was chosen: a call that runs goes over to it. */
  reopen(kind: "microphone" | "camera"): Promise<void> {
    return this.local.reopen(kind);
  }

  setScreen(on: boolean): Promise<void> {
    return this.local.setScreen(on);
  }

  requestVideo(videoRequests: readonly VideoRequest[]): void {
    this.videoRequests = videoRequests;
    this.sendRequests();
  }

  /** Nobody sees the page: no pictures are wanted, and the sound goes on. Once it is seen, what was interrupted is there again. */
  setHidden(hidden: boolean): void {
    if (hidden === this.hidden) return;
    this.hidden = hidden;
    this.sendRequests();
    if (!hidden) void this.local.recover();
  }

  retryNow(): void {
    this.connection?.retryNow();
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    return this.connection?.stats();
  }

  private sendRequests(): void {
    this.connection?.requestVideo(this.videoRequests, this.hidden);
  }

  private sendTracks(): void {
    const { microphone, camera, screen, screenSound, muted } = this.local;
    this.connection?.send({ microphone, camera, screen, screenSound, muted });
    this.changed();
  }
}
