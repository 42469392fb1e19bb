import type { Sending } from "../core/call-keys.js";
import { joinKeyId, splitKeyId } from "../core/sframe-key-id.js";
import { FrameDecryptor, FrameEncryptor, keyIdOf } from "./frame-cipher.js";

/** A base key of SFrame with the epoch of its sender, as key ids have it. */
export interface EpochKey {
  readonly epoch: number;
  readonly key: CryptoKey;
}

/** What encrypts and decrypts in one call, as the page last said. */
export interface FrameKeys {
  readonly sending: Sending;
  readonly acceptsClear: boolean;
  readonly own: (EpochKey & { readonly tag: number }) | undefined;
  /** The devices that can encrypt, by their tags, each with its last keys. */
  readonly senders: ReadonlyMap<number, readonly EpochKey[]>;
}

export const NO_KEYS: FrameKeys = { sending: "nothing", acceptsClear: false, own: undefined, senders: new Map() };

export type Frame = Uint8Array<ArrayBuffer>;

/** The frames of one stream that this device sends. */
export class OutgoingFrames {
  private encryptor: FrameEncryptor | undefined;
  private kid: bigint | undefined;

  constructor(private readonly stream: number) {}

  /** What is to be sent for a frame; undefined for nothing. */
  async step(frame: Frame, mimeType: string | undefined, { sending, own }: FrameKeys): Promise<Frame | undefined> {
    if (sending === "clear") return frame;
    if (sending === "nothing" || !own) return undefined;
    const kid = joinKeyId({ tag: own.tag, epoch: own.epoch, stream: this.stream });
    // Never anew for the same id: the counter would begin again.
    if (kid !== this.kid || !this.encryptor) this.encryptor = new FrameEncryptor(own.key, kid);
    this.kid = kid;
    return this.encryptor.encrypt(frame, mimeType);
  }
}

/** The frames of a receive slot, whose sender changes. */
export class IncomingFrames {
  private readonly decryptor = new FrameDecryptor();

  /** What may be shown; undefined for nothing. What is encrypted is decrypted or dropped, whoever else does not encrypt. */
  async step(frame: Frame, { acceptsClear, senders }: FrameKeys): Promise<Frame | undefined> {
    const kid = keyIdOf(frame);
    const id = kid === undefined ? undefined : splitKeyId(kid);
    // What has the form of an encrypted frame is never played as it is, whoever it is from: it would be noise.
    if (!id || id.tag === 0) return acceptsClear ? frame : undefined;
    const keys = senders.get(id.tag) ?? [];
    const key = keys.find(({ epoch }) => epoch === id.epoch)?.key;
    return key && this.decryptor.decrypt(frame, key);
  }
}
