import type { MediaFactory } from "./call-media-session.js";
import { ALL_SEEN } from "./core/slots.js";
import type { CallMedia, ConnectionListener, Grant, MediaSignaling, OutgoingMedia } from "./media-connection.js";
import { RetryingTask } from "./retrying-task.js";
import type { VideoRequest } from "./media-channel.js";

/** Brings the code of media connections; asked again, it is there already. */
export type MediaLoader = () => Promise<MediaFactory>;

/** WebRTC and all that belongs to it, which a page without calls never loads. */
export const loadMedia: MediaLoader = async () => {
  const { MediaConnection } = await import("./media-connection.js");
  return (signaling, listener) => new MediaConnection(signaling, listener);
};

/**
 * The media of a call whose code may still have to be loaded. What it is told until then waits; what cannot be loaded is
 * tried again for as long as the call lasts.
 */
export class LazyMedia implements CallMedia {
  private media: CallMedia | undefined;
  private grant: Grant | undefined;
  private sending: OutgoingMedia | undefined;
  private wanted: Parameters<CallMedia["requestVideo"]> | undefined;
  private closed = false;
  private readonly loading: RetryingTask;

  constructor(
    load: MediaLoader,
    private readonly signaling: MediaSignaling,
    private readonly listener: ConnectionListener,
  ) {
    this.loading = new RetryingTask(async () => this.begin(await load()));
    this.loading.start();
  }

  get phase(): CallMedia["phase"] {
    if (this.media) return this.media.phase;
    if (this.closed) return "closed";
    return this.grant ? "joining" : "idle";
  }

  get remotes(): CallMedia["remotes"] {
    return this.media?.remotes ?? [];
  }

  get speakers(): readonly string[] {
    return this.media?.speakers ?? [];
  }

  get weak(): boolean {
    return this.media?.weak ?? false;
  }

  get encryption(): CallMedia["encryption"] {
    return this.media?.encryption ?? "off";
  }

  get unseen(): CallMedia["unseen"] {
    return this.media?.unseen ?? ALL_SEEN;
  }

  start(grant: Grant): void {
    this.grant = grant;
    this.media?.start(grant);
  }

  retryNow(): void {
    if (this.media) this.media.retryNow();
    else if (!this.closed) this.loading.start();
  }

  /** Before there is a connection, the grant leads to wherever the call is by then, or is asked for anew. */
  move(): void {
    this.media?.move();
  }

  send(sending: OutgoingMedia): void {
    this.sending = sending;
    this.media?.send(sending);
  }

  requestVideo(videoRequests: readonly VideoRequest[], hidden: boolean): void {
    this.wanted = [videoRequests, hidden];
    this.media?.requestVideo(videoRequests, hidden);
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    return this.media?.stats();
  }

  close(): void {
    this.closed = true;
    this.loading.cancel();
    this.media?.close();
  }

  private begin(create: MediaFactory): void {
    if (this.closed || this.media) return;
    this.media = create(this.signaling, this.listener);
    if (this.sending) this.media.send(this.sending);
    if (this.wanted) this.media.requestVideo(...this.wanted);
    if (this.grant) this.media.start(this.grant);
    this.listener.onChange();
  }
}
