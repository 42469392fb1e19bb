import type { CallCryptor } from "./call-session.js";
import type { FrameKeys } from "./frame-keys.js";
import type { FrameRole } from "./frame-transform.js";
import type { ReadableMessage } from "./frame-worker.js";

/** Frames are encrypted and decrypted in a worker of the connection's own. */
export class WorkerFrameCryptor implements CallCryptor {
  // Written out like this, so that bundlers see that it is a worker.
  private readonly worker = new Worker(new URL("./frame-worker.js", import.meta.url), { type: "module" });

  constructor(
    /** A number that no stream of the call had before. */
    private readonly nextStream: () => number,
    private readonly onReleased: (cryptor: CallCryptor) => void,
  ) {}

  /** These hold from now on. */
  update(keys: FrameKeys): void {
    this.worker.postMessage(keys);
  }

  attach(connection: RTCPeerConnection, onReadable: (readable: boolean) => void): void {
    const unreadable = new Set<number>();
    this.worker.onmessage = ({ data }: MessageEvent<ReadableMessage>) => {
      if (data.readable) unreadable.delete(data.slot);
      else unreadable.add(data.slot);
      onReadable(unreadable.size === 0);
    };
    const transform = (role: FrameRole): RTCRtpScriptTransform => new RTCRtpScriptTransform(this.worker, role);
    for (const transceiver of connection.getTransceivers()) {
      const mimeType = onlyKnownCodecs(transceiver);
      if (transceiver.direction === "sendonly") transceiver.sender.transform = transform({ role: "encrypt", stream: this.nextStream(), mimeType });
      else transceiver.receiver.transform = transform({ role: "decrypt" });
    }
  }

  release(): void {
    this.worker.terminate();
    this.onReleased(this);
  }
}

/** Opus and VP8 with its repairs: the codecs of which it is known what the SFU has to read. Returns the one of frames. */
function onlyKnownCodecs(transceiver: RTCRtpTransceiver): string {
  const kind = transceiver.receiver.track.kind;
  const wanted = kind === "audio" ? ["audio/opus"] : ["video/vp8", "video/rtx"];
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  transceiver.setCodecPreferences(codecs.filter((codec) => wanted.includes(codec.mimeType.toLowerCase())));
  return wanted[0] ?? "";
}
