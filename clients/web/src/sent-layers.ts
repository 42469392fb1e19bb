/** What the SFU says of one layer of this device's camera; `rid` is empty where there are no layers. */
export interface LayerState {
  readonly mid: string;
  readonly rid: string;
  /** Somebody takes it. */
  readonly wanted: boolean;
}

/** The codec that an own video is wanted in, by this device's payload type. */
export interface CodecState {
  readonly mid: string;
  readonly payloadType: number;
}

/** How the SFU wants this device's own videos. */
export interface WantedVideo {
  readonly layers: readonly LayerState[];
  readonly codecs: readonly CodecState[];
}

/** What browsers know and TypeScript does not yet. */
interface Encoding extends RTCRtpEncodingParameters {
  codec?: RTCRtpCodec;
  scalabilityMode?: string | undefined;
}
type Sender = Pick<RTCRtpSender, "getParameters" | "setParameters">;
type Connection = { getTransceivers(): { readonly mid: string | null; readonly sender: Sender }[] };

/** Of these Chromium sends the sizes in streams of their own only when a mode is asked for; each has three frame rates. */
const WITH_MODE = ["video/vp9", "video/av1"];
const THREE_RATES = "L1T3";

/** Lets the senders of a connection encode and send only what somebody takes, in the codec that all decode. */
export class SentLayers {
  private wanted: WantedVideo = { layers: [], codecs: [] };
  private turn: Promise<void> = Promise.resolve();

  constructor(private readonly connection: Connection) {}

  /** The newest word counts, as a whole. Settles when the browser has followed; one that cannot goes on as it was. */
  follow(wanted: WantedVideo): Promise<void> {
    this.wanted = wanted;
    // In turns: the parameters that a sender gives are good for one `setParameters`.
    this.turn = this.turn.then(() => this.apply());
    return this.turn;
  }

  private async apply(): Promise<void> {
    const { layers, codecs } = this.wanted;
    const named = new Set([...layers, ...codecs].map(({ mid }) => mid));
    for (const { mid, sender } of this.connection.getTransceivers()) {
      if (mid === null || !named.has(mid)) continue;
      // A browser that cannot change the codec follows the layers all the same.
      await this.applyTo(sender, mid, true).catch(() => this.applyTo(sender, mid, false)).catch(() => undefined);
    }
  }

  private async applyTo(sender: Sender, mid: string, withCodec: boolean): Promise<void> {
    const parameters = sender.getParameters();
    const before = parameters.encodings as Encoding[];
    const codec = withCodec ? this.codecOf(parameters, mid) : undefined;
    const hasMode = codec !== undefined && WITH_MODE.includes(codec.mimeType.toLowerCase());
    const encodings = before.map((encoding) => ({
      ...encoding,
      active: this.isWanted(mid, encoding.rid ?? ""),
      ...(codec && { codec, scalabilityMode: hasMode ? THREE_RATES : undefined }),
    }));
    if (encodings.some((encoding, index) => !isSame(encoding, before[index]))) {
      await sender.setParameters({ ...parameters, encodings });
    }
  }

  /** Undefined while the first of the answer, which browsers begin with, is wanted and was never left. */
  private codecOf({ codecs, encodings }: RTCRtpSendParameters, mid: string): RTCRtpCodecParameters | undefined {
    const payloadType = this.wanted.codecs.find((codec) => codec.mid === mid)?.payloadType;
    const codec = codecs.find((known) => known.payloadType === payloadType);
    const wasChanged = (encodings as Encoding[]).some((encoding) => encoding.codec);
    return codec === codecs[0] && !wasChanged ? undefined : codec;
  }

  private isWanted(mid: string, rid: string): boolean {
    return this.wanted.layers.find((layer) => layer.mid === mid && layer.rid === rid)?.wanted ?? true;
  }
}

function isSame(encoding: Encoding, before: Encoding | undefined): boolean {
  return (
    encoding.active === (before?.active ?? true) &&
    encoding.codec?.mimeType === before?.codec?.mimeType &&
    encoding.codec?.sdpFmtpLine === before?.codec?.sdpFmtpLine &&
    encoding.scalabilityMode === before?.scalabilityMode
  );
}
