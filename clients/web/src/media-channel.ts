import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ChannelMessageSchema, ScreenState, type UnseenVideo, VideoSource } from "./gen/parley/sfu/v1/channel_pb.js";
import type { ReceiveQuality } from "./core/receive-quality.js";
import type { Slot, Unseen, UnseenPicture } from "./core/slots.js";
import type { WantedVideo } from "./sent-layers.js";

/** Messages of the SFU on the data channel. */
export interface ChannelListener {
  /** Who is where, and what cannot be shown for its format. */
  onSlots(slots: Slot[], unseen: Unseen): void;
  /** Who speaks now, the loudest first. */
  onSpeakers(userIds: string[]): void;
  /** Whether one of this participant's own legs is poor. */
  onQuality(weak: boolean): void;
  /** Which layers of this device's own camera anybody takes, and in which codec its videos are wanted. */
  onWantedVideo(wanted: WantedVideo): void;
}

/** A picture that this device wants to show. */
export interface VideoRequest {
  readonly userId: string;
  readonly screen: boolean;
  /** In pixels of the display; 0 for no limit. */
  readonly maxHeight: number;
  /** Before all that are not. */
  readonly pinned: boolean;
}

export interface MediaState {
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
  /** Whether the screen is shared: its picture may stand still, so that packets alone do not show it. */
  readonly sharing?: boolean;
}

/** The data channel to the SFU. Messages from before it opens are sent then; the last of each kind counts. */
export class MediaChannel {
  private state: MediaState = { audioMuted: false, videoMuted: true };
  private wanted: readonly [requests: readonly VideoRequest[], hidden: boolean] | undefined;

  constructor(
    private readonly channel: RTCDataChannel,
    listener: ChannelListener,
  ) {
    channel.binaryType = "arraybuffer";
    channel.onopen = () => {
      this.sendState(this.state);
      if (this.wanted) this.requestVideo(...this.wanted);
    };
    channel.onmessage = (event: MessageEvent<ArrayBuffer>) => read(event.data, listener);
  }

  /** Tells the others, through the SFU, what is muted. */
  sendState(state: MediaState): void {
    this.state = state;
    const { audioMuted, videoMuted, sharing } = state;
    const screen = sharing === undefined ? ScreenState.UNSPECIFIED : sharing ? ScreenState.ON : ScreenState.OFF;
    this.send({ message: { case: "mediaState", value: { audioMuted, videoMuted, screen } } });
  }

  /** Requests videos, each with its largest useful height. `hidden`: nothing is to be seen meanwhile. */
  requestVideo(videoRequests: readonly VideoRequest[], hidden: boolean): void {
    this.wanted = [videoRequests, hidden];
    const requests = videoRequests.map(({ screen, ...requestVideo }) => ({ ...requestVideo, source: screen ? VideoSource.SCREEN : VideoSource.CAMERA }));
    this.send({ message: { case: "setVideoSlots", value: { requests, hidden } } });
  }

  /** Says what the players saw since the last time. Before the channel is open it is of no use. */
  report({ frozen, concealed }: ReceiveQuality): void {
    this.send({ message: { case: "receiveQuality", value: { frozenRatio: frozen, concealedRatio: concealed } } });
  }

  close(): void {
    this.channel.onmessage = null;
  }

  private send(message: MessageInitShape<typeof ChannelMessageSchema>): void {
    if (this.channel.readyState !== "open") return;
    this.channel.send(toBinary(ChannelMessageSchema, create(ChannelMessageSchema, message)) as Uint8Array<ArrayBuffer>);
  }
}

function read(data: ArrayBuffer, listener: ChannelListener): void {
  const message = parse(data);
  switch (message?.case) {
    case "slotMap":
      return listener.onSlots(
        message.value.slots.map(({ mid, userId, muted, source }) => ({ mid, userId, muted, screen: source === VideoSource.SCREEN })),
        { of: message.value.unseen.map(readUnseen), by: message.value.unseenBy.map(readUnseen) },
      );
    case "activeSpeakers":
      return listener.onSpeakers(message.value.speakers.map(({ userId }) => userId));
    case "connectionQuality":
      return listener.onQuality(message.value.weak);
    case "wantedLayers":
      return listener.onWantedVideo({
        layers: message.value.layers.map(({ mid, rid, wanted }) => ({ mid, rid, wanted })),
        codecs: message.value.codecs.map(({ mid, payloadType }) => ({ mid, payloadType })),
      });
    default:
      return undefined;
  }
}

function readUnseen({ userId, source }: UnseenVideo): UnseenPicture {
  return { userId, screen: source === VideoSource.SCREEN };
}

function parse(data: ArrayBuffer) {
  try {
    return fromBinary(ChannelMessageSchema, new Uint8Array(data)).message;
  } catch {
    // A newer SFU may say things that this client does not know.
    return undefined;
  }
}
