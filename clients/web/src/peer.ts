import { withStereo } from "./core/stereo.js";
import type { FrameCryptor } from "./encryption/call-encryption.js";
import { offerDescriptors } from "./header-extensions.js";
import { type ChannelListener, MediaChannel } from "./media-channel.js";
import { ReceiveQualityReporter } from "./receive-quality-reporter.js";
import { SentLayers } from "./sent-layers.js";

export interface PeerListener extends Omit<ChannelListener, "onWantedVideo"> {
  onConnection(state: RTCPeerConnectionState): void;
  /** Packets began or ceased to arrive on a receive slot. */
  onMedia(): void;
  /** On an encrypted connection: whether everything received can be decrypted. */
  onReadable(readable: boolean): void;
}

/** Lowest layer first, as the SFU expects them. The bit rates are those at which VP8 looks clean at each size. */
const SIMULCAST: RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];
/** Text must stay sharp; most of the time a screen stands still and takes little. */
const SCREEN: RTCRtpEncodingParameters[] = [{ maxBitrate: 2_500_000 }];
/** Music in stereo. */
const SCREEN_SOUND: RTCRtpEncodingParameters[] = [{ maxBitrate: 96_000 }];
/** The m-lines of its own: microphone, camera, screen, the screen's sound. */
const OWN_LINES = 4;

export interface Tracks {
  readonly microphone: MediaStreamTrack | undefined;
  readonly camera: MediaStreamTrack | undefined;
  readonly screen: MediaStreamTrack | undefined;
  readonly screenSound: MediaStreamTrack | undefined;
}

/**
 * One peer connection to the SFU: own audio, camera, screen and its sound, then the receive slots, then the data channel.
 *
 * It is negotiated once. Tracks come and go by `replaceTrack`, which needs no new offer.
 */
export class Peer {
  readonly connection: RTCPeerConnection;
  private readonly audio: RTCRtpSender;
  private readonly video: RTCRtpSender;
  private readonly screen: RTCRtpSender;
  private readonly screenSound: RTCRtpSender;
  readonly channel: MediaChannel;
  private readonly reports: ReceiveQualityReporter;

  constructor(
    private readonly slots: { readonly audio: number; readonly video: number },
    iceServers: readonly RTCIceServer[],
    listener: PeerListener,
    private readonly cryptor?: FrameCryptor,
  ) {
    const connection = new RTCPeerConnection({ iceServers: [...iceServers], bundlePolicy: "max-bundle" });
    this.connection = connection;
    this.audio = connection.addTransceiver("audio", { direction: "sendonly" }).sender;
    this.video = connection.addTransceiver("video", { direction: "sendonly", sendEncodings: SIMULCAST }).sender;
    this.screen = connection.addTransceiver("video", { direction: "sendonly", sendEncodings: SCREEN }).sender;
    this.screenSound = connection.addTransceiver("audio", { direction: "sendonly", sendEncodings: SCREEN_SOUND }).sender;
    offerDescriptors(connection.getTransceivers());
    // One more, for the sound of somebody's screen.
    for (let i = 0; i <= slots.audio; i++) connection.addTransceiver("audio", { direction: "recvonly" });
    for (let i = 0; i < slots.video; i++) connection.addTransceiver("video", { direction: "recvonly" });
    cryptor?.attach(connection, (readable) => listener.onReadable(readable));
    const sent = new SentLayers(connection);
    const channel = connection.createDataChannel("parley", { negotiated: true, id: 0 });
    this.channel = new MediaChannel(channel, { ...listener, onWantedVideo: (wanted) => void sent.follow(wanted) });
    this.reports = new ReceiveQualityReporter(connection, (seen) => this.channel.report(seen));
    for (const { receiver } of connection.getTransceivers()) {
      receiver.track.onunmute = () => listener.onMedia();
      receiver.track.onmute = () => listener.onMedia();
    }
    connection.onconnectionstatechange = () => listener.onConnection(connection.connectionState);
  }

  /** Whether what it sends and receives is encrypted end to end. */
  get isEncrypted(): boolean {
    return this.cryptor !== undefined;
  }

  /** The SDP offer. The SFU is ICE-lite and answers with its one address, so candidates are not awaited. */
  async offer(): Promise<string> {
    const made = await this.connection.createOffer();
    const stereo = withStereo(made.sdp ?? "", { sent: OWN_LINES - 1, received: OWN_LINES + this.slots.audio });
    // A browser that takes no other offer than its own plays and sends the sound of screens in mono.
    await this.connection.setLocalDescription({ type: "offer", sdp: stereo }).catch(() => this.connection.setLocalDescription(made));
    return this.connection.localDescription?.sdp ?? "";
  }

  async answer(sdp: string): Promise<void> {
    await this.connection.setRemoteDescription({ type: "answer", sdp });
  }

  async setTracks({ microphone, camera, screen, screenSound }: Tracks): Promise<void> {
    if (this.connection.signalingState === "closed") return;
    const pairs = [[this.audio, microphone], [this.video, camera], [this.screen, screen], [this.screenSound, screenSound]] as const;
    await Promise.all(pairs.map(([sender, track]) => sender.replaceTrack(track ?? null)));
  }

  /** What each MID of the offer carries. */
  kinds(): Map<string, "audio" | "video"> {
    const kinds = new Map<string, "audio" | "video">();
    for (const { mid, receiver } of this.connection.getTransceivers()) {
      if (mid !== null) kinds.set(mid, receiver.track.kind === "audio" ? "audio" : "video");
    }
    return kinds;
  }

  track(mid: string | undefined): MediaStreamTrack | undefined {
    return mid === undefined ? undefined : this.connection.getTransceivers().find((t) => t.mid === mid)?.receiver.track;
  }

  close(): void {
    this.connection.onconnectionstatechange = null;
    this.reports.stop();
    this.channel.close();
    this.connection.close();
    this.cryptor?.release();
  }
}
