import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ChannelMessageSchema } from "../gen/parley/sfu/v1/channel_pb";
import type { Slot } from "./core/slots";
import type { FrameGuard } from "./encryption/call-encryption";

export interface PeerListener {
  onConnection(state: RTCPeerConnectionState): void;
  onSlots(slots: Slot[]): void;
  /** Packets began, or ceased, to come on some receive slot. */
  onMedia(): void;
}

/** Lowest layer first, as the SFU expects them. The bit rates are those at which VP8 looks clean at each size. */
const SIMULCAST: RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];

/**
 * One peer connection to the SFU: own audio and video, then the receive slots, then the data channel.
 *
 * It is negotiated once. Tracks come and go by `replaceTrack`, which needs no new offer.
 */
export class Peer {
  readonly connection: RTCPeerConnection;
  private readonly audio: RTCRtpSender;
  private readonly video: RTCRtpSender;
  private readonly channel: RTCDataChannel;
  private mediaState = { audioMuted: false, videoMuted: true };

  constructor(
    slots: { readonly audio: number; readonly video: number },
    iceServers: readonly RTCIceServer[],
    listener: PeerListener,
    private readonly guard?: FrameGuard,
  ) {
    const connection = new RTCPeerConnection({ iceServers: [...iceServers], bundlePolicy: "max-bundle" });
    this.connection = connection;
    this.audio = connection.addTransceiver("audio", { direction: "sendonly" }).sender;
    this.video = connection.addTransceiver("video", { direction: "sendonly", sendEncodings: SIMULCAST }).sender;
    for (let i = 0; i < slots.audio; i++) connection.addTransceiver("audio", { direction: "recvonly" });
    for (let i = 0; i < slots.video; i++) connection.addTransceiver("video", { direction: "recvonly" });
    guard?.protect(connection);
    this.channel = connection.createDataChannel("parley", { negotiated: true, id: 0 });
    this.channel.binaryType = "arraybuffer";
    this.channel.onopen = () => this.sendMediaState();
    this.channel.onmessage = (event: MessageEvent<ArrayBuffer>) => {
      const slotsNow = readSlots(event.data);
      if (slotsNow) listener.onSlots(slotsNow);
    };
    for (const { receiver } of connection.getTransceivers()) {
      receiver.track.onunmute = () => listener.onMedia();
      receiver.track.onmute = () => listener.onMedia();
    }
    connection.onconnectionstatechange = () => listener.onConnection(connection.connectionState);
  }

  /** The SDP offer. The SFU is ICE-lite and answers with its one address, so candidates are not awaited. */
  async offer(): Promise<string> {
    await this.connection.setLocalDescription(await this.connection.createOffer());
    return this.connection.localDescription?.sdp ?? "";
  }

  async answer(sdp: string): Promise<void> {
    await this.connection.setRemoteDescription({ type: "answer", sdp });
  }

  async setTracks(microphone: MediaStreamTrack | null, camera: MediaStreamTrack | null): Promise<void> {
    if (this.connection.signalingState === "closed") return;
    await Promise.all([this.audio.replaceTrack(microphone), this.video.replaceTrack(camera)]);
  }

  /** Tells the other side, through the SFU, what is muted; kept until the channel opens. */
  setMediaState(audioMuted: boolean, videoMuted: boolean): void {
    this.mediaState = { audioMuted, videoMuted };
    if (this.channel.readyState === "open") this.sendMediaState();
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
    this.channel.onmessage = null;
    this.connection.close();
    this.guard?.release();
  }

  private sendMediaState(): void {
    const message = create(ChannelMessageSchema, { message: { case: "mediaState", value: this.mediaState } });
    this.channel.send(toBinary(ChannelMessageSchema, message) as Uint8Array<ArrayBuffer>);
  }
}

function readSlots(data: ArrayBuffer): Slot[] | undefined {
  try {
    const { message } = fromBinary(ChannelMessageSchema, new Uint8Array(data));
    if (message.case !== "slotMap") return undefined;
    return message.value.slots.map(({ mid, userId, muted }) => ({ mid, userId, muted }));
  } catch {
    // A newer SFU may say things that this client does not know.
    return undefined;
  }
}
