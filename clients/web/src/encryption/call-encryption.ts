import { deriveCallKey } from "./call-key.js";
import type { ReadableMessage } from "./frame-worker.js";
import type { FrameRole } from "./frame-transform.js";

/** Encrypts what one connection sends and decrypts what it receives, end to end. */
export interface FrameCryptor {
  /** Call before the offer is made. `onReadable` is called when it changes whether everything received can be decrypted. */
  attach(connection: RTCPeerConnection, onReadable: (readable: boolean) => void): void;
  /** The connection is closed. */
  release(): void;
}

/**
 * End-to-end encryption of this device's calls (RFC 9605, SFrame).
 *
 * The passphrase is the users' own affair: it is given here by the app or by the user and leaves this page in no form.
 */
export class CallEncryption {
  private passphrase: string | undefined;
  private readonly keys = new Map<string, Promise<CryptoKey>>();

  constructor(private readonly changed: () => void = () => undefined) {}

  /** Whether this browser can do it. */
  get isSupported(): boolean {
    return typeof RTCRtpScriptTransform !== "undefined";
  }

  /** Whether calls that begin now are encrypted. */
  get isOn(): boolean {
    return this.passphrase !== undefined;
  }

  /** For connections from now on; all participants need the same one. Undefined switches encryption off. */
  use(passphrase: string | undefined): void {
    this.passphrase = passphrase === "" ? undefined : passphrase;
    this.keys.clear();
    this.changed();
  }

  /** What guards a connection of this call; undefined without a passphrase. */
  async cryptorFor(callId: string): Promise<FrameCryptor | undefined> {
    if (this.passphrase === undefined) return undefined;
    if (!this.isSupported) throw new Error("This browser cannot encrypt calls end to end.");
    const key = this.keys.get(callId) ?? deriveCallKey(this.passphrase, callId);
    this.keys.clear();
    this.keys.set(callId, key);
    return new WorkerFrameCryptor(await key);
  }
}

class WorkerFrameCryptor implements FrameCryptor {
  // Written out like this, so that bundlers see that it is a worker.
  private readonly worker = new Worker(new URL("./frame-worker.js", import.meta.url), { type: "module" });

  constructor(private readonly key: CryptoKey) {}

  attach(connection: RTCPeerConnection, onReadable: (readable: boolean) => void): void {
    const unreadable = new Set<number>();
    this.worker.onmessage = ({ data }: MessageEvent<ReadableMessage>) => {
      if (data.readable) unreadable.delete(data.slot);
      else unreadable.add(data.slot);
      onReadable(unreadable.size === 0);
    };
    const transform = (role: FrameRole): RTCRtpScriptTransform => new RTCRtpScriptTransform(this.worker, { role, key: this.key });
    for (const transceiver of connection.getTransceivers()) {
      onlyKnownCodecs(transceiver);
      if (transceiver.direction === "sendonly") transceiver.sender.transform = transform("encrypt");
      else transceiver.receiver.transform = transform("decrypt");
    }
  }

  release(): void {
    this.worker.terminate();
  }
}

/** Opus and VP8 with its repairs: the codecs of which it is known what the SFU has to read. */
function onlyKnownCodecs(transceiver: RTCRtpTransceiver): void {
  const kind = transceiver.receiver.track.kind;
  const wanted = kind === "audio" ? ["audio/opus"] : ["video/vp8", "video/rtx"];
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  transceiver.setCodecPreferences(codecs.filter((codec) => wanted.includes(codec.mimeType.toLowerCase())));
}
